#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "memory/hot/engine.h"
#include "memory/model/store.h"

namespace boost::asio {
class thread_pool;
}

namespace asahi::memory {

struct HotOptions {
  hot::EngineOptions engine;
  std::size_t search_threads = 2;
  /// They work out of memories what can be before the one writing thread has its turn.
  std::size_t prepare_threads = 2;
  /// Searches and look-ups that may wait for a thread, and batches; more: unavailable.
  std::size_t max_waiting = 4096;
};

/// The hot tier: all memories of the last days, in a log on the disk and in memory. Destroy it when
/// no call is under way.
///
/// Beyond Store's rules: a duplicate that was only seen (kDuplicate) answers `get` with the other
/// memory's content and its own times and metadata, is not searched and not counted, and gets a row
/// of its own when that memory goes or changes. `metadata.seen_in` of a memory names its
/// duplicates, the first 100. Marks of scan_eligible are kept in memory and hold three hours, so
/// that an ageing run that died leaves nothing behind.
class HotStore final : public Store, public ShardRows {
 public:
  /// Reads the log; blocking. Errors: corrupt, unavailable, invalid_argument (encryption key).
  static Result<std::unique_ptr<HotStore>> open(HotOptions options);
  ~HotStore() override;

  Tier tier() const override { return Tier::kHot; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<TierStats> stats(std::string tenant) override;
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

  ShardRows* shard_rows() override { return this; }
  Task<std::vector<ShardRow>> scan_shards(ShardSet wanted, std::size_t limit, Marks marks) override;
  Task<std::uint64_t> delete_moved(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::uint64_t>> shard_counts() override;

  /// For Intake: pushes should come again later.
  bool pressed() const { return engine_->pressed(); }
  hot::EngineStats engine_stats() const { return engine_->engine_stats(); }
  hot::Engine& engine() { return *engine_; }

 private:
  HotStore(std::unique_ptr<hot::Engine> engine, const HotOptions& options);
  /// `work` returns a Result; on a thread of its own.
  template <class Work>
  Aw<std::invoke_result_t<Work>> on_reader(Work work);
  void prepare_and_upsert(std::vector<Memory> memories, const UpsertOptions& options,
                          hot::Engine::Done<std::vector<UpsertOutcome>> done);

  std::unique_ptr<hot::Engine> engine_;
  const std::size_t max_waiting_;
  std::atomic<std::size_t> waiting_{0}, preparing_{0};
  std::unique_ptr<boost::asio::thread_pool> preparers_, readers_;
};

}  // namespace asahi::memory
