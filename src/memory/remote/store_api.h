#pragma once

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/file_sums.h"
#include "memory/model/store.h"
#include "memory/placement/record.h"
#include "memory/remote/protocol.h"
#include "memory/remote/signature.h"
#include "net/http/router.h"
#include "telemetry/metrics.h"

namespace asahi::memory::hot {
class Engine;
}

namespace asahi::memory::remote {

/// A store as others reach it: POST /store/v1/<verb> (protocol.h), each request signed. For a
/// listener of its own, never the public one: whoever has the secret may read every tenant.
class StoreApi {
 public:
  struct Options {
    StoreSecrets secrets;
    /// Snapshots are written below it; empty: none are.
    std::string snapshot_folder;
    /// What is written down about the tier's nodes; null: nothing is. Outlives the API.
    PlacementRecord* placement = nullptr;
    std::string store_folder;  ///< of the store's files; empty or ":memory:": none
    /// Of the store, where what is written there is followed; null: it is not. Outlives the API.
    const hot::Engine* followed = nullptr;
    /// Whether batches had better come later; empty: never.
    std::function<bool()> pressed;
    std::size_t reply_bytes = std::size_t{64} << 20;  ///< where a reply stops growing
  };
  /// All outlive the API and its routes.
  StoreApi(Store& store, const Clock& clock, telemetry::Registry& metrics, Options options);
  /// Waits for what it reads.
  ~StoreApi();

  void add_routes(http::Router& router);

 private:
  template <class Verb, class Work>
  void add(http::Router& router, std::size_t max_bytes, Work work);

  // One per verb with something to decide.
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys);
  Task<std::tuple<std::vector<Eligible>, bool>> scan(ScanQuery wanted);
  Task<std::vector<std::pair<Key, Digest>>> mark(Clock::Time before, std::uint64_t limit);
  void add_file_routes(http::Router& router);
  Task<bool> snapshot(std::string folder);
  void add_shard_routes(http::Router& router, ShardRows& rows);
  Task<std::tuple<std::vector<ShardRow>, bool>> scan_shards(ShardRows& rows, ShardSet wanted,
                                                            std::uint64_t limit, Marks marks);
  Task<WrittenSince::Reply> written(std::uint64_t since, std::uint64_t limit);
  Task<std::vector<UpsertOutcome>> upsert(UpsertBatch::Request asked);
  Result<std::string> snapshot_path(const std::string& name) const;

  void observe(std::string_view operation, bool ok, std::chrono::nanoseconds took);

  Store& store_;
  const Clock& clock_;
  telemetry::Registry& metrics_;
  const Options options_;
  RequestCheck check_;
  FileSums sums_;                      ///< of files of snapshots
  boost::asio::thread_pool files_{1};  ///< reads files and the log
};

}  // namespace asahi::memory::remote
