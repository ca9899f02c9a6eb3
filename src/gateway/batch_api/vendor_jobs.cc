// Rows that vendors' own batch APIs answer.
#include <fmt/format.h>

#include <charconv>

#include "base/ids.h"
#include "gateway/batch_api/batch_turn.h"
#include "llm/vendor_batches.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kRowsPerPage = 32;
/// One vendor's batch: well below what vendors take, so that no answer is larger than the HTTP
/// client reads.
constexpr std::size_t kMostRows = 2'000;
constexpr std::size_t kMostBytes = 8'388'608;
/// Tries to create a vendor's batch, each after a longer pause.
constexpr std::int64_t kMostSubmissions = 3;
/// Tries to find one, or to read its answers, which are paid for: minutes.
constexpr std::int64_t kMostFailures = 8;
constexpr auto kCallTime = std::chrono::minutes(2);

/// Another try may help.
bool passes(const Error& error) {
  return error.code == Errc::kRateLimited || error.code == Errc::kTimeout ||
         error.code == Errc::kUnavailable || error.code == Errc::kCancelled ||
         (error.code == Errc::kUpstream && error.reason != "vendor_auth");
}

std::int64_t pause_ms(const Error& error, std::int64_t attempts) {
  const std::int64_t own = (std::int64_t{1} << std::min<std::int64_t>(attempts, 6)) * 1'000;
  return error.retry_after ? std::max(own, error.retry_after->count()) : own;
}

std::string row_id(const VendorJob& job, std::int64_t line) {
  return fmt::format("{}-{}", job.id, line);
}

/// Empty: the id is none of this job's.
std::optional<std::int64_t> line_of(const VendorJob& job, std::string_view id) {
  if (!id.starts_with(job.id + "-")) return std::nullopt;
  id.remove_prefix(job.id.size() + 1);
  std::int64_t line = 0;
  const auto [end, wrong] = std::from_chars(id.data(), id.data() + id.size(), line);
  if (wrong != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return line;
}

}  // namespace

/// Rows of one model on their way to its vendor.
struct BatchRunner::Group {
  std::vector<llm::VendorRow> rows;  ///< whose ids are lines still
  std::vector<std::int64_t> lines;
  std::map<std::int64_t, Reservation> reservations;
  std::size_t bytes = 0;
};

llm::CallContext BatchRunner::vendor_context(const Turn& turn) const {
  llm::CallContext context;
  context.deadline = parts_.clock.steady_now() + kCallTime;
  context.idle_timeout = kCallTime;
  context.cancel = &turn.stop;
  context.request_id = random_id("req_", 12);
  return context;
}

Task<void> BatchRunner::send_to_vendors(Turn& turn) {
  std::map<std::pair<std::string, std::string>, Group> groups;
  std::int64_t line = 0;
  while (!idle(turn) && !turn.cancelling) {
    ASAHI_CO_TRY(const auto rows, co_await parts_.store.fresh_rows(turn.batch, line, kRowsPerPage));
    if (rows.empty()) break;
    for (const StoredRow& row : rows) {
      line = row.line;
      RowCall call(turn, row.body, parts_.clock.steady_now() + kCallTime);
      auto deferred = co_await turn.endpoint->defer(call.context);
      if (!deferred) {
        // From now on a row like those of vendors without such an API.
        auto marked = co_await parts_.store.retry_row(turn.batch, line, 1, 0);
        if (!marked) co_return marked;
        continue;
      }
      const std::pair<std::string, std::string> key{deferred->provider, deferred->model};
      Group& group = groups[key];
      group.bytes += deferred->body.size();
      group.rows.push_back({.id = {}, .body = std::move(deferred->body)});
      group.lines.push_back(line);
      group.reservations.emplace(line, std::move(deferred->reservation));
      if (group.rows.size() < kMostRows && group.bytes < kMostBytes) continue;
      Group full = std::exchange(group, {});
      if (auto sent = co_await submit(turn, key.first, key.second, std::move(full)); !sent)
        co_return sent;
    }
  }
  if (idle(turn) || turn.cancelling) co_return Result<void>{};
  for (auto& [key, group] : groups) {
    if (group.rows.empty()) continue;
    if (auto sent = co_await submit(turn, key.first, key.second, std::move(group)); !sent)
      co_return sent;
  }
  co_return Result<void>{};
}

Task<void> BatchRunner::submit(Turn& turn, std::string provider, std::string model, Group group) {
  VendorJob job{.id = entity_id("vb_", parts_.clock.now()),
                .batch_id = turn.batch.id,
                .provider = provider,
                .model = model,
                .created_at = parts_.store.now()};
  for (std::size_t i = 0; i < group.rows.size(); ++i)
    group.rows[i].id = row_id(job, group.lines[i]);
  // Noted before it is sent, so that a crash in between is found out.
  if (auto noted = co_await parts_.store.add_job(job, std::move(group.lines)); !noted)
    co_return noted;
  {
    const std::scoped_lock lock(held_mutex_);
    held_[job.id] = std::move(group.reservations);
  }
  llm::VendorBatches* vendor = parts_.vendor(provider);
  const std::size_t rows = group.rows.size();
  auto id = co_await vendor->submit(job.id, std::move(group.rows), vendor_context(turn));
  if (!id) co_return co_await submission_failed(turn, std::move(job), std::move(id.error()));
  logger_.info(
      "rows went to a vendor's batch",
      {{"batch", turn.batch.id}, {"provider", provider}, {"model", model}, {"rows", rows}});
  job.vendor_id = *std::move(id);
  job.state = VendorJob::State::kRunning;
  job.not_before = parts_.store.now() + vendor_poll_ms();
  co_return co_await parts_.store.save_job(job);
}

Task<void> BatchRunner::submission_failed(Turn& turn, VendorJob job, Error error) {
  logger_.warning("a vendor's batch could not be created",
                  {{"batch", turn.batch.id}, {"provider", job.provider}, {"error", error.message}});
  if (!passes(error)) co_return co_await end_job(std::move(job), 1);
  ASAHI_CO_TRY(const std::int64_t failures,
               co_await parts_.store.failed_jobs(turn.batch.id, job.provider));
  // It may have been created all the same: that is looked up first.
  job.attempts = failures + 1;
  job.not_before = parts_.store.now() + pause_ms(error, failures + 1);
  co_return co_await parts_.store.save_job(job);
}

Task<void> BatchRunner::end_job(VendorJob job, std::int64_t attempts) {
  job.state = VendorJob::State::kDone;
  if (auto reopened = co_await parts_.store.reopen_rows(job.id, attempts); !reopened)
    co_return reopened;
  auto saved = co_await parts_.store.save_job(job);
  const std::scoped_lock lock(held_mutex_);
  held_.erase(job.id);
  co_return saved;
}

Task<std::int64_t> BatchRunner::look_after_jobs(Turn& turn, bool ending) {
  ASAHI_CO_TRY(const auto jobs, co_await parts_.store.jobs(turn.batch.id));
  std::int64_t next = 0;
  for (const VendorJob& job : jobs) {
    if (idle(turn)) break;
    ASAHI_CO_TRY(const std::int64_t due, co_await look_after(turn, job, ending));
    if (due > 0) next = next == 0 ? due : std::min(next, due);
  }
  co_return next;
}

Task<std::int64_t> BatchRunner::look_after(Turn& turn, VendorJob job, bool ending) {
  const std::int64_t now = parts_.store.now();
  llm::VendorBatches* vendor = parts_.vendor(job.provider);
  const auto over = [&](std::int64_t attempts) -> Task<std::int64_t> {
    return ended(end_job(job, attempts));
  };
  if (vendor == nullptr) co_return co_await over(1);
  if (job.not_before > now && !ending) co_return job.not_before;
  const auto later = [&](const Error& error) -> Task<std::int64_t> {
    ++job.attempts;
    job.not_before = now + pause_ms(error, job.attempts);
    return due(parts_.store.save_job(job), job.not_before);
  };
  if (job.state == VendorJob::State::kSubmitting) {
    auto found = co_await vendor->find(job.id, vendor_context(turn));
    if (!found && passes(found.error()) && job.attempts < kMostFailures)
      co_return co_await later(found.error());
    if (!found || !*found) co_return co_await over(job.attempts < kMostSubmissions ? 0 : 1);
    job.vendor_id = **found;
    job.state = VendorJob::State::kRunning;
    job.attempts = 0;
    if (auto saved = co_await parts_.store.save_job(job); !saved)
      co_return std::unexpected(std::move(saved.error()));
  }
  // What it has answered by then still comes.
  if (ending) (void)co_await vendor->cancel(job.vendor_id, vendor_context(turn));
  auto status = co_await vendor->status(job.vendor_id, vendor_context(turn));
  if (!status && passes(status.error())) co_return co_await later(status.error());
  if (!status || status->state == llm::VendorBatchStatus::State::kFailed) {
    const std::string why = status ? status->message : status.error().message;
    logger_.warning("a vendor's batch failed; its rows get calls of their own",
                    {{"batch", turn.batch.id}, {"provider", job.provider}, {"error", why}});
    co_return co_await over(1);
  }
  if (status->state == llm::VendorBatchStatus::State::kRunning) {
    job.not_before =
        now + (ending ? std::min<std::int64_t>(vendor_poll_ms(), 2'000) : vendor_poll_ms());
    job.attempts = 0;
    co_return co_await due(parts_.store.save_job(job), job.not_before);
  }
  auto taken = co_await vendor->answers(*status, vendor_context(turn),
                                        [&](llm::VendorRowAnswer answer) -> Task<void> {
                                          return take(turn, job, std::move(answer));
                                        });
  if (idle(turn)) co_return now + vendor_poll_ms();
  if (!taken && passes(taken.error()) && job.attempts < kMostFailures)
    co_return co_await later(taken.error());
  // Rows that it did not come to, or refused, get calls of their own.
  co_return co_await over(1);
}

Task<std::int64_t> BatchRunner::ended(Task<void> ending) {
  co_return co_await due(std::move(ending), 0);
}

Task<std::int64_t> BatchRunner::due(Task<void> saving, std::int64_t when) {
  if (auto saved = co_await std::move(saving); !saved)
    co_return std::unexpected(std::move(saved.error()));
  co_return when;
}

Task<void> BatchRunner::take(Turn& turn, VendorJob job, llm::VendorRowAnswer answer) {
  const auto line = line_of(job, answer.id);
  if (!line || !answer.answer) co_return Result<void>{};
  if (idle(turn)) co_return fail(Errc::kCancelled, "the process ends");
  ASAHI_CO_TRY(const auto rows,
               co_await parts_.store.rows_of_job(turn.batch, job.id, *line - 1, 1));
  // Taken before, by a process that ended.
  if (rows.empty() || rows.front().line != *line) co_return Result<void>{};
  Reservation reservation;
  {
    const std::scoped_lock lock(held_mutex_);
    const auto held = held_.find(job.id);
    if (held != held_.end()) {
      const auto found = held->second.find(*line);
      if (found != held->second.end()) reservation = std::move(found->second);
    }
  }
  RowCall call(turn, rows.front().body, parts_.clock.steady_now() + kCallTime);
  const http::Response response = co_await turn.endpoint->complete(
      call.context, job.model, std::move(reservation), *std::move(answer.answer));
  co_return co_await close(turn, rows.front(), response, call.context.request_id);
}

}  // namespace asahi::gateway
