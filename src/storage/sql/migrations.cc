#include "storage/sql/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/hash.h"

namespace asahi::sql {
namespace {

/// Any constant will do, as long as every replica uses it: "asahi" in ASCII.
constexpr std::int64_t kAdvisoryLock = 0x6173616869;

struct Applied {
  std::string name;
  std::string checksum;
  std::string applied_at;
};
using AppliedByVersion = std::map<int, Applied>;

std::string_view pick(const Migration::Sql& sql, Dialect dialect) {
  return dialect == Dialect::kSqlite ? sql.sqlite : sql.postgres;
}

std::string checksum_of(const Migration& migration, Dialect dialect) {
  std::string text(pick(migration.up, dialect));
  text += '\0';
  text += pick(migration.down, dialect);
  return to_hex(sha256(text));
}

/// Lets one migrator at a time go on, and makes the table that remembers.
Result<void> lock(Session& session) {
  if (session.dialect() == Dialect::kPostgres) {
    // A serializable transaction would look at the schema as it was before it waited for the lock.
    // The lock is one of the transaction, not of the session, so that it works through PgBouncer.
    const auto locked =
        session.script(fmt::format("SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
                                   "SELECT pg_advisory_xact_lock({})",
                                   kAdvisoryLock));
    if (!locked) return locked;
    return session.script(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
        "NULL,"
        " checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL)");
  }
  return session.script(  // the transaction is immediate: it holds the write lock already
      "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
      "NULL,"
      " checksum TEXT NOT NULL, applied_at TEXT NOT NULL)");
}

Result<AppliedByVersion> read_applied(Session& session) {
  ASAHI_TRY(
      auto rows,
      session.query({"SELECT version, name, checksum, applied_at FROM schema_migrations", {}}));
  AppliedByVersion applied;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    applied[static_cast<int>(rows.integer(i, "version"))] = {
        rows.text(i, "name"), rows.text(i, "checksum"), rows.text(i, "applied_at")};
  }
  return applied;
}

/// Refuses to go on when the database and the program disagree about what ran.
Result<void> check(const AppliedByVersion& applied, const std::vector<Migration>& known,
                   Dialect dialect) {
  for (const auto& [version, row] : applied) {
    const auto found = std::ranges::find(known, version, &Migration::version);
    if (found == known.end()) {
      return fail(
          Errc::kCorrupt,
          fmt::format("the database has migration {} '{}', which this program does not know; run "
                      "a newer program, or downgrade with the one that applied it",
                      version, row.name));
    }
    if (checksum_of(*found, dialect) != row.checksum) {
      return fail(
          Errc::kCorrupt,
          fmt::format("migration {} '{}' was edited after it had been applied at {}; restore its "
                      "script and put the change into a new migration",
                      version, row.name, row.applied_at));
    }
  }
  return {};
}

Result<void> check_numbers(const std::vector<Migration>& migrations) {
  int previous = 0;
  for (const auto& migration : migrations) {
    if (migration.version <= previous) {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("migration '{}' has version {}, which is not above 0 or is used twice",
                      migration.name, migration.version));
    }
    previous = migration.version;
  }
  return {};
}

/// Names the migration in the error of its script.
std::unexpected<Error> failed(const Migration& migration, std::string_view direction, Error error) {
  error.message = fmt::format("migration {} '{}' {}: {}", migration.version, migration.name,
                              direction, error.message);
  return std::unexpected(std::move(error));
}

}  // namespace

Migrator::Migrator(Database& database, std::vector<Migration> migrations)
    : database_(database), migrations_(std::move(migrations)) {
  std::ranges::sort(migrations_, {}, &Migration::version);
}

Result<std::vector<int>> Migrator::upgrade() {
  if (auto ok = check_numbers(migrations_); !ok) return std::unexpected(ok.error());
  std::vector<int> versions;
  while (true) {
    // One per transaction. What is pending is looked up anew each time: another replica may be at
    // it too.
    std::optional<int> version;
    auto done = database_.transaction_blocking([&](Session& session) -> Result<void> {
      version.reset();
      if (auto ok = lock(session); !ok) return ok;
      ASAHI_TRY(const auto applied, read_applied(session));
      if (auto ok = check(applied, migrations_, session.dialect()); !ok) return ok;
      const auto next = std::ranges::find_if(migrations_, [&](const Migration& migration) {
        return !applied.contains(migration.version);
      });
      if (next == migrations_.end()) {
        // What the changes of the schema have filled SQLite's page cache with is not asked for
        // again.
        const bool filled = session.dialect() == Dialect::kSqlite && !versions.empty();
        return filled ? session.script("PRAGMA shrink_memory") : Result<void>{};
      }
      if (auto ok = session.script(pick(next->up, session.dialect())); !ok) {
        return failed(*next, "up", std::move(ok).error());
      }
      const std::string now = session.dialect() == Dialect::kSqlite
                                  ? "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
                                  : "clock_timestamp()";
      auto noted = session.query(
          {"INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, " +
               now + ")",
           {std::int64_t{next->version}, std::string(next->name),
            checksum_of(*next, session.dialect())}});
      if (!noted) return std::unexpected(noted.error());
      version = next->version;
      return {};
    });
    if (!done) return std::unexpected(done.error());
    if (!version) return versions;
    versions.push_back(*version);
  }
}

Result<std::vector<int>> Migrator::downgrade(int steps) {
  if (auto ok = check_numbers(migrations_); !ok) return std::unexpected(ok.error());
  if (steps < 0) return fail(Errc::kInvalidArgument, "the number of steps to downgrade is below 0");
  std::vector<int> versions;
  while (static_cast<int>(versions.size()) < steps) {
    std::optional<int> version;
    auto done = database_.transaction_blocking([&](Session& session) -> Result<void> {
      version.reset();
      if (auto ok = lock(session); !ok) return ok;
      ASAHI_TRY(const auto applied, read_applied(session));
      if (auto ok = check(applied, migrations_, session.dialect()); !ok) return ok;
      if (applied.empty()) return {};
      const int newest = applied.rbegin()->first;
      const auto& migration = *std::ranges::find(migrations_, newest, &Migration::version);
      if (auto ok = session.script(pick(migration.down, session.dialect())); !ok) {
        return failed(migration, "down", std::move(ok).error());
      }
      auto forgotten = session.query(
          {"DELETE FROM schema_migrations WHERE version = ?", {std::int64_t{newest}}});
      if (!forgotten) return std::unexpected(forgotten.error());
      version = newest;
      return {};
    });
    if (!done) return std::unexpected(done.error());
    if (!version) break;
    versions.push_back(*version);
  }
  return versions;
}

Result<std::vector<MigrationStatus>> Migrator::status() {
  if (auto ok = check_numbers(migrations_); !ok) return std::unexpected(ok.error());
  AppliedByVersion applied;
  auto read = database_.transaction_blocking([&](Session& session) -> Result<void> {
    applied.clear();
    const char* exists =
        session.dialect() == Dialect::kSqlite
            ? "SELECT name FROM sqlite_master WHERE name = 'schema_migrations'"
            : "SELECT 1 AS name WHERE to_regclass('schema_migrations') IS NOT NULL";
    ASAHI_TRY(const auto table, session.query({exists, {}}));
    if (table.empty()) return {};
    ASAHI_TRY(applied, read_applied(session));
    return {};
  });
  if (!read) return std::unexpected(read.error());

  std::vector<MigrationStatus> all;
  for (const auto& migration : migrations_) {
    MigrationStatus status{migration.version, std::string(migration.name), false, {}, false};
    if (const auto found = applied.find(migration.version); found != applied.end()) {
      status.applied = true;
      status.applied_at = found->second.applied_at;
      status.changed = found->second.checksum != checksum_of(migration, database_.dialect());
      applied.erase(found);
    }
    all.push_back(std::move(status));
  }
  for (auto& [version, row] : applied) {  // applied by a newer program
    all.push_back({version, row.name, true, row.applied_at, true});
  }
  std::ranges::sort(all, {}, &MigrationStatus::version);
  return all;
}

}  // namespace asahi::sql
