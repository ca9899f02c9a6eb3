#pragma once

#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/task.h"
#include "memory/model/forwarding_store.h"
#include "memory/placement/placement.h"

namespace asahi::memory {

/// What a node knows of the tier that it is a part of.
struct PlacementNote {
  std::string node;                 ///< its own name
  Placement now;                    ///< where rows are written
  std::optional<Placement> before;  ///< where some still lie: a move is under way

  /// Three lines; `parse` reads them back. Errors: corrupt.
  std::string to_string() const;
  static Result<PlacementNote> parse(std::string_view text);
};

/// A node's note, here or in another process. Empty: there is none yet.
class PlacementKeeper {
 public:
  virtual ~PlacementKeeper() = default;
  virtual Task<std::string> record() = 0;
  /// Writes `next` where `expected` stands, or `next` already; what stands there now. Errors:
  /// conflict (something else stands there), corrupt (`next` is no note), unavailable (disk).
  virtual Task<std::string> replace(std::string expected, std::string next) = 0;
};

/// The note in a file of the node's folder. Thread-safe.
class PlacementRecord final : public PlacementKeeper {
 public:
  /// `folder`: of the tier, made if it is not there; ":memory:": forgotten at the end. Blocking.
  /// Errors: unavailable, corrupt.
  static Result<std::unique_ptr<PlacementRecord>> open(const std::string& folder);
  ~PlacementRecord() override { disk_.join(); }

  /// Null: there is none.
  std::shared_ptr<const PlacementNote> note() const;
  Task<std::string> record() override;
  Task<std::string> replace(std::string expected, std::string next) override;

 private:
  explicit PlacementRecord(std::string path) : path_(std::move(path)) {}
  Result<std::string> write(const std::string& expected, const std::string& next);

  const std::string path_;  ///< empty: kept in memory only
  mutable std::mutex mutex_;
  std::string text_;
  std::shared_ptr<const PlacementNote> note_;
  boost::asio::thread_pool disk_{1};
};

/// A node that takes no memory of a shard that another node has: a process that was started with an
/// older list of nodes would else write where nobody looks. Errors of upsert_batch: unavailable for
/// that, too.
class PlacedStore final : public ForwardingStore {
 public:
  /// `record` outlives it.
  PlacedStore(std::unique_ptr<Store> store, const PlacementRecord& record)
      : ForwardingStore(*store), store_(std::move(store)), record_(record) {}

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  ShardRows* shard_rows() override { return store_->shard_rows(); }

 private:
  const std::unique_ptr<Store> store_;
  const PlacementRecord& record_;
};

}  // namespace asahi::memory
