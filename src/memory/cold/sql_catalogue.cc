#include "memory/cold/sql_catalogue.h"

#include <string>

namespace asahi::memory::cold {

namespace {

// `body` is the whole row (catalogue.h); the columns beside it are for people who look.
constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_cold_files (
  object_key TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('writing', 'live', 'retired')),
  row_count BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  tombstones BIGINT NOT NULL,
  oldest TEXT NOT NULL,
  newest TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX memory_cold_files_owner ON memory_cold_files (tenant, system_id);
CREATE TABLE memory_cold_revision (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision BIGINT NOT NULL
);
INSERT INTO memory_cold_revision (id, revision) VALUES (1, 0);
)sql";
constexpr std::string_view kDown = R"sql(
DROP TABLE memory_cold_files;
DROP TABLE memory_cold_revision;
)sql";

constexpr std::string_view kPut =
    "INSERT INTO memory_cold_files (object_key, tenant, system_id, state, row_count, bytes,"
    " tombstones, oldest, newest, sha256, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (object_key) DO UPDATE SET state = excluded.state,"
    " row_count = excluded.row_count, bytes = excluded.bytes, tombstones = excluded.tombstones,"
    " oldest = excluded.oldest, newest = excluded.newest, sha256 = excluded.sha256,"
    " body = excluded.body";

std::string state_text(FileState state) {
  switch (state) {
    case FileState::kWriting:
      return "writing";
    case FileState::kLive:
      return "live";
    case FileState::kRetired:
      return "retired";
  }
  return "retired";
}

sql::Statement put_statement(const ColdFile& file) {
  return {std::string(kPut),
          {file.key, file.tenant, file.system_id, state_text(file.state),
           static_cast<std::int64_t>(file.rows), static_cast<std::int64_t>(file.bytes),
           static_cast<std::int64_t>(file.tombstones.size()), format_rfc3339(file.oldest),
           format_rfc3339(file.newest), to_hex(file.sha256), file_text(file)}};
}

}  // namespace

std::vector<sql::Migration> catalogue_migrations() {
  return {{.version = 310,
           .name = "memory_cold_files",
           .up = {.sqlite = kUp, .postgres = kUp},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

Result<std::vector<ColdFile>> SqlCatalogue::load() {
  std::vector<ColdFile> files;
  std::int64_t revision = -1;
  auto done = database_.transaction_blocking([&](sql::Session& session) -> Result<void> {
    files.clear();
    // The number first: a commit in between makes the list newer than the number, never older.
    ASAHI_TRY(const sql::Rows known,
              session.query({"SELECT revision FROM memory_cold_revision WHERE id = 1", {}}));
    if (known.empty())
      return fail(Errc::kCorrupt, "the cold catalogue has lost its revision; restore it");
    revision = known.integer(0, "revision");
    ASAHI_TRY(const sql::Rows rows,
              session.query({"SELECT body FROM memory_cold_files ORDER BY object_key", {}}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASAHI_TRY(ColdFile file, parse_file(rows.text(i, "body")));
      files.push_back(std::move(file));
    }
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  revision_ = revision;
  return files;
}

Result<void> SqlCatalogue::commit(const CatalogueChange& change) {
  bool overtaken = false;
  auto done = database_.transaction_blocking([&](sql::Session& session) -> Result<void> {
    ASAHI_TRY(const sql::Rows taken,
              session.query({"UPDATE memory_cold_revision SET revision = revision + 1"
                             " WHERE id = 1 AND revision = ?",
                             {revision_}}));
    overtaken = taken.affected() == 0;
    if (overtaken) return fail(Errc::kUnavailable, "another process has changed the cold tier");
    for (const std::string& key : change.removed) {
      auto gone = session.query({"DELETE FROM memory_cold_files WHERE object_key = ?", {key}});
      if (!gone) return std::unexpected(std::move(gone.error()));
    }
    for (const ColdFile& file : change.put) {
      auto put = session.query(put_statement(file));
      if (!put) return std::unexpected(std::move(put.error()));
    }
    return {};
  });
  if (overtaken) {
    return fail(Errc::kConflict, "another process has changed the cold tier meanwhile; try again");
  }
  if (!done) return done;
  ++revision_;
  return {};
}

Result<bool> SqlCatalogue::changed() {
  ASAHI_TRY(
      const sql::Rows rows,
      database_.query_blocking({"SELECT revision FROM memory_cold_revision WHERE id = 1", {}}));
  return rows.empty() || rows.integer(0, "revision") != revision_;
}

}  // namespace asahi::memory::cold
