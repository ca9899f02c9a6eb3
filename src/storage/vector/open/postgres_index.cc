#include "storage/vector/open/postgres_index.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <iterator>

#include "base/hash.h"
#include "base/json.h"
#include "base/json_out.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

constexpr std::size_t kRowsPerStatement = 50;
constexpr std::size_t kStatementsPerBatch = 10;
constexpr std::size_t kIdsPerStatement = 500;
/// pgvector's limit for an HNSW index over floats.
constexpr std::size_t kMaxIndexed = 2'000;
/// Any number that all replicas agree on: they make the table one after another.
constexpr std::int64_t kLock = 0x6173'6168'6976;

std::string vector_text(const std::vector<float>& unit) {
  std::string out = "[";
  for (const float number : unit) fmt::format_to(std::back_inserter(out), "{},", number);
  out.back() = ']';
  return out;
}

std::string metadata_text(const Metadata& metadata) {
  std::string text;
  JsonOut out(text);
  out.open_object();
  for (const Field& field : metadata) {
    out.key(std::string_view(field.name));
    if (const auto* string = std::get_if<std::string>(&field.value)) {
      out.string(*string);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      out.number(*number);
    } else {
      out.boolean(std::get<bool>(field.value));
    }
  }
  out.close_object();
  return text;
}

Result<Metadata> read_metadata(std::string_view text) {
  ASAHI_TRY(const json::value value, parse_json(text));
  const json::object* const object = value.if_object();
  if (object == nullptr) return fail(Errc::kCorrupt, "asahi_vectors.metadata holds no object");
  Metadata out;
  for (const auto& [key, member] : *object) {
    if (const auto* string = member.if_string()) {
      out.push_back({std::string(key), std::string(*string)});
    } else if (const auto* flag = member.if_bool()) {
      out.push_back({std::string(key), *flag});
    } else if (member.is_number()) {
      out.push_back({std::string(key), member.to_number<double>()});
    }
  }
  return out;
}

/// "0.8.1" -> 8, as long as it begins with 0; later ones are beyond all that is asked here.
int minor_version(const std::string& version) {
  int major = 0, minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return 0;
  return major > 0 ? 1'000 : minor;
}

class PostgresIndex final : public Index {
 public:
  PostgresIndex(Space space, std::string_view index_name, sql::Database& database)
      : space_(std::move(space)),
        collection_(collection_name(index_name, space_)),
        column_(fmt::format("CAST(embedding AS vector({}))", space_.dimensions)),
        database_(database) {}

  std::string_view backend() const override { return "postgres"; }
  const Space& space() const override { return space_; }

  Task<void> upsert(std::string tenant, std::vector<Item> items) override;
  Task<std::vector<Hit>> query(std::string tenant, Query query) override;
  Task<void> erase(std::string tenant, std::vector<std::string> ids) override;
  Task<void> erase_where(std::string tenant, Metadata filter) override;
  Task<void> erase_all(std::string tenant) override;
  Task<std::uint64_t> count(std::string tenant) override;
  Task<void> ping() override;

 private:
  Task<void> ready();
  Task<std::string> extension_version();
  Task<void> run(sql::Statement statement);
  /// Its rows, as a WHERE clause with one parameter: the tenant.
  std::string own() const { return fmt::format("collection = '{}' AND tenant = ?", collection_); }

  const Space space_;
  const std::string collection_;
  const std::string column_;
  sql::Database& database_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> iterative_{false};  ///< pgvector 0.8: filters do not cut the index's answers
};

Task<std::string> PostgresIndex::extension_version() {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT extversion FROM pg_extension WHERE extname = 'vector'", {}}));
  co_return rows.empty() ? std::string() : rows.text(0, "extversion");
}

Task<void> PostgresIndex::ready() {
  if (ready_.load(std::memory_order_relaxed)) co_return Result<void>();
  ASAHI_CO_TRY(std::string version, co_await extension_version());
  if (version.empty()) {
    const auto made = co_await database_.query({"CREATE EXTENSION IF NOT EXISTS vector", {}});
    if (made) {
      ASAHI_CO_TRY(version, co_await extension_version());
    }
    if (version.empty()) {
      co_return fail(
          Errc::kUnavailable,
          "this PostgreSQL has no pgvector: install it on the server (Debian: package "
          "postgresql-NN-pgvector), run CREATE EXTENSION vector as its administrator, or "
          "choose another vector_db.provider");
    }
  }
  const int minor = minor_version(version);
  if (minor < 5) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("this PostgreSQL has pgvector {}; at least 0.5 is needed", version));
  }
  std::vector<sql::Statement> make;
  make.push_back({"SELECT pg_advisory_xact_lock(CAST(? AS BIGINT))", {kLock}});
  make.push_back(
      {"CREATE TABLE IF NOT EXISTS asahi_vectors (collection TEXT NOT NULL, tenant TEXT "
       "NOT NULL, id TEXT NOT NULL, embedding vector NOT NULL, metadata JSONB NOT NULL, "
       "PRIMARY KEY (collection, tenant, id))",
       {}});
  if (minor >= 8 && space_.dimensions <= kMaxIndexed) {
    make.push_back(
        {fmt::format("CREATE INDEX IF NOT EXISTS asahi_vectors_{} ON asahi_vectors USING hnsw "
                     "(({}) vector_cosine_ops) WHERE collection = '{}'",
                     to_hex(sha256(collection_).data(), 6), column_, collection_),
         {}});
  }
  ASAHI_CO_TRY(const auto made, co_await database_.batch(std::move(make)));
  iterative_.store(minor >= 8, std::memory_order_relaxed);
  ready_.store(true, std::memory_order_relaxed);
  co_return Result<void>();
}

Task<void> PostgresIndex::run(sql::Statement statement) {
  if (auto ok = co_await ready(); !ok) co_return ok;
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  co_return Result<void>();
}

Task<void> PostgresIndex::upsert(std::string tenant, std::vector<Item> items) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_items(space_, items); !ok) co_return ok;
  if (auto ok = co_await ready(); !ok) co_return ok;
  items = without_replaced(std::move(items));
  std::vector<sql::Statement> batch;
  for (std::size_t at = 0; at < items.size();) {
    sql::Statement insert;
    insert.sql = "INSERT INTO asahi_vectors (collection, tenant, id, embedding, metadata) VALUES ";
    const std::size_t end = std::min(at + kRowsPerStatement, items.size());
    for (; at < end; ++at) {
      insert.sql += fmt::format("('{}', ?, ?, CAST(? AS vector({})), CAST(? AS jsonb)),",
                                collection_, space_.dimensions);
      insert.params.emplace_back(tenant);
      insert.params.emplace_back(items[at].id);
      insert.params.emplace_back(vector_text(unit_vector(items[at].vector)));
      insert.params.emplace_back(metadata_text(items[at].metadata));
    }
    insert.sql.back() = ' ';
    insert.sql +=
        "ON CONFLICT (collection, tenant, id) DO UPDATE SET embedding = EXCLUDED.embedding, "
        "metadata = EXCLUDED.metadata";
    batch.push_back(std::move(insert));
    if (batch.size() < kStatementsPerBatch && at < items.size()) continue;
    ASAHI_CO_TRY(const auto done, co_await database_.batch(std::exchange(batch, {})));
  }
  co_return Result<void>();
}

Task<std::vector<Hit>> PostgresIndex::query(std::string tenant, Query query) {
  if (auto ok = check_tenant(tenant); !ok) co_return std::unexpected(ok.error());
  if (auto ok = check_query(space_, query.vector, query.top_k, query.filter); !ok) {
    co_return std::unexpected(ok.error());
  }
  if (auto ok = co_await ready(); !ok) co_return std::unexpected(ok.error());
  const std::string vector = vector_text(unit_vector(query.vector));
  const std::string distance =
      fmt::format("{} <=> CAST(? AS vector({}))", column_, space_.dimensions);
  std::vector<sql::Statement> batch;
  if (iterative_.load(std::memory_order_relaxed)) {
    // Of the statement's transaction: the index is followed until enough rows pass the filter.
    batch.push_back({fmt::format("SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
                                 "set_config('hnsw.max_scan_tuples', '200000', true), "
                                 "set_config('hnsw.ef_search', '{}', true)",
                                 std::max<std::size_t>(query.top_k, 64)),
                     {}});
  }
  batch.push_back({fmt::format("SELECT tenant, id, metadata, 1 - ({0}) AS score FROM asahi_vectors "
                               "WHERE {1} AND metadata @> CAST(? AS jsonb) ORDER BY {0} LIMIT {2}",
                               distance, own(), query.top_k),
                   {vector, tenant, metadata_text(query.filter), vector}});
  ASAHI_CO_TRY(const std::vector<sql::Rows> answers, co_await database_.batch(std::move(batch)));
  const sql::Rows& rows = answers.back();
  std::vector<Hit> hits;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.text(i, "tenant") != tenant) continue;
    Hit hit{rows.text(i, "id"), clamp_score(rows.real(i, "score")), {}};
    if (query.with_metadata) {
      ASAHI_CO_TRY(hit.metadata, read_metadata(rows.text(i, "metadata")));
    }
    hits.push_back(std::move(hit));
  }
  co_return hits;
}

Task<void> PostgresIndex::erase(std::string tenant, std::vector<std::string> ids) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_ids(ids); !ok) co_return ok;
  for (std::size_t at = 0; at < ids.size();) {
    sql::Statement statement{"DELETE FROM asahi_vectors WHERE " + own() + " AND id IN (", {tenant}};
    const std::size_t end = std::min(at + kIdsPerStatement, ids.size());
    for (; at < end; ++at) {
      statement.sql += "?,";
      statement.params.emplace_back(ids[at]);
    }
    statement.sql.back() = ')';
    if (auto ok = co_await run(std::move(statement)); !ok) co_return ok;
  }
  co_return Result<void>();
}

Task<void> PostgresIndex::erase_where(std::string tenant, Metadata filter) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_erase_filter(space_, filter); !ok) co_return ok;
  co_return co_await run(
      {"DELETE FROM asahi_vectors WHERE " + own() + " AND metadata @> CAST(? AS jsonb)",
       {tenant, metadata_text(filter)}});
}

Task<void> PostgresIndex::erase_all(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  co_return co_await run({"DELETE FROM asahi_vectors WHERE " + own(), {tenant}});
}

Task<std::uint64_t> PostgresIndex::count(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return std::unexpected(ok.error());
  if (auto ok = co_await ready(); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT count(*) AS n FROM asahi_vectors WHERE " + own(), {tenant}}));
  co_return static_cast<std::uint64_t>(rows.integer(0, "n"));
}

Task<void> PostgresIndex::ping() {
  if (auto ok = co_await ready(); !ok) co_return ok;
  co_return co_await database_.ping();
}

}  // namespace

std::unique_ptr<Index> make_postgres(Space space, std::string index_name, sql::Database& database) {
  return std::make_unique<PostgresIndex>(std::move(space), index_name, database);
}

}  // namespace asahi::vector
