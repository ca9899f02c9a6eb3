#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/policy/breaker.h"
#include "base/policy/retry.h"
#include "memory/model/store.h"
#include "memory/placement/record.h"
#include "memory/remote/signature.h"
#include "net/http/client.h"
#include "net/loop.h"

namespace asahi::memory::remote {

/// A tier that another process keeps (store_api.h). Beyond Store's errors: unavailable while that
/// process is away or its breaker is open, unauthenticated where the two do not share a secret. A
/// call that could not be delivered is tried again, as is one that changes nothing when it is
/// carried out twice. Any loop of the pool.
class RemoteStore final : public Store, public ShardRows, public PlacementKeeper {
 public:
  struct Options {
    Tier tier = Tier::kHot;
    http::Origin origin;
    StoreSecrets secrets;
    std::string ca_file = {};  ///< PEM added to the system's roots, for https
    RetryPolicy retry{.max_attempts = 3,
                      .base = std::chrono::milliseconds(50),
                      .cap = std::chrono::milliseconds(1'000)};
    Breaker::Options breaker{
        .failures = 5, .open_for = std::chrono::seconds(1), .half_open_probes = 3};
  };
  RemoteStore(net::LoopPool& loops, const Clock& clock, Options options);
  ~RemoteStore() override;

  /// Asks the other side who it is: for readiness. Errors: corrupt when it is another tier.
  Task<void> ping();

  Tier tier() const override { return options_.tier; }
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
  /// The other side copies; its files are fetched into `folder` here, and the copy goes.
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

  ShardRows* shard_rows() override { return this; }
  Task<std::vector<ShardRow>> scan_shards(ShardSet wanted, std::size_t limit, Marks marks) override;
  Task<std::uint64_t> delete_moved(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::uint64_t>> shard_counts() override;
  Task<std::string> record() override;
  Task<std::string> replace(std::string expected, std::string next) override;
  /// What was written over there since (engine.h). `limit` 0: only where it is.
  struct Written {
    std::string name;  ///< of the store's writings
    std::uint64_t end = 0, upto = 0;
    std::vector<std::pair<Memory, bool>> rows;  ///< and whether each is another's duplicate
  };
  Task<Written> written_since(std::uint64_t since, std::size_t limit);
  struct DiskSpace {
    std::string folder;
    std::uint64_t capacity = 0, available = 0;  ///< bytes; 0: it is kept in memory
  };
  Task<DiskSpace> disk();
  /// It refused a batch of late since it is behind with what it got: more should wait.
  bool pressed() const;

 private:
  template <class Verb>
  Task<typename Verb::Reply> call(typename Verb::Request request,
                                  std::chrono::milliseconds timeout = Verb::kTimeout);
  /// How far a try came.
  enum class Reached { kBreaker, kNothing, kStore };
  Task<std::string> send(const std::string& target, const std::string& body,
                         std::chrono::steady_clock::time_point deadline, Reached& reached);
  /// The reply's body, or what it refuses with.
  Result<std::string> judge(http::ClientResponse reply, std::string_view nonce) const;
  std::string name() const;
  Task<std::vector<HeldFile>> fetch_snapshot(std::string name, std::string folder, HeldSums held);

  const Options options_;
  const Clock& clock_;
  const std::unique_ptr<net::PerLoop<http::Client>> clients_;
  Breaker breaker_;
  std::atomic<std::int64_t> pressed_until_{0};  ///< steady nanoseconds
  boost::asio::thread_pool files_{1};           ///< writes what snapshots bring
};

/// Errors: invalid_argument: not a URL, or one beyond this machine without a secret.
Result<http::Origin> store_origin(const std::string& field, const std::string& url,
                                  const StoreSecrets& secrets);
/// "localhost", "127.…", "::1".
bool is_loopback(std::string_view host);

}  // namespace asahi::memory::remote
