#include "identity/limits/migrations.h"

namespace asahi::identity {
namespace {

// One row per account, bucket and node: "2026-11-21T10:05" is five minutes, "2026-11" a month. Each
// node writes only its own rows, always with their whole value, so that writing one twice is
// harmless and no two nodes ever wait for each other. `spent` is text in SQLite, whose NUMERIC
// would make it binary floating point.
constexpr std::string_view kBudgetUsePostgres = R"sql(
CREATE TABLE budget_use (
  account VARCHAR(512) NOT NULL,
  bucket VARCHAR(16) NOT NULL,
  node VARCHAR(64) NOT NULL,
  spent NUMERIC(18,9) NOT NULL,
  requests BIGINT NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (account, bucket, node)
);
CREATE INDEX idx_budget_use_bucket ON budget_use (bucket);
)sql";

constexpr std::string_view kBudgetUseSqlite = R"sql(
CREATE TABLE budget_use (
  account TEXT NOT NULL,
  bucket TEXT NOT NULL,
  node TEXT NOT NULL,
  spent TEXT NOT NULL,
  requests INTEGER NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (account, bucket, node)
);
CREATE INDEX idx_budget_use_bucket ON budget_use (bucket);
)sql";

constexpr std::string_view kBudgetUseDown = R"sql(
DROP TABLE budget_use;
)sql";

}  // namespace

std::vector<sql::Migration> limits_migrations() {
  return {
      {.version = 250,
       .name = "budget_use",
       .up = {.sqlite = kBudgetUseSqlite, .postgres = kBudgetUsePostgres},
       .down = {.sqlite = kBudgetUseDown, .postgres = kBudgetUseDown}},
  };
}

}  // namespace asahi::identity
