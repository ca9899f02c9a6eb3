#include "gateway/cache/semantic/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "gateway/cache/semantic/threshold.h"

namespace asahi::gateway::semantic {
namespace {

constexpr std::string_view kPostgres = R"sql(
CREATE TABLE semantic_entries (
  seq BIGSERIAL PRIMARY KEY,
  org_id VARCHAR(255) NOT NULL,
  entry_id VARCHAR(32) NOT NULL,
  embedder VARCHAR(255) NOT NULL,
  query TEXT NOT NULL,
  task_type VARCHAR(100) NOT NULL,
  context_digest BIGINT NOT NULL,
  answer TEXT NOT NULL,
  answer_digest BIGINT NOT NULL,
  vector BYTEA,
  evidence TEXT NOT NULL DEFAULT '',
  hits BIGINT NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  UNIQUE (org_id, entry_id)
);
CREATE INDEX idx_semantic_entries_embedder ON semantic_entries (embedder, seq);
CREATE INDEX idx_semantic_entries_expires_at ON semantic_entries (expires_at);
CREATE TABLE semantic_knowledge (
  org_id VARCHAR(255) NOT NULL,
  embedder VARCHAR(255) NOT NULL,
  content TEXT NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (org_id, embedder)
);
)sql";

constexpr std::string_view kSqlite = R"sql(
CREATE TABLE semantic_entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  org_id TEXT NOT NULL,
  entry_id TEXT NOT NULL,
  embedder TEXT NOT NULL,
  query TEXT NOT NULL,
  task_type TEXT NOT NULL,
  context_digest INTEGER NOT NULL,
  answer TEXT NOT NULL,
  answer_digest INTEGER NOT NULL,
  vector BLOB,
  evidence TEXT NOT NULL DEFAULT '',
  hits INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  UNIQUE (org_id, entry_id)
);
CREATE INDEX idx_semantic_entries_embedder ON semantic_entries (embedder, seq);
CREATE INDEX idx_semantic_entries_expires_at ON semantic_entries (expires_at);
CREATE TABLE semantic_knowledge (
  org_id TEXT NOT NULL,
  embedder TEXT NOT NULL,
  content TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (org_id, embedder)
);
)sql";

constexpr std::string_view kDown = R"sql(
DROP TABLE semantic_knowledge;
DROP TABLE semantic_entries;
)sql";

constexpr std::string_view kEarlierUp =
    "ALTER TABLE semantic_entries ADD COLUMN earlier TEXT NOT NULL DEFAULT '';";
constexpr std::string_view kEarlierDown = "ALTER TABLE semantic_entries DROP COLUMN earlier;";

/// Everything but the answer, which is long.
constexpr std::string_view kColumns =
    "seq, org_id, entry_id, embedder, query, task_type, context_digest, answer_digest, vector, "
    "evidence, hits, created_at, expires_at, earlier";

std::int64_t to_column(std::uint64_t digest) { return std::bit_cast<std::int64_t>(digest); }
std::uint64_t from_column(std::int64_t digest) { return std::bit_cast<std::uint64_t>(digest); }

/// Little-endian binary32, as the machines that Asahi runs on have it.
sql::Value bytes_of(const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little);
  if (vector.empty()) return std::monostate{};
  std::string bytes(vector.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return sql::Blob{std::move(bytes)};
}

std::unexpected<Error> unreadable(const sql::Rows& rows, std::size_t row, std::string_view column) {
  return fail(Errc::kCorrupt,
              fmt::format("column {} of entry '{}' in semantic_entries cannot be read", column,
                          rows.text(row, "entry_id")));
}

Result<EntryRow> entry_of(const sql::Rows& rows, std::size_t row) {
  EntryRow entry{.org = rows.text(row, "org_id"),
                 .id = rows.text(row, "entry_id"),
                 .embedder = rows.text(row, "embedder"),
                 .query = rows.text(row, "query"),
                 .task = rows.text(row, "task_type"),
                 .context_digest = from_column(rows.integer(row, "context_digest")),
                 .earlier = rows.text(row, "earlier"),
                 .answer = {},
                 .answer_digest = from_column(rows.integer(row, "answer_digest")),
                 .vector = {},
                 .evidence = rows.text(row, "evidence"),
                 .hits = rows.integer(row, "hits"),
                 .created = {},
                 .expires = {}};
  if (const auto* blob = std::get_if<sql::Blob>(&rows.at(row, "vector"))) {
    if (blob->bytes.size() % sizeof(float) != 0) return unreadable(rows, row, "vector");
    entry.vector.resize(blob->bytes.size() / sizeof(float));
    std::memcpy(entry.vector.data(), blob->bytes.data(), blob->bytes.size());
  }
  const auto created = parse_rfc3339(rows.text(row, "created_at"));
  if (!created) return unreadable(rows, row, "created_at");
  const auto expires = parse_rfc3339(rows.text(row, "expires_at"));
  if (!expires) return unreadable(rows, row, "expires_at");
  entry.created = *created;
  entry.expires = *expires;
  return entry;
}

std::string placeholders(std::size_t count) {
  std::string text = "?";
  for (std::size_t i = 1; i < count; ++i) text += ", ?";
  return text;
}

}  // namespace

Task<void> EntryRows::put(std::vector<EntryRow> entries) {
  std::vector<sql::Statement> statements;
  for (EntryRow& entry : entries) {
    // Deleted first: the new row has a new number, by which other processes see that it is new.
    statements.push_back(
        {"DELETE FROM semantic_entries WHERE org_id = ? AND entry_id = ?", {entry.org, entry.id}});
    statements.push_back(
        {"INSERT INTO semantic_entries (org_id, entry_id, embedder, query, task_type, "
         "context_digest, answer, answer_digest, vector, evidence, hits, created_at, expires_at, "
         "earlier) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, "
         "entry_id) DO NOTHING",
         {std::move(entry.org), std::move(entry.id), std::move(entry.embedder),
          std::move(entry.query), std::move(entry.task), to_column(entry.context_digest),
          std::move(entry.answer), to_column(entry.answer_digest), bytes_of(entry.vector),
          std::move(entry.evidence), entry.hits, format_rfc3339(entry.created),
          format_rfc3339(entry.expires), std::move(entry.earlier)}});
  }
  if (statements.empty()) co_return Result<void>{};
  auto done = co_await database_.batch(std::move(statements));
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return Result<void>{};
}

Task<EntryRows::Page> EntryRows::after(std::int64_t last, std::string embedder, Clock::Time now,
                                       std::size_t limit) const {
  auto rows = co_await database_.query(
      {fmt::format("SELECT {} FROM semantic_entries WHERE embedder = ? AND seq > ? AND "
                   "expires_at > ? ORDER BY seq LIMIT {}",
                   kColumns, limit),
       {std::move(embedder), last, format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  Page page{.entries = {}, .last = last, .more = rows->size() == limit};
  page.entries.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    page.last = rows->integer(row, "seq");
    // One that cannot be read is a hit less; the others must not wait for it.
    if (auto entry = entry_of(*rows, row)) page.entries.push_back(*std::move(entry));
  }
  co_return page;
}

Task<std::vector<EntryRow>> EntryRows::list(std::string org, std::string before_id,
                                            std::size_t limit) const {
  std::vector<sql::Value> params{org};
  std::string where = "org_id = ?";
  if (!before_id.empty()) {
    where += " AND seq < (SELECT seq FROM semantic_entries WHERE org_id = ? AND entry_id = ?)";
    params.emplace_back(std::move(org));
    params.emplace_back(std::move(before_id));
  }
  auto rows = co_await database_.query(
      {fmt::format("SELECT {}, answer FROM semantic_entries WHERE {} ORDER BY seq DESC LIMIT {}",
                   kColumns, where, limit),
       std::move(params)});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  std::vector<EntryRow> entries;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto entry = entry_of(*rows, row);
    if (!entry) co_return std::unexpected(std::move(entry.error()));
    entry->answer = rows->text(row, "answer");
    entries.push_back(*std::move(entry));
  }
  co_return entries;
}

Task<std::optional<EntryRows::Stored>> EntryRows::answer(std::string org, std::string id,
                                                         Clock::Time now) const {
  auto rows =
      co_await database_.query({"SELECT answer, evidence FROM semantic_entries "
                                "WHERE org_id = ? AND entry_id = ? AND expires_at > ?",
                                {std::move(org), std::move(id), format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  if (rows->empty()) co_return std::optional<Stored>{};
  co_return Stored{rows->text(0, "answer"), rows->text(0, "evidence")};
}

Task<std::optional<EntryRow>> EntryRows::get(std::string org, std::string id) const {
  auto rows = co_await database_.query(
      {fmt::format("SELECT {}, answer FROM semantic_entries WHERE org_id = ? AND entry_id = ?",
                   kColumns),
       {std::move(org), std::move(id)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  if (rows->empty()) co_return std::optional<EntryRow>{};
  auto entry = entry_of(*rows, 0);
  if (!entry) co_return std::unexpected(std::move(entry.error()));
  entry->answer = rows->text(0, "answer");
  co_return std::optional<EntryRow>(*std::move(entry));
}

Task<void> EntryRows::learn(std::vector<Learned> learned) {
  // In one order everywhere: two processes that learn about the same entries then wait for each
  // other rather than block each other.
  std::ranges::sort(learned, {}, [](const Learned& one) { return std::pair(one.org, one.id); });
  if (learned.empty()) co_return Result<void>{};
  const auto shared = std::make_shared<const std::vector<Learned>>(std::move(learned));
  co_return co_await database_.transaction([shared](sql::Session& session) -> Result<void> {
    const std::string_view lock = session.dialect() == sql::Dialect::kPostgres ? " FOR UPDATE" : "";
    for (const Learned& one : *shared) {
      ASAHI_TRY(const sql::Rows rows,
                session.query({fmt::format("SELECT evidence FROM semantic_entries "
                                           "WHERE org_id = ? AND entry_id = ?{}",
                                           lock),
                               {one.org, one.id}}));
      if (rows.empty()) continue;
      std::string evidence = one.evidence;
      const auto stored = EntryEvidence::decode(rows.text(0, "evidence"));
      if (auto own = EntryEvidence::decode(one.evidence); own && stored) {
        own->merge(*stored);
        evidence = own->encode();
      }
      if (auto done = session.query({"UPDATE semantic_entries SET evidence = ?, hits = hits + ? "
                                     "WHERE org_id = ? AND entry_id = ?",
                                     {std::move(evidence), one.new_hits, one.org, one.id}});
          !done) {
        return std::unexpected(std::move(done.error()));
      }
    }
    return {};
  });
}

Task<std::int64_t> EntryRows::erase(std::string org, std::vector<std::string> ids) {
  if (ids.empty()) co_return 0;
  std::vector<sql::Value> params{std::move(org)};
  for (std::string& id : ids) params.emplace_back(std::move(id));
  auto rows = co_await database_.query(
      {fmt::format("DELETE FROM semantic_entries WHERE org_id = ? AND entry_id IN ({})",
                   placeholders(params.size() - 1)),
       std::move(params)});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->affected();
}

Task<std::int64_t> EntryRows::erase_all(std::string org) {
  auto rows =
      co_await database_.query({"DELETE FROM semantic_entries WHERE org_id = ?", {std::move(org)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->affected();
}

Task<std::int64_t> EntryRows::erase_expired(std::string org, Clock::Time now) {
  auto rows =
      co_await database_.query({"DELETE FROM semantic_entries WHERE org_id = ? AND expires_at <= ?",
                                {std::move(org), format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->affected();
}

Task<std::int64_t> EntryRows::sweep(Clock::Time now) {
  auto rows = co_await database_.query(
      {"DELETE FROM semantic_entries WHERE expires_at <= ?", {format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->affected();
}

Task<std::int64_t> EntryRows::count(std::string org, Clock::Time now) const {
  auto rows = co_await database_.query(
      {"SELECT COUNT(*) AS entries FROM semantic_entries WHERE org_id = ? AND expires_at > ?",
       {std::move(org), format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->integer(0, "entries");
}

Task<std::string> EntryRows::knowledge(std::string org, std::string embedder) const {
  auto rows = co_await database_.query(
      {"SELECT content FROM semantic_knowledge WHERE org_id = ? AND embedder = ?",
       {std::move(org), std::move(embedder)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->empty() ? std::string() : rows->text(0, "content");
}

Task<void> EntryRows::keep_knowledge(std::string org, std::string embedder, std::string text,
                                     Clock::Time now) {
  auto rows = co_await database_.query(
      {"INSERT INTO semantic_knowledge (org_id, embedder, content, updated_at) VALUES (?, ?, ?, ?) "
       "ON CONFLICT (org_id, embedder) DO UPDATE SET content = excluded.content, "
       "updated_at = excluded.updated_at",
       {std::move(org), std::move(embedder), std::move(text), format_rfc3339(now)}});
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return Result<void>{};
}

Task<bool> EntryRows::exchange_knowledge(std::string org, std::string embedder, std::string before,
                                         std::string text, Clock::Time now) {
  sql::Statement statement;
  if (before.empty()) {
    statement = {
        "INSERT INTO semantic_knowledge (org_id, embedder, content, updated_at) "
        "VALUES (?, ?, ?, ?) ON CONFLICT (org_id, embedder) DO NOTHING",
        {std::move(org), std::move(embedder), std::move(text), format_rfc3339(now)}};
  } else {
    statement = {
        "UPDATE semantic_knowledge SET content = ?, updated_at = ? "
        "WHERE org_id = ? AND embedder = ? AND content = ?",
        {std::move(text), format_rfc3339(now), std::move(org), std::move(embedder),
         std::move(before)}};
  }
  auto rows = co_await database_.query(std::move(statement));
  if (!rows) co_return std::unexpected(std::move(rows.error()));
  co_return rows->affected() == 1;
}

std::vector<sql::Migration> entries_migrations() {
  return {{.version = 120,
           .name = "semantic_entries",
           .up = {.sqlite = kSqlite, .postgres = kPostgres},
           .down = {.sqlite = kDown, .postgres = kDown}},
          {.version = 121,
           .name = "semantic_entries_earlier",
           .up = {.sqlite = kEarlierUp, .postgres = kEarlierUp},
           .down = {.sqlite = kEarlierDown, .postgres = kEarlierDown}}};
}

}  // namespace asahi::gateway::semantic
