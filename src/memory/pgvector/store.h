#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memory/model/store.h"
#include "memory/pgvector/schema.h"
#include "storage/sql/database.h"

namespace asahi::memory {

struct PgVectorOptions {
  std::size_t dimensions = 384;  ///< of the vectors that get an index
  const Clock* clock = &system_clock();
  /// A mark of scan_eligible holds this long: the run that set it may be dead.
  std::chrono::nanoseconds migration_lease = std::chrono::hours{3};
};

/// The hot tier in the table `akosha.conversations` of a PostgreSQL with the extension `vector`.
///
/// Beyond Store's rules, as in HotStore: a duplicate that was only seen (kDuplicate) is found by
/// its key, is not searched and not counted, and takes the other memory's place when that is erased
/// or changes; `metadata.seen_in` of a memory names its duplicates, the first 100. With one that
/// ages its duplicates go, too: the copy names them.
class PgVectorStore final : public Store {
 public:
  /// What was written, in its order (knowledge/feed.h).
  struct Written {
    Memory memory;  ///< without `seen_in`
    std::uint64_t sequence = 0;
    bool duplicate = false;
  };

  /// Makes what is missing in the database; blocking. Errors: those of pg::prepare.
  static Result<std::unique_ptr<PgVectorStore>> open(std::shared_ptr<sql::Database> database,
                                                     PgVectorOptions options);

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
  /// As a folder of the embedded hot tier, which a restore can open.
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

  /// Of the table's writings; ordinary threads. Errors: those of the database.
  Result<std::string> feed_name();
  Result<std::uint64_t> last_written();
  /// At most `limit` rows that were written after `since`, in order.
  Result<std::vector<Written>> written_since(std::uint64_t since, std::size_t limit);

 private:
  PgVectorStore(std::shared_ptr<sql::Database> database, pg::Server server,
                const PgVectorOptions& options)
      : database_(std::move(database)), server_(server), options_(options) {}
  /// A transaction that is the only one that writes.
  Task<void> write(std::function<Result<void>(sql::Session&)> body);

  const std::shared_ptr<sql::Database> database_;
  const pg::Server server_;
  const PgVectorOptions options_;
};

}  // namespace asahi::memory
