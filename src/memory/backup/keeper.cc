#include "memory/backup/keeper.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <filesystem>
#include <future>
#include <optional>
#include <thread>
#include <tuple>

#include "memory/backup/sql_copy.h"
#include "memory/backup/upward_turn.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kListed = 100;
constexpr std::chrono::hours kLongestSnapshot{1};
/// All tiers' snapshots, at the longest.
constexpr std::chrono::hours kTurn{2};
/// Longer than a lease of those who are in the way and have died.
constexpr std::chrono::minutes kTurnPatience{15};
constexpr std::chrono::milliseconds kTurnPoll{200};
/// Incremental backups that are kept: the last hours' are worth nothing once the next is there, but
/// one that cannot be read should not be the only one.
constexpr std::size_t kIncrementals = 3;
/// Looking for old ones reads every manifest.
constexpr std::size_t kPruneEvery = 12;
constexpr std::chrono::hours kStale{24};
constexpr std::string_view kJob = "memory.backup";
constexpr std::string_view kIncrementalJob = "memory.backup.incremental";
constexpr std::chrono::seconds kGrace{10};

/// A folder for one more part of the copy.
Result<std::string> folder_of(BackupSource& source, const std::string& part) {
  source.tiers.push_back(part);
  std::string folder = source.folder + "/" + part;
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return folder;
  return fail(Errc::kUnavailable, fmt::format("cannot make {}: {}", folder, error.message()));
}

/// Removes a folder with its owner.
struct Scratch {
  std::string path;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

BackupKeeper::BackupKeeper(Parts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      last_success_(parts_.metrics.gauge("akosha_backup_last_success_timestamp_seconds",
                                         "End of the last good backup; 0: none is known.")),
      queue_(parts_.database, parts_.clock) {
  parts_.metrics
      .gauge("akosha_backup_interval_seconds",
             "Between two incremental backups; 0: none are made by the clock.")
      .set(60.0 * options_.incremental_minutes);
  // Of processes that died on their way; what is young may be another one's that is at work.
  std::error_code error;
  const auto old = fs::file_time_type::clock::now() - kStale;
  for (fs::directory_iterator at(options_.folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (at->last_write_time(ignored) < old) fs::remove_all(at->path(), ignored);
  }
  boost::asio::post(reader_, [this] { look_for_newest(); });
}

BackupKeeper::~BackupKeeper() { stop(); }

void BackupKeeper::stop() {
  if (stopping_.exchange(true)) return;
  parts_.target.stop();
  if (clock_worker_ != nullptr) clock_worker_->stop(kGrace);
  worker_.join();
  reader_.join();
}

void BackupKeeper::look_for_newest() {
  const auto newest = list_backups(parts_.target, 1);
  if (!newest) {
    logger_.warning("nobody knows how old the last backup is", {{"error", newest.error().message}});
  } else if (!newest->empty()) {
    last_success_.set(
        std::chrono::duration<double>(newest->front().created_at.time_since_epoch()).count());
  }
}

void BackupKeeper::follow_schedule() {
  const bool never = options_.schedule.empty() && options_.incremental_minutes == 0;
  if (never || clock_worker_ != nullptr) return;
  clock_worker_ = std::make_unique<jobs::Worker>(
      queue_, parts_.loop, parts_.clock,
      jobs::Worker::Options{
          .concurrency = 1, .poll = options_.poll, .lease = std::chrono::minutes(1)});
  const auto follow = [this](const std::string& schedule, std::string_view job, BackupKind kind) {
    clock_worker_->handle(std::string(job),
                          [this, kind](const jobs::Job&) { return make_scheduled(kind); });
    clock_worker_->cron(schedule, std::string(job), {});
  };
  if (!options_.schedule.empty()) follow(options_.schedule, kJob, BackupKind::kWhole);
  if (options_.incremental_minutes > 0) {
    follow(fmt::format("*/{} * * * *", options_.incremental_minutes), kIncrementalJob,
           BackupKind::kIncremental);
  }
  clock_worker_->start();
}

Task<void> BackupKeeper::make_scheduled(BackupKind kind) {
  // What became due while a long one was made is as good as made.
  const std::chrono::duration<double> now = parts_.clock.now().time_since_epoch();
  if (kind == BackupKind::kIncremental &&
      now.count() - last_success_.value() < 30.0 * options_.incremental_minutes)
    co_return Result<void>{};
  const std::string id = make_backup_id(parts_.clock.now());
  const auto claimed = claim("backup " + id);
  // What is being made at this moment is as good.
  if (!claimed && claimed.error().code == Errc::kConflict) co_return Result<void>{};
  if (!claimed) co_return claimed;
  auto done = co_await net::run_blocking(worker_, [this, id, kind] {
    return finish("backup", id, [this, id, kind] { return make(id, kind); });
  });
  // The next one is due before this one would be tried again.
  if (kind == BackupKind::kIncremental) co_return Result<void>{};
  co_return done;
}

Result<void> BackupKeeper::claim(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  if (stopping_) return fail(Errc::kUnavailable, "the process is ending");
  if (!running_.empty())
    return fail(Errc::kConflict, fmt::format("{} is under way: wait for its end", running_));
  running_ = what;
  return {};
}

Result<void> BackupKeeper::begin(std::string kind, std::string id, Work work) {
  if (auto ok = claim(kind + " " + id); !ok) return ok;
  boost::asio::post(worker_, [this, kind = std::move(kind), id = std::move(id),
                              work = std::move(work)] { std::ignore = finish(kind, id, work); });
  return {};
}

Result<void> BackupKeeper::finish(const std::string& kind, const std::string& id,
                                  const Work& work) {
  auto done = work();
  json::object last = done ? std::move(*done) : json::object{};
  last["kind"] = kind;
  if (!last.contains("backup_id")) last["backup_id"] = id;
  if (!last.contains("ok")) last["ok"] = done.has_value();
  last["error"] = done ? json::value(nullptr) : json::value(done.error().message);
  last["finished_at"] = format_rfc3339(parts_.clock.now());
  const std::string told = json::serialize(last);
  if (last.at("ok").as_bool()) {
    logger_.info("backup: done", {{"result", told}});
  } else {
    logger_.error("backup: failed", {{"result", told}});
  }
  {
    const std::scoped_lock lock(mutex_);
    last_ = std::move(last);
    running_.clear();
  }
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Result<std::string> BackupKeeper::start(BackupKind kind) {
  std::string id = make_backup_id(parts_.clock.now());
  if (auto ok = begin("backup", id, [this, id, kind] { return make(id, kind); }); !ok)
    return std::unexpected(ok.error());
  return id;
}

Result<void> BackupKeeper::start_verify(std::string id) {
  if (!id.empty()) {
    if (auto ok = check_backup_id(id); !ok) return ok;
  }
  return begin("verify", id, [this, id] { return verify(id); });
}

template <class T>
Result<T> BackupKeeper::ask(const char* what, std::function<Task<T>()> question) {
  // The promise outlives an answer that nobody waits for any more.
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  parts_.loop.spawn(what, [question = std::move(question), promise]() -> Aw<void> {
    promise->set_value(co_await question());
  });
  const auto until = std::chrono::steady_clock::now() + kLongestSnapshot;
  while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
    if (stopping_) return fail(Errc::kCancelled, "the process is ending");
    if (std::chrono::steady_clock::now() > until)
      return fail(Errc::kTimeout, fmt::format("the {} takes too long", what));
  }
  return future.get();
}

Result<void> BackupKeeper::take_snapshots(BackupSource& source, const HeldSums& held) {
  for (Store* store : parts_.stores) {
    const std::string tier(tier_name(store->tier()));
    ASAHI_TRY(const std::string folder, folder_of(source, tier));
    auto done = ask<std::vector<HeldFile>>(
        "snapshot of a tier", [store, folder, held] { return store->snapshot(folder, held); });
    if (!done) return std::unexpected(done.error());
    source.held[tier] = std::move(*done);
  }
  return {};
}

Result<void> BackupKeeper::take_snapshots_in_peace(const std::string& id, BackupSource& source,
                                                   const HeldSums& held) {
  const auto turn = std::make_shared<UpwardTurn>(parts_.database, parts_.clock, id);
  const auto until = std::chrono::steady_clock::now() + kTurnPatience;
  while (true) {
    ASAHI_TRY(const bool ours, ask<bool>("turn of a backup", [turn] { return turn->take(kTurn); }));
    if (ours) break;
    if (stopping_) return fail(Errc::kCancelled, "the process is ending");
    if (std::chrono::steady_clock::now() > until) {
      return fail(Errc::kUnavailable,
                  "memories go up to the hot tier all the time, or another backup is being made; "
                  "make it again later");
    }
    std::this_thread::sleep_for(kTurnPoll);
  }
  auto done = take_snapshots(source, held);
  auto given = ask<void>("turn of a backup", [turn] { return turn->give_back(); });
  if (!given)
    logger_.warning("memories stay in the warm tier until a lease ends",
                    {{"error", given.error().message}});
  return done;
}

std::uint64_t BackupKeeper::prune(BackupKind made) {
  if (made == BackupKind::kIncremental && ++unpruned_ < kPruneEvery) return 0;
  unpruned_ = 0;
  const auto pruned = prune_backups(parts_.target, {.before = parts_.clock.now() - options_.keep,
                                                    .most = options_.most,
                                                    .incremental = kIncrementals});
  if (!pruned) logger_.warning("old backups stay", {{"error", pruned.error().message}});
  return pruned.value_or(0);
}

Result<json::object> BackupKeeper::make(const std::string& id, BackupKind kind) {
  const Scratch scratch{options_.folder + "/" + id};
  BackupSource source{.folder = scratch.path, .tiers = {}, .sums = &sums_};
  std::optional<BackupManifest> base;
  if (kind == BackupKind::kIncremental) {
    ASAHI_TRY(auto newest, list_backups(parts_.target, 1));
    if (!newest.empty()) base = std::move(newest.front());
  }
  // Rows before tiers: what is stored in between is taken in and derived again, which changes
  // nothing; the other way round the ledger would tell of memories that the copy lacks.
  ASAHI_TRY(const std::string sql, folder_of(source, std::string(kSqlPart)));
  ASAHI_TRY(const std::uint64_t rows,
            write_sql(parts_.database, sql, [this] { return stopping_.load(); }));
  if (auto ok = take_snapshots_in_peace(id, source, base ? sums_of(*base) : nullptr); !ok)
    return std::unexpected(ok.error());
  ASAHI_TRY(const BackupManifest manifest,
            write_backup(parts_.target, source, id, parts_.clock.now(), options_.version,
                         base ? &*base : nullptr));
  last_success_.set(std::chrono::duration<double>(parts_.clock.now().time_since_epoch()).count());
  const std::uint64_t pruned = prune(kind);
  return json::object{{"backup_id", manifest.id},
                      {"incremental", manifest.incremental},
                      {"files", manifest.files.size()},
                      {"bytes", manifest.bytes()},
                      {"new_bytes", manifest.new_bytes()},
                      {"rows", rows},
                      {"pruned", pruned}};
}

Result<json::object> BackupKeeper::verify(const std::string& id) {
  ASAHI_TRY(const BackupManifest manifest, find_backup(parts_.target, id));
  ASAHI_TRY(const auto wrong, verify_backup(parts_.target, manifest));
  json::array names;
  for (const std::string& name : wrong) names.emplace_back(name);
  return json::object{{"backup_id", manifest.id},
                      {"files", manifest.files.size()},
                      {"ok", wrong.empty()},
                      {"wrong_files", std::move(names)}};
}

Task<json::object> BackupKeeper::status() {
  ASAHI_CO_TRY(const auto manifests, co_await net::run_blocking(reader_, [this] {
                 return list_backups(parts_.target, kListed);
               }));
  json::array list;
  for (const BackupManifest& one : manifests) {
    list.push_back(json::object{{"backup_id", one.id},
                                {"created_at", format_rfc3339(one.created_at)},
                                {"version", one.version},
                                {"incremental", one.incremental},
                                {"files", one.files.size()},
                                {"bytes", one.bytes()},
                                {"new_bytes", one.new_bytes()}});
  }
  const std::scoped_lock lock(mutex_);
  co_return json::object{
      {"running", running_.empty() ? json::value(nullptr) : json::value(running_)},
      {"last", last_ ? json::value(*last_) : json::value(nullptr)},
      {"backups", std::move(list)}};
}

}  // namespace asahi::memory
