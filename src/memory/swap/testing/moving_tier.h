#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "memory/hot/hot_store.h"
#include "memory/model/forwarding_store.h"
#include "memory/swap/mover.h"
#include "memory/swap/whereabouts.h"
#include "memory/testing/on_loop.h"
#include "memory/wiring/feeds.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::swap::testing {

/// What goes wrong with a backend, from any thread.
struct Faults {
  std::atomic<bool> writes{false}, reads{false}, erasures{false};
  std::atomic<int> calls_left{-1};  ///< after so many nothing works; -1: no such end
};

/// A store that fails as it is told.
class FaultyStore final : public ForwardingStore {
 public:
  FaultyStore(std::unique_ptr<Store> store, std::shared_ptr<Faults> faults)
      : ForwardingStore(*store), store_(std::move(store)), faults_(std::move(faults)) {}

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override {
    if (broken(faults_->writes)) co_return gone();
    co_return co_await inner().upsert_batch(std::move(memories), options);
  }
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    if (broken(faults_->reads)) co_return gone();
    co_return co_await inner().get(std::move(keys));
  }
  Task<StorePage> search(StoreQuery query) override {
    if (broken(faults_->reads)) co_return gone();
    co_return co_await inner().search(std::move(query));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    if (broken(faults_->erasures)) co_return gone();
    co_return co_await inner().delete_batch(std::move(keys));
  }
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override {
    if (broken(faults_->erasures)) co_return gone();
    co_return co_await inner().delete_system(std::move(tenant), std::move(system_id));
  }
  Task<TierStats> stats(std::string tenant) override {
    if (broken(faults_->reads)) co_return gone();
    co_return co_await inner().stats(std::move(tenant));
  }

 private:
  static std::unexpected<Error> gone() { return fail(Errc::kUnavailable, "told to fail"); }
  bool broken(const std::atomic<bool>& kind) {
    if (faults_->calls_left == 0) return true;
    if (faults_->calls_left > 0) --faults_->calls_left;
    return kind;
  }

  std::unique_ptr<Store> store_;
  std::shared_ptr<Faults> faults_;
};

/// The hot tier as a process has it, on the own log in two folders, and what moves it. Opened again
/// it is the next process.
class MovingTier {
 public:
  /// `database` has the table of moves; all outlive it.
  MovingTier(memory::testing::OnLoop& on, sql::Database& database, const Clock& clock,
             std::string folder)
      : on_(on), database_(database), clock_(clock), folder_(std::move(folder)) {}
  ~MovingTier() { close(); }

  Place old_place() const { return {.path = folder_ + "/old"}; }
  Place new_place() const { return {.path = folder_ + "/new"}; }

  Result<void> open() {
    close();
    Records records(database_);
    ASAHI_TRY(
        Whereabouts found,
        find_hot(records, old_place(), [this](const Place& place) { return at(place); }, clock_));
    metrics = std::make_unique<telemetry::Registry>();
    auto store = std::make_unique<SwapStore>(std::move(found.backend), clock_, *metrics,
                                             SwapStore::Options{.failures = failures});
    Mover::Options options;
    options.page = 7;
    options.dimensions = 3;
    options.retry = std::chrono::milliseconds(5);
    options.requests.usual_path = old_place().path;
    mover_ = std::make_unique<Mover>(
        Mover::Parts{.store = *store,
                     .database = database_,
                     .loops = on_.loops(),
                     .work = work_,
                     .clock = clock_,
                     .metrics = *metrics,
                     .open = [this](const Place& place) { return at(place); }},
        std::move(options));
    store_ = std::move(store);
    if (found.move) mover_->resume(std::move(*found.move));
    mover_->start();
    return {};
  }
  void close() {
    if (mover_ != nullptr) mover_->stop();
    mover_.reset();
    store_.reset();
  }

  SwapStore& store() { return *store_; }
  Mover& mover() { return *mover_; }
  Result<json::object> begin(bool replace = false,
                             std::chrono::seconds revert_for = std::chrono::days(28)) {
    return on_.wait<json::object>([&]() {
      return mover_->begin("org",
                           {.to = store_->now()->place == old_place() ? new_place() : old_place(),
                            .revert_for = revert_for,
                            .replace = replace});
    });
  }
  Result<json::object> revert() {
    return on_.wait<json::object>([&]() { return mover_->revert("asked for"); });
  }
  Result<json::object> finish() {
    return on_.wait<json::object>([&]() { return mover_->finish("asked for"); });
  }
  /// Of the move; empty: there was none.
  std::string phase() const {
    const json::object status = mover_->status();
    const json::value& move = status.at("move");
    return move.is_null() ? "" : std::string(move.at("phase").as_string());
  }
  std::string reason() const {
    const json::object status = mover_->status();
    const json::value& reason = status.at("move").at("reason");
    return reason.is_null() ? "" : std::string(reason.as_string());
  }
  /// Until `met`; false: not within ten seconds.
  static bool until(const std::function<bool()>& met) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!met()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  bool reads_new() {
    return until([this] { return store_->reads_next(); });
  }

  /// Of the new side, for as long as this lives.
  const std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::atomic<bool> cannot_open_new{false};
  int failures = 5;      ///< in a row that end a move, from the next `open` on
  Mover::Open open_new;  ///< for a new side of another kind; empty: the own log
  std::unique_ptr<telemetry::Registry> metrics;

 private:
  Result<SharedBackend> at(const Place& place) {
    if (place == new_place() && cannot_open_new)
      return fail(Errc::kUnavailable, "told not to open");
    if (place == new_place() && open_new) return open_new(place);
    HotOptions options;
    options.engine.folder = place.path;
    options.engine.clock = &clock_;
    options.engine.log.segment_bytes = 64 << 10;
    options.engine.log.smallest_segment = 4 << 10;
    ASAHI_TRY(auto store, HotStore::open(std::move(options)));
    auto backend = std::make_shared<Backend>();
    backend->place = place;
    backend->feed = feed_of(store->engine(), {}, on_.loops());
    if (place == new_place()) {
      backend->store = std::make_unique<FaultyStore>(std::move(store), faults);
    } else {
      backend->store = std::move(store);
    }
    return backend;
  }

  memory::testing::OnLoop& on_;
  sql::Database& database_;
  const Clock& clock_;
  const std::string folder_;
  boost::asio::thread_pool work_{1};
  std::unique_ptr<SwapStore> store_;
  std::unique_ptr<Mover> mover_;
};

}  // namespace asahi::memory::swap::testing
