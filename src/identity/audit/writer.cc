#include "identity/audit/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ranges>

#include "base/file.h"

namespace asahi::identity::audit {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// How long a record waits for company before it goes to the spool: what a crash may lose.
constexpr std::chrono::milliseconds kLinger{5};
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1'000};

bool is_entrys_fault(const Error& error) {
  // Everything else (away, busy, full, broken) may be better at the next attempt.
  return error.code == Errc::kInvalidArgument || error.reason == "unique_violation";
}

}  // namespace

Writer::Writer(const AuditOptions& options, sql::Database& database, const Clock& clock,
               std::unique_ptr<Spool> own, std::vector<std::unique_ptr<Spool>> left_behind)
    : options_(options),
      database_(database),
      clock_(clock),
      store_(options.head_key),
      intake_(options.max_queued),
      own_(std::move(own)) {
  for (auto& spool : left_behind) left_behind_.push_back(std::move(spool));
  reader_ = std::thread([this] { take_in(); });
  storer_ = std::thread([this] { write_out(); });
}

Writer::~Writer() {
  stopping_ = true;
  intake_.stop();
  {
    const std::lock_guard lock(mutex_);
    work_.notify_all();
    progress_.notify_all();
  }
  reader_.join();
  {
    const std::lock_guard lock(mutex_);
    work_.notify_all();
  }
  storer_.join();
  std::vector<std::string> rest;
  for (const auto& direct : direct_) {
    if (direct.waiter == nullptr) rest.push_back(encode_pending(direct.row));
  }
  if (!rest.empty() && !own_->append(rest)) {
    log_.critical("audit entries are lost: neither disk nor database takes them",
                  {{"entries", rest.size()}});
  }
  for (const auto& waiter : waiters_) {
    waiter->tell(fail(Errc::kUnavailable, "the audit log is closing; the entry was not stored"));
  }
  own_->remove_if_drained();
}

// ---- first thread: intake to spool ----

void Writer::take_in() {
  while (true) {
    Intake::Taken taken = intake_.take(next_deadline(), kLinger);
    if (taken.dropped > 0 && drops_.pass(SteadyClock::now())) {
      log_.error("audit entries were dropped: more came than could be written; raise max_queued",
                 {{"dropped", taken.dropped}, {"total", intake_.dropped()}});
    }
    take_in_items(std::move(taken.items));
    expire_waiters();
    if (taken.stopping) return;
  }
}

void Writer::take_in_items(std::deque<Intake::Item> items) {
  std::vector<std::string> payloads;
  std::vector<ChainRow> rows;
  for (auto& item : items) {
    ChainRow row = chain_row(std::move(item.entry), item.at);
    if (item.waiter == nullptr) {
      payloads.push_back(encode_pending(row));
      rows.push_back(std::move(row));
      continue;
    }
    spool(std::move(payloads), std::move(rows));
    payloads.clear();
    rows.clear();
    const std::lock_guard lock(mutex_);
    if (direct_.size() >= options_.max_queued) {
      item.waiter->tell(fail(Errc::kUnavailable, "too many audit entries wait to be stored"));
      ++finished_;
      continue;
    }
    waiters_.push_back(item.waiter);
    direct_.push_back({std::move(row), std::move(item.waiter), own_->end(), false});
    work_.notify_one();
  }
  spool(std::move(payloads), std::move(rows));
}

void Writer::spool(std::vector<std::string> payloads, std::vector<ChainRow> rows) {
  if (payloads.empty()) return;
  while (true) {
    auto kept = own_->append(payloads);
    std::unique_lock lock(mutex_);
    if (kept) {
      work_.notify_one();
      return;
    }
    if (auto held_back = spool_trouble_.pass(SteadyClock::now())) {
      log_.critical("audit entries cannot be kept on disk",
                    {{"reason", kept.error().message}, {"suppressed", *held_back}});
    }
    // Without a disk they may still get into the database from here.
    if (direct_.size() + rows.size() <= options_.max_queued) {
      for (auto& row : rows) direct_.push_back({std::move(row), nullptr, own_->end(), false});
      work_.notify_one();
      return;
    }
    if (stopping_) {
      log_.critical("audit entries are lost: neither disk nor database takes them",
                    {{"entries", rows.size()}});
      finished_ += rows.size();
      return;
    }
    progress_.wait_for(lock, std::chrono::seconds(1));
  }
}

std::optional<Waiter::Steady> Writer::next_deadline() {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiters_, [](const auto& waiter) { return waiter->told(); });
  std::optional<Waiter::Steady> next;
  for (const auto& waiter : waiters_) {
    if (!next || waiter->deadline() < *next) next = waiter->deadline();
  }
  return next;
}

void Writer::expire_waiters() {
  const auto now = SteadyClock::now();
  const std::lock_guard lock(mutex_);
  for (const auto& waiter : waiters_) {
    if (waiter->deadline() > now) continue;
    if (waiter->taken()) {
      auto late = fail(Errc::kTimeout, "the audit entry was not stored in time; it may be yet");
      late.error().reason = "outcome_unknown";
      waiter->tell(std::move(late));
    } else if (last_error_) {
      waiter->tell(
          fail(Errc::kUnavailable, "the audit log's database is away: " + last_error_->message));
    } else {
      waiter->tell(fail(Errc::kTimeout, "the audit entry was not stored in time"));
    }
  }
  finished_ += std::erase_if(direct_, [](const Direct& direct) {
    return direct.waiter != nullptr && direct.waiter->told();
  });
}

// ---- second thread: spool to database ----

void Writer::write_out() {
  auto pause = kFirstPause;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] {
        return stopping_ || !direct_.empty() || !left_behind_.empty() || !own_->drained();
      });
      if (stopping_) return;
    }
    Batch batch = next_batch();
    if (batch.rows.empty()) {
      finish(batch);
      continue;
    }
    auto stored = store_rows(batch.rows, batch.may_exist);
    if (!stored && is_entrys_fault(stored.error()) && is_database_well()) {
      stored = store_one_by_one(batch);
    }
    if (stored) {
      finish(batch);
      pause = kFirstPause;
      continue;
    }
    put_back(batch, stored.error());
    std::unique_lock lock(mutex_);
    work_.wait_for(lock, pause, [this] { return stopping_ || hurry_; });
    hurry_ = false;
    if (stopping_) return;
    pause = std::min(pause * 2, kLongestPause);
  }
}

void Writer::add_spooled(Batch& batch) {
  {
    const std::lock_guard lock(mutex_);
    batch.spool = left_behind_.empty() ? own_.get() : left_behind_.front().get();
    // What another process left may be stored already: it may have died before it took note.
    batch.may_exist = batch.spool != own_.get() || own_uncertain_;
  }
  auto chunk = batch.spool->read(options_.batch);
  if (!chunk) {
    log_.error("a part of the audit spool cannot be read; it was set aside",
               {{"file", batch.spool->path()}, {"reason", chunk.error().message}});
    batch.spool->set_aside();
    const std::lock_guard lock(mutex_);
    if (batch.spool == own_.get()) finished_ = intake_.accepted();
    batch.spool = nullptr;
    return;
  }
  batch.spool_end = chunk->end;
  batch.spooled = chunk->records.size();
  const bool own = batch.spool == own_.get();
  // Waiters' entries go in where they came in.
  const std::lock_guard lock(mutex_);
  for (auto& record : chunk->records) {
    while (own && !direct_.empty() && direct_.front().position <= record.at) {
      batch.direct.push_back(std::move(direct_.front()));
      direct_.pop_front();
      auto& direct = batch.direct.back();
      if (direct.waiter == nullptr || direct.waiter->take()) batch.rows.push_back(direct.row);
    }
    if (auto row = decode_pending(record.payload)) {
      batch.rows.push_back(std::move(*row));
    } else {
      log_.error("an entry of the audit spool has an unknown form; it was left out",
                 {{"file", batch.spool->path()}, {"offset", record.at}});
    }
  }
}

Writer::Batch Writer::next_batch() {
  Batch batch;
  add_spooled(batch);
  const std::lock_guard lock(mutex_);
  while (!direct_.empty() && batch.rows.size() < 2 * options_.batch) {
    batch.direct.push_back(std::move(direct_.front()));
    direct_.pop_front();
    auto& direct = batch.direct.back();
    if (direct.waiter == nullptr || direct.waiter->take()) batch.rows.push_back(direct.row);
  }
  for (const auto& direct : batch.direct) batch.may_exist = batch.may_exist || direct.may_exist;
  return batch;
}

Result<void> Writer::store_rows(std::vector<ChainRow>& rows, bool may_exist) {
  const auto attempt = [&](ChainStore::Options how) -> Result<void> {
    std::vector<std::string> forged;
    auto done = database_.transaction_blocking([&](sql::Session& session) -> Result<void> {
      // May run again: it gives every row its place anew.
      ASAHI_TRY(auto appended, store_.append(session, rows, how, clock_.now()));
      forged = std::move(appended.forged);
      return {};
    });
    for (const auto& org : done ? forged : std::vector<std::string>{}) {
      if (auto held_back = forgery_.pass(SteadyClock::now())) {
        log_.critical(
            "the head of an audit chain is not what was written; see GET /governance/audit/verify",
            {{"org_id", org}, {"suppressed", *held_back}});
      }
    }
    return done;
  };
  auto done = attempt({.may_exist = may_exist});
  if (done || !is_entrys_fault(done.error())) return done;
  // A place that is taken: the head lags behind the rows, or an entry is there already.
  return attempt({.may_exist = true, .distrust_heads = true});
}

bool Writer::is_database_well() {
  return database_.query_blocking({"SELECT seq FROM audit_heads LIMIT 1", {}}).has_value() &&
         database_.query_blocking({"SELECT seq FROM audit_entries LIMIT 1", {}}).has_value();
}

Result<void> Writer::store_one_by_one(Batch& batch) {
  const auto tell = [&](const ChainRow& row, const Result<void>& outcome) {
    for (const auto& direct : batch.direct) {
      if (direct.waiter == nullptr || direct.row.entry_id != row.entry_id) continue;
      if (outcome) {
        direct.waiter->tell(row.entry_id);
      } else {
        direct.waiter->tell(std::unexpected(outcome.error()));
      }
    }
  };
  for (const auto& row : batch.rows) {
    std::vector<ChainRow> one{row};
    auto stored = store_rows(one, true);
    if (!stored) {
      if (!is_entrys_fault(stored.error()) || !is_database_well()) return stored;
      reject(row, stored.error());
    }
    tell(row, stored);
  }
  return {};
}

void Writer::reject(const ChainRow& row, const Error& error) {
  log_.critical("the database refuses an audit entry; it was put into rejected.jsonl",
                {{"entry_id", row.entry_id}, {"reason", error.message}});
  const std::string path = options_.spool_dir + "/rejected.jsonl";
  const File file = File::open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (!file || !write_all(file.get(), canonical_row(row) + "\n")) {
    log_.critical("rejected.jsonl cannot be written", {{"entry_id", row.entry_id}});
  }
}

void Writer::finish(Batch& batch) {
  if (batch.spool != nullptr) batch.spool->done(batch.spool_end);
  for (const auto& direct : batch.direct) {
    if (direct.waiter != nullptr) direct.waiter->tell(direct.row.entry_id);
  }
  const std::lock_guard lock(mutex_);
  if (last_error_ && !batch.rows.empty()) {
    log_.info("the audit log's database is back");
    last_error_.reset();
  }
  finished_ += batch.direct.size();
  if (batch.spool == own_.get()) {
    finished_ += batch.spooled;
    own_uncertain_ = false;
  } else if (!left_behind_.empty() && left_behind_.front()->drained()) {
    left_behind_.front()->remove_if_drained();
    left_behind_.pop_front();
  }
  progress_.notify_all();
}

void Writer::put_back(Batch& batch, const Error& error) {
  if (auto held_back = outage_.pass(SteadyClock::now())) {
    log_.error("audit entries cannot be stored; they are kept on disk until they can",
               {{"reason", error.message}, {"suppressed", *held_back}});
  }
  const std::lock_guard lock(mutex_);
  last_error_ = error;
  own_uncertain_ = true;
  for (auto& direct : batch.direct | std::views::reverse) {
    direct.may_exist = direct.may_exist || error.reason == "outcome_unknown";
    if (direct.waiter != nullptr && !direct.may_exist) direct.waiter->release();
    direct_.push_front(std::move(direct));
  }
}

bool Writer::flush(std::chrono::milliseconds limit) {
  const auto deadline = SteadyClock::now() + limit;
  const std::uint64_t wanted = intake_.accepted();
  intake_.hurry();
  std::unique_lock lock(mutex_);
  hurry_ = true;
  work_.notify_one();
  return progress_.wait_until(lock, deadline,
                              [&] { return finished_ >= wanted && left_behind_.empty(); });
}

}  // namespace asahi::identity::audit
