#include "memory/pgvector/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "memory/dedup/minhash.h"
#include "memory/hot/hot_store.h"
#include "memory/pgvector/rows.h"

namespace asahi::memory {
namespace {

using pg::kJsonKeys;
using pg::kRowColumns;
using pg::ns_of;
using pg::SeenIn;
using pg::time_of;

constexpr std::size_t kMostCandidates = 64;
constexpr std::size_t kKeysPerStatement = 500;
constexpr std::size_t kSnapshotPage = 500;
constexpr std::string_view kThisKey = "tenant = ? AND system_id = ? AND conversation_id = ?";

sql::Blob blob_of(const Digest& digest) {
  return {std::string(reinterpret_cast<const char*>(digest.data()), digest.size())};
}

Result<void> check(const Memory& memory) {
  if (auto ok = check_key(memory.key); !ok) return ok;
  float most = 0;
  for (const float number : memory.embedding) {
    if (!std::isfinite(number)) return fail_field("embedding", "a number of it is not finite");
    most = std::max(most, std::abs(number));
  }
  if (!memory.embedding.empty() && most == 0)
    return fail_field("embedding", "all its numbers are 0: it has no direction");
  if (memory.content.size() > kMaxContent || memory.metadata.size() > kMaxMetadata)
    return fail(Errc::kTooLarge, "content or metadata is larger than a memory may have");
  return {};
}

/// Gives a row of its own to the first of those that repeat what is no longer there.
Result<void> promote(sql::Session& session, const std::string& tenant) {
  ASAHI_TRY(
      const auto done,
      session.query(
          {"UPDATE akosha.conversations c SET duplicate = FALSE, seq = nextval('akosha.writings') "
           "FROM (SELECT DISTINCT ON (d.content_hash) d.system_id, d.conversation_id FROM "
           "akosha.conversations d WHERE d.tenant = ? AND d.duplicate AND NOT EXISTS (SELECT 1 "
           "FROM "
           "akosha.conversations o WHERE o.tenant = d.tenant AND o.content_hash = d.content_hash "
           "AND NOT o.duplicate) ORDER BY d.content_hash, d.seq) f WHERE c.tenant = ? AND "
           "c.system_id = f.system_id AND c.conversation_id = f.conversation_id",
           {tenant, tenant}}));
  return {};
}

/// Writes one memory as UpsertOutcome says, in a transaction that is the only one that writes.
class Writer {
 public:
  Writer(sql::Session& session, const UpsertOptions& options)
      : session_(session), options_(options) {}

  Result<UpsertOutcome> upsert(Memory memory) {
    const Key& key = memory.key;
    ASAHI_TRY(const sql::Rows old,
              session_.query({fmt::format("SELECT content_hash, timestamp_ns, CASE WHEN duplicate "
                                          "THEN 1 ELSE 0 END AS twin FROM "
                                          "akosha.conversations WHERE {}",
                                          kThisKey),
                              {key.tenant, key.system_id, key.conversation_id}}));
    if (!old.empty()) {
      const auto* const hash = std::get_if<sql::Blob>(&old.at(0, "content_hash"));
      if (hash != nullptr && *hash == blob_of(memory.content_hash))
        return old.integer(0, "twin") != 0 ? UpsertOutcome::kDuplicate : UpsertOutcome::kUnchanged;
      if (ns_of(memory.timestamp) <= old.integer(0, "timestamp_ns")) return UpsertOutcome::kOlder;
    }
    UpsertOutcome outcome = old.empty() ? UpsertOutcome::kStored : UpsertOutcome::kReplaced;
    bool duplicate = false;
    if (options_.deduplicate) {
      ASAHI_TRY(duplicate, seen_before(memory));
      if (duplicate) {
        outcome = UpsertOutcome::kDuplicate;
      } else {
        if (auto ok = link_near(memory); !ok) return std::unexpected(ok.error());
        if (memory.near_duplicate_of && outcome == UpsertOutcome::kStored) {
          outcome = UpsertOutcome::kNearDuplicate;
          if (options_.skip_near_duplicates) return outcome;
        }
      }
    }
    ASAHI_TRY(const auto written, session_.query(pg::write_row(memory, duplicate)));
    if (!old.empty()) {
      if (auto ok = promote(session_, key.tenant); !ok) return std::unexpected(ok.error());
    }
    return outcome;
  }

 private:
  /// Whether another memory of the tenant has this very content; its row is a changed one then.
  Result<bool> seen_before(const Memory& memory) {
    ASAHI_TRY(const sql::Rows first,
              session_.query(
                  {fmt::format("UPDATE akosha.conversations SET marked_ns = NULL WHERE tenant = ? "
                               "AND content_hash = ? AND NOT duplicate AND NOT ({}) RETURNING 1",
                               kThisKey),
                   {memory.key.tenant, blob_of(memory.content_hash), memory.key.tenant,
                    memory.key.system_id, memory.key.conversation_id}}));
    return !first.empty();
  }

  /// Sets near_duplicate_of to the memory that is most like this one, if any is near enough.
  Result<void> link_near(Memory& memory) {
    const std::vector<std::int64_t> bands = pg::bands_of(memory.fingerprint);
    if (bands.empty()) return {};
    ASAHI_TRY(
        const sql::Rows near,
        session_.query(
            {fmt::format("SELECT system_id, conversation_id, fingerprint FROM akosha.conversations "
                         "WHERE tenant = ? AND bands && CAST(CAST(? AS TEXT) AS BIGINT[]) AND NOT "
                         "duplicate AND NOT ({}) ORDER BY seq DESC LIMIT {}",
                         kThisKey, kMostCandidates),
             {memory.key.tenant, fmt::format("{{{}}}", fmt::join(bands, ",")), memory.key.tenant,
              memory.key.system_id, memory.key.conversation_id}}));
    double best = options_.near_duplicate_threshold;
    for (std::size_t i = 0; i < near.size(); ++i) {
      const auto* const bytes = std::get_if<sql::Blob>(&near.at(i, "fingerprint"));
      if (bytes == nullptr) continue;
      ASAHI_TRY(const Fingerprint other, dedup::fingerprint_from(bytes->bytes));
      const double likeness = dedup::estimated_jaccard(other, memory.fingerprint);
      if (likeness < best || (memory.near_duplicate_of && likeness == best)) continue;
      best = likeness;
      memory.near_duplicate_of =
          Key{memory.key.tenant, near.text(i, "system_id"), near.text(i, "conversation_id")};
    }
    return {};
  }

  sql::Session& session_;
  const UpsertOptions& options_;
};

/// SELECT of the rows of some keys; `lock`: until the transaction ends.
sql::Statement rows_of(const std::vector<Key>& keys) {
  return {fmt::format("SELECT k.n AS place, {} FROM {} JOIN akosha.conversations c USING (tenant, "
                      "system_id, conversation_id)",
                      kRowColumns, kJsonKeys),
          {pg::keys_json(keys)}};
}

std::vector<std::vector<Key>> in_portions(std::vector<Key> keys) {
  std::vector<std::vector<Key>> out;
  for (std::size_t at = 0; at < keys.size(); at += kKeysPerStatement) {
    const std::size_t end = std::min(at + kKeysPerStatement, keys.size());
    out.emplace_back(std::make_move_iterator(keys.begin() + static_cast<std::ptrdiff_t>(at)),
                     std::make_move_iterator(keys.begin() + static_cast<std::ptrdiff_t>(end)));
  }
  return out;
}

/// Erases rows; how many were there.
Result<std::int64_t> erase(sql::Session& session, const std::vector<Key>& keys) {
  std::set<std::string> tenants;
  for (const Key& key : keys) tenants.insert(key.tenant);
  ASAHI_TRY(const sql::Rows gone,
            session.query({fmt::format("DELETE FROM akosha.conversations c USING {} WHERE c.tenant "
                                       "= k.tenant AND c.system_id = k.system_id AND "
                                       "c.conversation_id = k.conversation_id",
                                       kJsonKeys),
                           {pg::keys_json(keys)}}));
  for (const std::string& tenant : tenants) {
    if (auto ok = promote(session, tenant); !ok) return std::unexpected(ok.error());
  }
  return gone.affected();
}

/// Of one row and those that repeat it, if the row is still what its sum says.
Result<bool> replace_vector(sql::Session& session, const NewVector& row) {
  const std::vector<sql::Value> key{row.key.tenant, row.key.system_id, row.key.conversation_id};
  if (row.checksum == Digest{}) {
    ASAHI_TRY(
        const auto freed,
        session.query(
            {fmt::format("UPDATE akosha.conversations SET marked_ns = NULL WHERE {}", kThisKey),
             key}));
    return false;
  }
  ASAHI_TRY(const sql::Rows there, session.query(rows_of({row.key})));
  if (there.empty() || there.integer(0, "twin") != 0) return false;
  ASAHI_TRY(const Memory memory, pg::read_row(there, 0, SeenIn::kAdded));
  if (row_checksum(memory) != row.checksum) return false;
  // One of zeros has no direction, and no place in the index.
  const bool some = std::ranges::any_of(row.embedding, [](float number) { return number != 0; });
  std::vector<sql::Value> params{some ? sql::Value(pg::vector_text(row.embedding)) : sql::Value(),
                                 row.model, row.key.tenant, blob_of(memory.content_hash)};
  params.insert(params.end(), key.begin(), key.end());
  ASAHI_TRY(const auto written,
            session.query({fmt::format("UPDATE akosha.conversations SET embedding = CAST(? AS "
                                       "vector), embedding_model = ?, marked_ns = NULL, seq = "
                                       "nextval('akosha.writings') WHERE tenant = ? AND "
                                       "content_hash = ? AND (duplicate OR ({}))",
                                       kThisKey),
                           std::move(params)}));
  return true;
}

}  // namespace

Result<std::unique_ptr<PgVectorStore>> PgVectorStore::open(std::shared_ptr<sql::Database> database,
                                                           PgVectorOptions options) {
  ASAHI_TRY(const pg::Server server, pg::prepare(*database, options.dimensions));
  return std::unique_ptr<PgVectorStore>(new PgVectorStore(std::move(database), server, options));
}

Task<void> PgVectorStore::write(std::function<Result<void>(sql::Session&)> body) {
  co_return co_await database_->transaction([body = std::move(body)](sql::Session& session) {
    const auto locked =
        session.query({"SELECT pg_advisory_xact_lock(CAST(? AS BIGINT))", {pg::kWriterLock}});
    if (!locked) return Result<void>(std::unexpected(locked.error()));
    return body(session);
  });
}

Task<std::vector<UpsertOutcome>> PgVectorStore::upsert_batch(std::vector<Memory> memories,
                                                             UpsertOptions options) {
  for (const Memory& memory : memories) {
    if (auto ok = check(memory); !ok) co_return std::unexpected(std::move(ok.error()));
  }
  const auto outcomes = std::make_shared<std::vector<UpsertOutcome>>();
  const auto batch = std::make_shared<const std::vector<Memory>>(std::move(memories));
  auto done = co_await write([outcomes, batch, options](sql::Session& session) -> Result<void> {
    outcomes->clear();  // an attempt before may have been undone
    Writer writer(session, options);
    for (const Memory& memory : *batch) {
      ASAHI_TRY(const UpsertOutcome outcome, writer.upsert(memory));
      outcomes->push_back(outcome);
    }
    return {};
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return std::move(*outcomes);
}

Task<std::vector<std::optional<Memory>>> PgVectorStore::get(std::vector<Key> keys) {
  std::vector<std::optional<Memory>> out(keys.size());
  std::size_t from = 0;
  for (const std::vector<Key>& portion : in_portions(std::move(keys))) {
    ASAHI_CO_TRY(const sql::Rows rows, co_await database_->query(rows_of(portion)));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASAHI_CO_TRY(Memory memory, pg::read_row(rows, i, SeenIn::kAdded));
      out[from + static_cast<std::size_t>(rows.integer(i, "place")) - 1] = std::move(memory);
    }
    from += portion.size();
  }
  co_return out;
}

Task<std::uint64_t> PgVectorStore::delete_batch(std::vector<Key> keys) {
  const auto portions =
      std::make_shared<const std::vector<std::vector<Key>>>(in_portions(std::move(keys)));
  const auto gone = std::make_shared<std::int64_t>(0);
  auto done = co_await write([portions, gone](sql::Session& session) -> Result<void> {
    *gone = 0;
    for (const std::vector<Key>& portion : *portions) {
      ASAHI_TRY(const std::int64_t some, erase(session, portion));
      *gone += some;
    }
    return {};
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return static_cast<std::uint64_t>(*gone);
}

Task<std::uint64_t> PgVectorStore::delete_system(std::string tenant, std::string system_id) {
  const auto gone = std::make_shared<std::int64_t>(0);
  auto done = co_await write([gone, tenant, system_id](sql::Session& session) -> Result<void> {
    ASAHI_TRY(const sql::Rows rows,
              session.query({"DELETE FROM akosha.conversations WHERE tenant = ? AND system_id = ?",
                             {tenant, system_id}}));
    *gone = rows.affected();
    return promote(session, tenant);
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return static_cast<std::uint64_t>(*gone);
}

Task<std::vector<Eligible>> PgVectorStore::scan_eligible(ScanQuery wanted) {
  const std::int64_t now = ns_of(options_.clock->now());
  const auto out = std::make_shared<std::vector<Eligible>>();
  auto done = co_await write([=, this,
                              wanted = std::move(wanted)](sql::Session& session) -> Result<void> {
    out->clear();
    std::vector<sql::Value> params;
    if (!wanted.keys.empty()) params.emplace_back(pg::keys_json(wanted.keys));
    params.insert(params.end(), {ns_of(wanted.before), now - options_.migration_lease.count()});
    if (!wanted.tenant.empty()) params.emplace_back(wanted.tenant);
    if (wanted.without_model) params.emplace_back(*wanted.without_model);
    const std::string due = fmt::format(
        "SELECT {} FROM akosha.conversations c{} WHERE NOT c.duplicate AND c.timestamp_ns < ? AND "
        "(c.marked_ns IS NULL OR c.marked_ns < ?){}{} ORDER BY c.timestamp_ns, c.tenant, "
        "c.system_id, c.conversation_id LIMIT {}",
        kRowColumns,
        wanted.keys.empty() ? ""
                            : fmt::format(" JOIN (SELECT DISTINCT tenant, system_id, "
                                          "conversation_id FROM {}) w USING (tenant, system_id, "
                                          "conversation_id)",
                                          kJsonKeys),
        wanted.tenant.empty() ? "" : " AND c.tenant = ?",
        wanted.without_model ? " AND c.embedding_model <> ?" : "", wanted.limit);
    ASAHI_TRY(const sql::Rows rows, session.query({due, std::move(params)}));
    std::vector<Key> keys;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASAHI_TRY(Memory memory, pg::read_row(rows, i, SeenIn::kAdded));
      keys.push_back(memory.key);
      const Digest sum = row_checksum(memory);
      out->push_back({std::move(memory), sum});
    }
    for (const std::vector<Key>& portion : in_portions(std::move(keys))) {
      ASAHI_TRY(
          const auto marked,
          session.query({fmt::format("UPDATE akosha.conversations c SET marked_ns = ? FROM {} "
                                     "WHERE c.tenant = k.tenant AND c.system_id = "
                                     "k.system_id AND c.conversation_id = k.conversation_id",
                                     kJsonKeys),
                         {now, pg::keys_json(portion)}}));
    }
    return {};
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return std::move(*out);
}

Task<std::uint64_t> PgVectorStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  const auto gone = std::make_shared<std::uint64_t>(0);
  const auto wanted = std::make_shared<const std::vector<std::pair<Key, Digest>>>(std::move(rows));
  auto done = co_await write([gone, wanted](sql::Session& session) -> Result<void> {
    *gone = 0;
    std::vector<Key> moved, kept, all;
    for (const auto& [key, sum] : *wanted) (sum == Digest{} ? kept : all).push_back(key);
    for (const std::vector<Key>& portion : in_portions(std::move(all))) {
      ASAHI_TRY(const sql::Rows there, session.query(rows_of(portion)));
      for (std::size_t i = 0; i < there.size(); ++i) {
        if (there.integer(i, "twin") != 0) continue;
        ASAHI_TRY(const Memory memory, pg::read_row(there, i, SeenIn::kAdded));
        const auto same = [&](const auto& row) {
          return row.first == memory.key && row.second == row_checksum(memory);
        };
        if (std::ranges::any_of(*wanted, same)) moved.push_back(memory.key);
      }
    }
    for (const std::vector<Key>& portion : in_portions(std::move(kept))) {
      ASAHI_TRY(const auto freed,
                session.query({fmt::format("UPDATE akosha.conversations c SET marked_ns = NULL "
                                           "FROM {} WHERE c.tenant = k.tenant AND c.system_id = "
                                           "k.system_id AND c.conversation_id = k.conversation_id",
                                           kJsonKeys),
                               {pg::keys_json(portion)}}));
    }
    for (const std::vector<Key>& portion : in_portions(std::move(moved))) {
      // What repeats them went along, named in the copy's metadata.
      ASAHI_TRY(const auto twins,
                session.query({fmt::format("DELETE FROM akosha.conversations d USING {} JOIN "
                                           "akosha.conversations o USING (tenant, system_id, "
                                           "conversation_id) WHERE d.tenant = o.tenant AND "
                                           "d.content_hash = o.content_hash AND d.duplicate",
                                           kJsonKeys),
                               {pg::keys_json(portion)}}));
      ASAHI_TRY(const std::int64_t some, erase(session, portion));
      *gone += static_cast<std::uint64_t>(some);
    }
    return {};
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return *gone;
}

Task<std::uint64_t> PgVectorStore::replace_vectors(std::vector<NewVector> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto finite = [](float number) { return std::isfinite(number); };
    if (!std::ranges::all_of(rows[i].embedding, finite))
      co_return fail_field(fmt::format("rows[{}].embedding", i), "a number of it is not finite");
  }
  const auto count = std::make_shared<std::uint64_t>(0);
  const auto wanted = std::make_shared<const std::vector<NewVector>>(std::move(rows));
  auto done = co_await write([count, wanted](sql::Session& session) -> Result<void> {
    *count = 0;
    for (const NewVector& row : *wanted) {
      ASAHI_TRY(const bool replaced, replace_vector(session, row));
      *count += replaced ? 1 : 0;
    }
    return {};
  });
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return *count;
}

Task<std::map<std::string, std::uint64_t>> PgVectorStore::models(std::string tenant) {
  sql::Statement ask{fmt::format("SELECT embedding_model, count(*) AS records FROM "
                                 "akosha.conversations WHERE NOT duplicate{} GROUP BY 1",
                                 tenant.empty() ? "" : " AND tenant = ?"),
                     {}};
  if (!tenant.empty()) ask.params.emplace_back(tenant);
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_->query(std::move(ask)));
  std::map<std::string, std::uint64_t> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out[rows.text(i, "embedding_model")] = static_cast<std::uint64_t>(rows.integer(i, "records"));
  }
  co_return out;
}

Task<std::vector<std::optional<Digest>>> PgVectorStore::checksum(std::vector<Key> keys) {
  ASAHI_CO_TRY(const auto memories, co_await get(std::move(keys)));
  std::vector<std::optional<Digest>> out;
  for (const auto& memory : memories)
    out.push_back(memory ? std::optional(row_checksum(*memory)) : std::nullopt);
  co_return out;
}

Task<TierStats> PgVectorStore::stats(std::string tenant) {
  // All of the table with its indexes, or what the tenant's rows take of it.
  const std::string bytes = tenant.empty()
                                ? "pg_total_relation_size('akosha.conversations')"
                                : "COALESCE(CAST(sum(pg_column_size(c.*)) AS BIGINT), 0)";
  sql::Statement ask{fmt::format("SELECT count(*) FILTER (WHERE NOT duplicate) AS records, {} AS "
                                 "bytes, min(timestamp_ns) FILTER (WHERE NOT duplicate) AS oldest, "
                                 "max(timestamp_ns) FILTER (WHERE NOT duplicate) AS newest FROM "
                                 "akosha.conversations c{}",
                                 bytes, tenant.empty() ? "" : " WHERE tenant = ?"),
                     {}};
  if (!tenant.empty()) ask.params.emplace_back(tenant);
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_->query(std::move(ask)));
  TierStats out;
  out.records = static_cast<std::uint64_t>(rows.integer(0, "records"));
  out.bytes = static_cast<std::uint64_t>(rows.integer(0, "bytes"));
  if (out.records > 0) {
    out.oldest = time_of(rows.integer(0, "oldest"));
    out.newest = time_of(rows.integer(0, "newest"));
  }
  co_return out;
}

Task<std::vector<HeldFile>> PgVectorStore::snapshot(std::string folder, HeldSums) {
  HotOptions options;
  options.engine.folder = folder;
  options.engine.clock = options_.clock;
  ASAHI_CO_TRY(const auto copy, HotStore::open(std::move(options)));
  // First what has a row of its own, then what repeats it.
  for (const bool twins : {false, true}) {
    std::int64_t after = 0;
    for (;;) {
      ASAHI_CO_TRY(const sql::Rows rows,
                   co_await database_->query(
                       {fmt::format("SELECT {} FROM akosha.conversations c WHERE c.seq > ? AND "
                                    "c.duplicate = {} ORDER BY c.seq LIMIT {}",
                                    kRowColumns, twins ? "TRUE" : "FALSE", kSnapshotPage),
                        {after}}));
      if (rows.empty()) break;
      after = rows.integer(rows.size() - 1, "seq");
      std::vector<Memory> memories;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASAHI_CO_TRY(Memory memory, pg::read_row(rows, i, SeenIn::kLeftOut));
        memories.push_back(std::move(memory));
      }
      // No likeness is above 1: links stay as they are.
      ASAHI_CO_TRY(const auto copied,
                   co_await copy->upsert_batch(
                       std::move(memories), {.deduplicate = twins, .near_duplicate_threshold = 2}));
    }
  }
  co_return std::vector<HeldFile>{};
}

Result<std::string> PgVectorStore::feed_name() {
  ASAHI_TRY(const sql::Rows rows,
            database_->query_blocking({"SELECT name FROM akosha.feed LIMIT 1", {}}));
  if (rows.empty()) return fail(Errc::kCorrupt, "akosha.feed has no row");
  return rows.text(0, "name");
}

Result<std::uint64_t> PgVectorStore::last_written() {
  ASAHI_TRY(const sql::Rows rows,
            database_->query_blocking(
                {"SELECT COALESCE(max(seq), 0) AS last FROM akosha.conversations", {}}));
  return static_cast<std::uint64_t>(rows.integer(0, "last"));
}

Result<std::vector<PgVectorStore::Written>> PgVectorStore::written_since(std::uint64_t since,
                                                                         std::size_t limit) {
  ASAHI_TRY(const sql::Rows rows,
            database_->query_blocking(
                {fmt::format("SELECT {} FROM akosha.conversations c WHERE c.seq > ? ORDER BY c.seq "
                             "LIMIT {}",
                             kRowColumns, limit),
                 {static_cast<std::int64_t>(since)}}));
  std::vector<Written> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASAHI_TRY(Memory memory, pg::read_row(rows, i, SeenIn::kLeftOut));
    out.push_back({std::move(memory), static_cast<std::uint64_t>(rows.integer(i, "seq")),
                   rows.integer(i, "twin") != 0});
  }
  return out;
}

}  // namespace asahi::memory
