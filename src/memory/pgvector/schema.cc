#include "memory/pgvector/schema.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "base/ids.h"

namespace asahi::memory::pg {
namespace {

/// pgvector's limit for an HNSW index over floats.
constexpr std::size_t kMostIndexed = 2'000;

/// `raw`: the content where it holds U+0000. `terms`, `frequencies`, `words`: what BM25 counts;
/// `facts`: metadata as "field\x1Fvalue"; `bands`: of the fingerprint; `marked_ns`: ageing has it
/// since; `seq`: the place of the last writing. Keys compare by bytes, as everywhere.
constexpr const char* kTable = R"(
CREATE SCHEMA IF NOT EXISTS akosha;
CREATE SEQUENCE IF NOT EXISTS akosha.writings;
CREATE TABLE IF NOT EXISTS akosha.feed (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS akosha.conversations (
  tenant TEXT COLLATE "C" NOT NULL,
  system_id TEXT COLLATE "C" NOT NULL,
  conversation_id TEXT COLLATE "C" NOT NULL,
  content TEXT NOT NULL,
  raw BYTEA,
  embedding vector,
  embedding_model TEXT NOT NULL,
  timestamp_ns BIGINT NOT NULL,
  uploaded_ns BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  content_hash BYTEA NOT NULL,
  fingerprint BYTEA NOT NULL,
  near_system TEXT,
  near_conversation TEXT,
  terms TEXT[] NOT NULL,
  frequencies INTEGER[] NOT NULL,
  words INTEGER NOT NULL,
  facts TEXT[] NOT NULL,
  bands BIGINT[] NOT NULL,
  duplicate BOOLEAN NOT NULL,
  marked_ns BIGINT,
  seq BIGINT NOT NULL,
  PRIMARY KEY (tenant, system_id, conversation_id));
CREATE INDEX IF NOT EXISTS conversations_hash ON akosha.conversations (tenant, content_hash, seq);
CREATE INDEX IF NOT EXISTS conversations_twins ON akosha.conversations (tenant, content_hash) WHERE duplicate;
CREATE INDEX IF NOT EXISTS conversations_time ON akosha.conversations (tenant, timestamp_ns DESC);
CREATE INDEX IF NOT EXISTS conversations_age ON akosha.conversations (timestamp_ns) WHERE NOT duplicate;
CREATE UNIQUE INDEX IF NOT EXISTS conversations_seq ON akosha.conversations (seq);
CREATE INDEX IF NOT EXISTS conversations_terms ON akosha.conversations USING gin (terms);
CREATE INDEX IF NOT EXISTS conversations_facts ON akosha.conversations USING gin (facts);
CREATE INDEX IF NOT EXISTS conversations_bands ON akosha.conversations USING gin (bands);
)";

/// "0.8.1" -> 8, as long as it begins with 0; later ones are beyond all that is asked here.
int minor_version(const std::string& version) {
  int major = 0, minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return 0;
  return major > 0 ? 1'000 : minor;
}

Result<std::string> extension_version(sql::Database& database) {
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking(
                {"SELECT extversion FROM pg_extension WHERE extname = 'vector'", {}}));
  return rows.empty() ? std::string() : rows.text(0, "extversion");
}

}  // namespace

Result<Server> prepare(sql::Database& database, std::size_t dimensions) {
  if (database.dialect() != sql::Dialect::kPostgres)
    return fail_field("memory.hot.pg_url",
                      "the backend pgvector needs a PostgreSQL: postgres://user@host/name");
  ASAHI_TRY(std::string version, extension_version(database));
  if (version.empty()) {
    // Who owns the database may; else its administrator must.
    const auto made = database.query_blocking({"CREATE EXTENSION IF NOT EXISTS vector", {}});
    if (made) {
      ASAHI_TRY(version, extension_version(database));
    }
  }
  if (version.empty())
    return fail(Errc::kUnavailable,
                "this PostgreSQL has no extension 'vector', which memory.hot.backend: pgvector "
                "needs: install it on the server ('apt-get install postgresql-NN-pgvector' with "
                "the server's version for NN), then run 'CREATE EXTENSION vector' in the database "
                "as its administrator");
  const int minor = minor_version(version);
  if (minor < 5)
    return fail(Errc::kUnavailable,
                fmt::format("this PostgreSQL has pgvector {}; at least 0.5 is needed: install a "
                            "later one and run 'ALTER EXTENSION vector UPDATE'",
                            version));
  auto made = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    ASAHI_TRY(const auto locked,
              session.query({"SELECT pg_advisory_xact_lock(CAST(? AS BIGINT))", {kWriterLock}}));
    if (auto ok = session.script(kTable); !ok) return ok;
    if (dimensions <= kMostIndexed) {
      auto ok = session.script(fmt::format(
          "CREATE INDEX IF NOT EXISTS conversations_hnsw_{0} ON akosha.conversations USING hnsw "
          "((CAST(embedding AS vector({0}))) vector_cosine_ops) WITH (m = 16, ef_construction = "
          "200) WHERE vector_dims(embedding) = {0} AND NOT duplicate",
          dimensions));
      if (!ok) return ok;
    }
    ASAHI_TRY(const auto named,
              session.query({"INSERT INTO akosha.feed (name) SELECT CAST(? AS TEXT) WHERE NOT "
                             "EXISTS (SELECT 1 FROM akosha.feed)",
                             {random_id("", 24)}}));
    return {};
  });
  if (!made) return std::unexpected(std::move(made.error()));
  return Server{.iterative = minor >= 8};
}

}  // namespace asahi::memory::pg
