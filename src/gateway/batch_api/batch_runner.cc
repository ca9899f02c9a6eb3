#include "gateway/batch_api/batch_runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "gateway/batch_api/batch_turn.h"
#include "gateway/batch_api/caller.h"
#include "net/blocking.h"

namespace asahi::gateway {
namespace {

namespace status = batch_status;

constexpr std::int64_t kLeaseMs = 30'000;
constexpr auto kRenewEvery = std::chrono::seconds(5);
constexpr auto kRowTime = std::chrono::minutes(5);
constexpr std::int64_t kAfterTroubleMs = 5'000;
constexpr std::int64_t kPurgeEveryMs = 3'600'000;
constexpr std::int64_t kMostAttempts = 5;
/// How long vendors' batches may take to end once they are cancelled.
constexpr std::int64_t kVendorsEndMs = 15 * 60'000;
constexpr std::size_t kPartBytes = 1'048'576;
constexpr std::size_t kRowsPerPage = 100;

std::string given_up(std::string_view code, std::string_view message) {
  std::string out;
  JsonOut(out).open_object().member("code", code).member("message", message).close_object();
  return out;
}

std::string reply_json(const http::Response& response, std::string_view request_id) {
  std::string out;
  JsonOut json(out);
  json.open_object()
      .member("status_code", static_cast<std::int64_t>(response.status))
      .member("request_id", request_id);
  json.key("body").raw(response.shared_body != nullptr ? *response.shared_body : response.body);
  json.close_object();
  return out;
}

/// One line of an output or error file.
std::string output_line(const Batch& batch, const StoredRow& row) {
  std::string out;
  JsonOut json(out);
  const bool replied = row.state != RowState::kGivenUp;
  json.open_object()
      .member("id",
              fmt::format("batch_req_{}_{}", batch.id.substr(batch.id.find('_') + 1), row.line))
      .member("custom_id", row.custom_id);
  json.key("response");
  if (replied) {
    json.raw(row.output);
  } else {
    json.null();
  }
  json.key("error");
  if (replied) {
    json.null();
  } else {
    json.raw(row.output);
  }
  json.close_object();
  out += '\n';
  return out;
}

/// A spent budget is no matter of waiting a little: the caller shall see it.
bool is_final_refusal(const http::Response& response) {
  auto body = parse_json(response.body);
  if (!body || !body->is_object()) return false;
  const json::value* error = body->get_object().if_contains("error");
  if (error == nullptr || !error->is_object()) return false;
  const json::value* code = error->get_object().if_contains("code");
  return code != nullptr && code->is_string() &&
         (code->get_string() == "budget_exceeded" ||
          code->get_string() == "request_limit_exceeded");
}

/// When a refused row may be tried again; empty: the refusal stands.
std::optional<std::int64_t> pause_ms(const http::Response& response, std::int64_t attempts) {
  const bool limited = response.status == 429;
  const bool trouble = response.status == 408 || response.status >= 500;
  if (!limited && !trouble) return std::nullopt;
  if (limited && is_final_refusal(response)) return std::nullopt;
  if (trouble && attempts >= kMostAttempts) return std::nullopt;
  std::int64_t seconds = std::int64_t{1} << std::min<std::int64_t>(attempts, 6);
  const std::string_view named = response.headers.get("retry-after");
  if (!named.empty() && named.size() <= 5 &&
      std::ranges::all_of(named, [](char c) { return c >= '0' && c <= '9'; })) {
    seconds = std::max<std::int64_t>(seconds, std::stoll(std::string(named)));
  }
  return seconds * 1'000;
}

std::string errors_json(const std::vector<RowFault>& faults) {
  std::string out;
  JsonOut json(out);
  json.open_array();
  for (const RowFault& fault : faults) {
    json.open_object().member("code", fault.code).member("message", fault.message);
    json.key("param");
    if (fault.param.empty()) {
      json.null();
    } else {
      json.string(fault.param);
    }
    json.key("line");
    if (fault.line == 0) {
      json.null();
    } else {
      json.integer(fault.line);
    }
    json.close_object();
  }
  json.close_array();
  return out;
}

/// A file that is written line by line; it exists once the first line is there.
class OutputFile {
 public:
  OutputFile(BatchStore& store, const Batch& batch, std::string id, std::string_view what,
             std::int64_t expires_at)
      : store_(store) {
    file_ = {.id = std::move(id),
             .org_id = batch.org_id,
             .user_id = batch.user_id,
             .filename = fmt::format("{}_{}.jsonl", batch.id, what),
             .purpose = "batch_output",
             .sealed = batch.sealed,
             .created_at = store.now(),
             .expires_at = expires_at};
  }
  Task<void> add(std::string line) {
    buffer_ += line;
    if (buffer_.size() < kPartBytes) co_return Result<void>{};
    co_return co_await flush();
  }
  Task<void> flush() {
    if (buffer_.empty()) co_return Result<void>{};
    if (file_.parts == 0) {
      if (auto begun = co_await store_.begin_file(file_); !begun) co_return begun;
    }
    file_.bytes += static_cast<std::int64_t>(buffer_.size());
    if (auto kept = co_await store_.add_part(file_, file_.parts, std::exchange(buffer_, {})); !kept)
      co_return kept;
    ++file_.parts;
    co_return Result<void>{};
  }
  bool empty() const { return file_.parts == 0; }
  const StoredFile& file() const { return file_; }

 private:
  BatchStore& store_;
  StoredFile file_;
  std::string buffer_;
};

}  // namespace

/// Rows that several coroutines of a turn share.
struct BatchRunner::RowQueue {
  explicit RowQueue(net::Loop& loop) : done(loop) {}
  std::vector<StoredRow> rows;
  std::size_t next = 0;
  int workers = 0;
  Result<void> result;
  net::Event done;
};

BatchRunner::RowCall::RowCall(Turn& turn, std::string body,
                              std::chrono::steady_clock::time_point deadline)
    : context{.request = request,
              .loop = turn.loop,
              .cancel = turn.stop,
              .deadline = deadline,
              .received = std::chrono::steady_clock::now(),
              .request_id = random_id("req_", 12),
              .client_request_id = {},
              .path_params = {},
              .route = "/v1/batches",
              .caller = turn.caller,
              .reply_headers = {}} {
  request.method = http::Method::kPost;
  request.path = request.target = turn.batch.endpoint;
  request.headers.add("content-type", "application/json");
  request.body = std::move(body);
}

BatchRunner::BatchRunner(Parts parts)
    : parts_(std::move(parts)), turns_(parts_.loops, [](net::Loop& loop) {
        return std::make_unique<net::Background>(loop);
      }) {}

const RowEndpoint* BatchRunner::endpoint(std::string_view url) const {
  const auto found = std::ranges::find(parts_.endpoints, url, &RowEndpoint::url);
  return found == parts_.endpoints.end() ? nullptr : &*found;
}

bool BatchRunner::idle(const Turn& turn) const {
  return draining_ || turn.lost || turn.stop.cancelled();
}

Aw<void> BatchRunner::look() {
  if (draining_) co_return;
  const auto trouble = [&](const Error& error) {
    if (outage_.pass(parts_.clock.steady_now()))
      logger_.warning("batches wait: the database cannot be read", {{"error", error.message}});
  };
  if (!leases_forgotten_) {
    if (auto forgotten = co_await parts_.store.forget_leases(parts_.worker); !forgotten) {
      trouble(forgotten.error());
      co_return;
    }
    leases_forgotten_ = true;
  }
  const int room = parts_.config.max_running - *running_;
  if (room > 0) {
    auto due = co_await parts_.store.claim(parts_.worker, static_cast<std::size_t>(room), kLeaseMs);
    if (!due) {
      trouble(due.error());
      co_return;
    }
    for (const Batch& batch : *due) {
      net::Background& turns = turns_.at(next_loop_++ % turns_.size());
      // Else the lease runs out.
      if (!begin_turn(turns, batch)) (void)co_await parts_.store.release(batch, 0);
    }
  }
  if (parts_.store.now() >= next_purge_) {
    next_purge_ = parts_.store.now() + kPurgeEveryMs;
    if (auto gone = co_await parts_.store.purge(parts_.config.keep_days * 86'400'000LL); !gone)
      trouble(gone.error());
  }
}

bool BatchRunner::begin_turn(net::Background& turns, Batch batch) {
  // stop() does not return between the look and the turn.
  const net::Background::Mark mark(turns);
  if (turns.stopping()) return false;
  ++*running_;
  turns.run("batch", [this, batch = std::move(batch)](const net::Background::Sleep&) mutable {
    return work(std::move(batch));
  });
  return true;
}

void BatchRunner::stop(std::chrono::milliseconds limit) {
  using Steady = std::chrono::steady_clock;
  draining_ = true;
  for (std::size_t i = 0; i < turns_.size(); ++i) turns_.at(i).cancel();
  const auto give_up = Steady::now() + limit;
  for (std::size_t i = 0; i < turns_.size(); ++i) turns_.at(i).stop(give_up - Steady::now());
}

Aw<void> BatchRunner::keep_lease(std::shared_ptr<Turn> turn) {
  while (co_await turn->loop.sleep_for(kRenewEvery, &turn->ended)) {
    auto status = co_await parts_.store.renew(turn->batch, kLeaseMs);
    if (status && *status == status::kCancelling) turn->cancelling = true;
    if (!status && status.error().code == Errc::kConflict) turn->lost = true;
  }
  turn->lease_given.set();
}

Aw<void> BatchRunner::work(Batch batch) {
  net::Background& turns = turns_.local();
  auto turn =
      std::make_shared<Turn>(std::move(batch), *net::Loop::current(), turns.cancel_source());
  struct Leaving {
    std::shared_ptr<std::atomic<int>> count;
    Turn& turn;
    ~Leaving() {
      turn.ended.cancel();
      --*count;
    }
  } const leaving{running_, *turn};
  turns.run("lease of a batch",
            [this, turn](const net::Background::Sleep&) { return keep_lease(turn); });
  auto done = co_await advance(*turn);
  turn->ended.cancel();
  co_await turn->lease_given.wait();
  if (!done && done.error().code != Errc::kConflict) {
    turn->next_turn_at = parts_.store.now() + kAfterTroubleMs;
    logger_.warning("a batch could not be worked on and is tried again",
                    {{"batch", turn->batch.id}, {"error", done.error().message}});
  }
  if (turn->lost || (!done && done.error().code == Errc::kConflict)) co_return;
  // If this fails the lease runs out.
  (void)co_await parts_.store.release(turn->batch, turn->next_turn_at);
}

Task<void> BatchRunner::advance(Turn& turn) {
  Batch& batch = turn.batch;
  if (batch.sealed && !parts_.store.can_seal())
    co_return fail(Errc::kUnavailable, "its rows are encrypted and there is no key");
  ASAHI_CO_TRY(turn.caller, read_caller(batch.caller));
  turn.endpoint = endpoint(batch.endpoint);
  if (batch.status == status::kValidating) {
    if (auto checked = co_await validate(turn); !checked) co_return checked;
  }
  if (batch.status == status::kInProgress ||
      (batch.status == status::kCancelling && batch.outcome.empty())) {
    if (auto ran = co_await run_rows(turn); !ran) co_return ran;
  }
  if (!batch.outcome.empty() && !turn.lost) co_return co_await finalize(turn);
  co_return Result<void>{};
}

Task<void> BatchRunner::validate(Turn& turn) {
  Batch& batch = turn.batch;
  if (auto cleared = co_await parts_.store.remove_rows(batch.id); !cleared) co_return cleared;
  RowReader reader(
      {.url = batch.endpoint, .most_rows = parts_.config.max_rows, .check = turn.endpoint->check});
  std::vector<RowFault> faults;
  ASAHI_CO_TRY(auto file, co_await parts_.store.file(batch.org_id, batch.input_file_id));
  if (!file) {
    faults.push_back({.code = "file_not_found",
                      .message = "the input file is not there any more",
                      .param = "input_file_id"});
  }
  for (std::int64_t seq = 0; file && seq < file->parts && faults.empty() && !idle(turn); ++seq) {
    auto part = co_await parts_.store.part(*file, seq);
    if (!part && part.error().code != Errc::kCorrupt)
      co_return std::unexpected(std::move(part.error()));
    if (!part) {
      faults.push_back(
          {.code = "file_unreadable", .message = part.error().message, .param = "input_file_id"});
      break;
    }
    const bool last = seq + 1 == file->parts;
    // A megabyte of JSON is too much for a loop that answers others in microseconds.
    co_await net::run_blocking(*reading_, [&reader, last, bytes = *std::move(part)] {
      reader.feed(bytes);
      if (last) reader.finish();
      return true;
    });
    faults = reader.faults();
    if (auto kept = co_await parts_.store.add_rows(batch, reader.take()); !kept) co_return kept;
  }
  if (file && file->parts == 0) {
    reader.finish();
    faults = reader.faults();
  }
  if (idle(turn)) co_return Result<void>{};
  const std::int64_t now = parts_.store.now();
  if (!faults.empty()) {
    batch.status = status::kFailed;
    batch.failed_at = now;
    batch.errors = errors_json(faults);
    if (auto saved = co_await parts_.store.save(batch); !saved) co_return saved;
    co_return co_await parts_.store.remove_rows(batch.id);
  }
  batch.status = status::kInProgress;
  batch.in_progress_at = now;
  batch.total = reader.rows();
  co_return co_await parts_.store.save(batch);
}

Task<void> BatchRunner::run_rows(Turn& turn) {
  Batch& batch = turn.batch;
  const bool at_vendors = turn.endpoint->defer != nullptr;
  if (at_vendors && !turn.cancelling) {
    if (auto sent = co_await send_to_vendors(turn); !sent) co_return sent;
  }
  const std::size_t page = static_cast<std::size_t>(parts_.config.concurrency) * 4;
  while (!idle(turn)) {
    ASAHI_CO_TRY(const std::string now_status, co_await parts_.store.renew(batch, kLeaseMs));
    if (now_status == status::kCancelling) turn.cancelling = true;
    const std::int64_t now = parts_.store.now();
    if (turn.cancelling && batch.cancelling_at == 0) batch.cancelling_at = now;
    const bool expired = now >= batch.expires_at;
    const bool ending = turn.cancelling || expired;
    std::int64_t next_look = 0;
    if (at_vendors) {
      ASAHI_CO_TRY(next_look, co_await look_after_jobs(turn, ending));
      if (idle(turn)) break;
    }
    const std::int64_t since = turn.cancelling ? batch.cancelling_at : batch.expires_at;
    if (ending && next_look > 0 && now < since + kVendorsEndMs) {
      turn.next_turn_at = next_look;
      co_return Result<void>{};
    }
    if (turn.cancelling) co_return co_await end_rows(turn, status::kCancelled);
    if (expired) {
      auto gone = co_await parts_.store.give_up_rows(
          batch, given_up("batch_expired",
                          "this request was not answered before the batch's completion window "
                          "ended"));
      if (!gone) co_return gone;
      co_return co_await end_rows(turn, status::kExpired);
    }
    if (!turn.caller->key_prefix.empty()) {
      ASAHI_CO_TRY(const bool stands, co_await parts_.store.key_stands(turn.caller->key_prefix));
      if (!stands) {
        auto gone = co_await parts_.store.give_up_rows(
            batch, given_up("credential_revoked",
                            "the API key that created this batch was revoked before this request "
                            "was answered"));
        if (!gone) co_return gone;
      }
    }
    RowQueue queue(turn.loop);
    ASAHI_CO_TRY(queue.rows, co_await parts_.store.due_rows(batch, page, at_vendors ? 1 : 0));
    if (queue.rows.empty()) {
      ASAHI_CO_TRY(const BatchStore::Counts counts, co_await parts_.store.counts(batch.id));
      if (counts.pending + counts.at_vendor == 0)
        co_return co_await end_rows(turn, status::kCompleted);
      turn.next_turn_at = batch.expires_at;
      if (counts.pending > 0) turn.next_turn_at = std::min(turn.next_turn_at, counts.next);
      if (next_look > 0) turn.next_turn_at = std::min(turn.next_turn_at, next_look);
      co_return Result<void>{};
    }
    queue.workers = std::min(parts_.config.concurrency, static_cast<int>(queue.rows.size()));
    for (int i = queue.workers; i > 0; --i)
      turn.loop.spawn("rows of a batch", answer_some(turn, queue));
    co_await queue.done.wait();
    if (!queue.result) co_return queue.result;
  }
  co_return Result<void>{};
}

Aw<void> BatchRunner::answer_some(Turn& turn, RowQueue& queue) {
  struct Leaving {
    RowQueue& queue;
    ~Leaving() {
      if (--queue.workers == 0) queue.done.set();
    }
  } const leaving{queue};
  while (queue.next < queue.rows.size() && queue.result && !turn.cancelling && !idle(turn)) {
    StoredRow& row = queue.rows[queue.next++];
    auto answered = co_await answer_row(turn, std::move(row));
    if (!answered) queue.result = std::move(answered);
  }
}

Task<void> BatchRunner::answer_row(Turn& turn, StoredRow row) {
  RowCall call(turn, row.body, parts_.clock.steady_now() + kRowTime);
  const http::Response response = co_await turn.endpoint->answer(call.context);
  // An answer that came is kept, also by a process that ends; nothing else is.
  if (response.status != 200 && turn.stop.cancelled()) co_return Result<void>{};
  co_return co_await close(turn, row, response, call.context.request_id);
}

Task<void> BatchRunner::close(Turn& turn, const StoredRow& row, const http::Response& response,
                              const std::string& request_id) {
  if (response.status == 200) {
    co_return co_await parts_.store.close_row(turn.batch, row.line, RowState::kAnswered,
                                              reply_json(response, request_id));
  }
  const std::int64_t attempts = row.attempts + 1;
  if (const auto pause = pause_ms(response, attempts)) {
    co_return co_await parts_.store.retry_row(turn.batch, row.line, attempts,
                                              parts_.store.now() + *pause);
  }
  co_return co_await parts_.store.close_row(turn.batch, row.line, RowState::kRefused,
                                            reply_json(response, request_id));
}

Task<void> BatchRunner::end_rows(Turn& turn, std::string_view outcome) {
  Batch& batch = turn.batch;
  batch.outcome = outcome;
  batch.finalizing_at = parts_.store.now();
  // Known before they are written, so that whoever goes on after a crash writes the same files.
  batch.output_file_id = entity_id("file-", parts_.clock.now());
  batch.error_file_id = entity_id("file-", parts_.clock.now());
  batch.status = outcome == status::kCancelled ? status::kCancelling : status::kFinalizing;
  co_return co_await parts_.store.save(batch);
}

Task<void> BatchRunner::finalize(Turn& turn) {
  Batch& batch = turn.batch;
  BatchStore& store = parts_.store;
  const std::int64_t expires_at = store.now() + parts_.config.keep_days * 86'400'000LL;
  OutputFile output(store, batch, batch.output_file_id, "output", expires_at);
  OutputFile errors(store, batch, batch.error_file_id, "error", expires_at);
  std::int64_t completed = 0, failed = 0, line = 0;
  while (!idle(turn)) {
    ASAHI_CO_TRY(const auto rows, co_await store.rows_after(batch, line, kRowsPerPage));
    if (rows.empty()) break;
    for (const StoredRow& row : rows) {
      line = row.line;
      const bool open = row.state == RowState::kPending || row.state == RowState::kAtVendor;
      if (open) continue;  // of a batch that was cancelled
      const bool answered = row.state == RowState::kAnswered;
      ++(answered ? completed : failed);
      OutputFile& file = answered ? output : errors;
      if (auto added = co_await file.add(output_line(batch, row)); !added) co_return added;
    }
  }
  if (idle(turn)) co_return Result<void>{};
  std::vector<sql::Statement> finished;
  for (OutputFile* file : {&output, &errors}) {
    if (auto flushed = co_await file->flush(); !flushed) co_return flushed;
    if (!file->empty()) finished.push_back(BatchStore::finish_file(file->file()));
  }
  if (output.empty()) batch.output_file_id.clear();
  if (errors.empty()) batch.error_file_id.clear();
  batch.completed = completed;
  batch.failed = failed;
  batch.status = batch.outcome;
  const std::int64_t now = store.now();
  if (batch.outcome == status::kCompleted) batch.completed_at = now;
  if (batch.outcome == status::kExpired) batch.expired_at = now;
  if (batch.outcome == status::kCancelled) batch.cancelled_at = now;
  if (auto saved = co_await store.save_with(batch, std::move(finished)); !saved) co_return saved;
  logger_.info("a batch has ended", {{"batch", batch.id},
                                     {"org_id", batch.org_id},
                                     {"outcome", batch.outcome},
                                     {"completed", completed},
                                     {"failed", failed}});
  co_return co_await store.remove_rows(batch.id);
}

}  // namespace asahi::gateway
