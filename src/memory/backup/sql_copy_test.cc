#include "memory/backup/sql_copy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "base/ids.h"
#include "memory/module.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// The memory's whole schema, on each engine, with some rows in it.
class SqlCopyContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    root_ = (fs::temp_directory_path() / random_id("asahi-sql-copy-", 12)).string();
    fs::create_directories(root_);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  void run(const std::string& statement, std::vector<sql::Value> params = {}) {
    const auto done = db_->query_blocking({statement, std::move(params)});
    ASSERT_TRUE(done) << statement << ": " << done.error().message;
  }
  std::int64_t number(const std::string& statement) {
    return db_->query_blocking({statement, {}}).value().integer(0, "n");
  }
  /// Rows of every kind of value, and more than a page of one table.
  void fill() {
    run("INSERT INTO memory_uploads (row_id, tenant, system_id, upload_id, origin, state, priority,"
        " attempts, fence, due_at_ms, position, error, discovered_at_ms, updated_at_ms)"
        " VALUES (?, 'acme', 'desk', 'u1', 'push', 'done', 0, 1, ?, 5, 0, ?, 1, 2)",
        {std::string("row"), std::numeric_limits<std::int64_t>::max(),
         std::string("a \"quoted\"\nline, ü, \x01")});
    run("INSERT INTO memory_migrations (id, org_id, source_tier, target_tier, batch_size, dry_run,"
        " state, requested_at_ms) VALUES ('mig_1', 'acme', 'hot', 'warm', 5, 0, 'running', 1)");
    run("INSERT INTO memory_graphs (tenant, epoch, next_fact, last_record_ns)"
        " VALUES ('acme', 7, 1, ?)",
        {std::numeric_limits<std::int64_t>::min()});
    for (int from = 0; from < 4'500; from += 500) {
      std::string values;
      for (int i = from; i < from + 500; ++i)
        values += fmt::format("{}('acme', 's{}', 'c{}', '[]')", i == from ? "" : ", ", i % 7, i);
      run("INSERT INTO memory_graph_sources (tenant, system_id, conversation_id, entities) "
          "VALUES " +
          values);
    }
    run("INSERT INTO memory_metric_points (tenant, metric, at_ms, row_id, system_id, value, "
        "metadata)"
        " VALUES ('acme', 'm', 1, 'a', 'desk', ?, '{}'), ('acme', 'm', 2, 'b', 'desk', ?, '{}'),"
        " ('acme', 'm', 3, 'c', 'desk', ?, '{}')",
        {0.1, 1e308, 3.0});
    run("INSERT INTO memory_webhooks (tenant, webhook_id, url, alert_types, created_at_ms,"
        " created_by) VALUES ('acme', 'w', 'https://x', '[]', 1, 'ann')");
    run("INSERT INTO memory_alert_thresholds (tenant, alert_type, threshold, changed_at_ms)"
        " VALUES ('acme', 'latency', NULL, 1)");
  }
  std::string write(const std::string& name) {
    const std::string folder = root_ + "/" + name;
    fs::create_directories(folder);
    const auto rows = write_sql(*db_, folder, [] { return false; });
    EXPECT_TRUE(rows) << rows.error().message;
    return folder;
  }
  static std::string content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }

  std::string root_;
};

TEST_P(SqlCopyContract, BringsBackEveryRow) {
  fill();
  const std::string first = write("first");
  for (const CopiedTable& table : copied_tables()) run(fmt::format("DELETE FROM {}", table.name));
  run("INSERT INTO memory_webhooks (tenant, webhook_id, url, alert_types, created_at_ms,"
      " created_by) VALUES ('globex', 'late', 'https://y', '[]', 1, 'bob')");
  const auto rows = restore_sql(*db_, first);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(*rows, 4'508U);
  const std::string second = write("second");
  for (const CopiedTable& table : copied_tables()) {
    if (table.name == "memory_graphs" || table.name == "memory_migrations") continue;
    const std::string file = fmt::format("/{}.jsonl", table.name);
    EXPECT_EQ(content(second + file), content(first + file)) << table.name;
  }
}

TEST_P(SqlCopyContract, TellsThatGraphsHaveChangedAndRunsAreOver) {
  fill();
  const std::string copy = write("copy");
  run("UPDATE memory_graphs SET epoch = 20");
  ASSERT_TRUE(restore_sql(*db_, copy));
  EXPECT_GT(number("SELECT epoch AS n FROM memory_graphs"), 20)
      << "a process that has the graph in memory reads it anew";
  EXPECT_EQ(number("SELECT COUNT(*) AS n FROM memory_migrations WHERE state = 'failed'"), 1)
      << "nobody is at work on what ran then";
}

TEST_P(SqlCopyContract, RefusesWhatIsCutOrChangedAndLeavesTheRows) {
  fill();
  const std::string copy = write("copy");
  const std::string path = copy + "/memory_uploads.jsonl", good = content(path);
  run("DELETE FROM memory_webhooks");
  for (const std::string& broken :
       {good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), std::string(),
        good + "[1,2]\n", good + "{}\n", std::string("{\"table\":\"memory_alerts\"}\n")}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << broken;
    const auto refused = restore_sql(*db_, copy);
    ASSERT_FALSE(refused) << broken;
    EXPECT_EQ(refused.error().code, Errc::kCorrupt) << broken;
    EXPECT_THAT(refused.error().message, HasSubstr("memory_uploads.jsonl"));
  }
  fs::remove(path);
  EXPECT_THAT(restore_sql(*db_, copy).error().message, HasSubstr("is missing"));
  EXPECT_EQ(number("SELECT COUNT(*) AS n FROM memory_webhooks"), 0);
  EXPECT_EQ(number("SELECT COUNT(*) AS n FROM memory_graph_sources"), 4'500);
}

TEST_P(SqlCopyContract, RefusesColumnsOfAnotherVersion) {
  const std::string copy = write("copy");
  std::ofstream(copy + "/memory_derived.jsonl")
      << R"({"table":"memory_derived","columns":["feed","colour"]})" << "\n";
  const auto refused = restore_sql(*db_, copy);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().message, HasSubstr("'colour'"));
}

TEST_P(SqlCopyContract, ACopyOfAnEarlierVersionLeavesTablesThatItDidNotKnowEmpty) {
  fill();
  const std::string copy = write("copy");
  const std::string index = copy + "/tables.json";
  std::string names = content(index);
  names.replace(names.find(",\"memory_hits\""), std::string_view(",\"memory_hits\"").size(), "");
  std::ofstream(index, std::ios::trunc) << names;
  fs::remove(copy + "/memory_hits.jsonl");
  run("INSERT INTO memory_hits (tenant, system_id, conversation_id, day, hits)"
      " VALUES ('acme', 'desk', 'a', 1, 2)");
  ASSERT_TRUE(restore_sql(*db_, copy));
  EXPECT_EQ(number("SELECT COUNT(*) AS n FROM memory_hits"), 0);
  EXPECT_EQ(number("SELECT COUNT(*) AS n FROM memory_graph_sources"), 4'500);
  fs::remove(index);
  EXPECT_TRUE(restore_sql(*db_, copy)) << "one from before there was an index";
}

TEST_P(SqlCopyContract, RefusesTablesOfALaterVersionAndAnIndexThatIsNone) {
  const std::string copy = write("copy");
  std::ofstream(copy + "/tables.json", std::ios::trunc) << R"({"tables":["memory_dreams"]})";
  const auto later = restore_sql(*db_, copy);
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Errc::kConflict);
  EXPECT_THAT(later.error().message, HasSubstr("'memory_dreams'"));
  for (const char* const damaged : {"", "{", "[]", R"({"tables":7})", R"({"tables":[7]})"}) {
    std::ofstream(copy + "/tables.json", std::ios::trunc) << damaged;
    EXPECT_EQ(restore_sql(*db_, copy).error().code, Errc::kCorrupt) << damaged;
  }
}

TEST_P(SqlCopyContract, StopsWhenTheProcessEnds) {
  EXPECT_EQ(write_sql(*db_, root_, [] { return true; }).error().code, Errc::kCancelled);
}

/// Whoever adds a table says here whether it belongs into backups.
TEST_P(SqlCopyContract, KnowsEveryTableOfTheMemory) {
  const bool sqlite = db_->dialect() == sql::Dialect::kSqlite;
  const auto tables =
      db_->query_blocking({sqlite ? "SELECT name FROM sqlite_master WHERE type = 'table'"
                                  : "SELECT table_name AS name FROM information_schema.tables"
                                    " WHERE table_schema = current_schema()",
                           {}})
          .value();
  // The cold tier's snapshot has its list; who began a night's workflow, or has the turn to ask
  // components or to copy the tiers, is nobody's memory; where the hot tier went, and since when
  // hits are counted, is this installation's.
  std::set<std::string> known = {
      "memory_cold_files", "memory_cold_revision", "memory_fitness_turns", "memory_hits_counted",
      "memory_hot_moves",  "memory_upward_turn",   "memory_workflow_runs"};
  for (const CopiedTable& table : copied_tables()) known.emplace(table.name);
  std::size_t seen = 0;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::string name = tables.text(i, "name");
    if (!name.starts_with("memory_")) continue;
    ++seen;
    EXPECT_TRUE(known.contains(name)) << name << " is in no backup";
  }
  EXPECT_EQ(seen, known.size());
}

INSTANTIATE_TEST_SUITE_P(Engines, SqlCopyContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory
