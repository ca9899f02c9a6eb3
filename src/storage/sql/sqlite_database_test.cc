// What only SQLite can show: files, locks of other processes, kill -9.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "storage/sql/database.h"
#include "storage/sql/database_url.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::sql {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SqliteDatabase : public ::testing::Test {
 protected:
  SqliteDatabase() : place_(testing::TestDatabase::make(testing::Engine::kSqliteFile).value()) {
    options_ = place_->options();
    file_ = options_.data_dir + "/test.db";
  }
  std::unique_ptr<Database> open() {
    auto opened = open_database(options_);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }

  std::unique_ptr<testing::TestDatabase> place_;
  DatabaseOptions options_;
  std::string file_;
};

TEST_F(SqliteDatabase, KeepsItsRowsAcrossOpenings) {
  {
    auto db = open();
    ASSERT_TRUE(db->query_blocking({"CREATE TABLE t (id INTEGER)", {}}));
    ASSERT_TRUE(db->query_blocking({"INSERT INTO t VALUES (7)", {}}));
  }
  auto rows = open()->query_blocking({"SELECT id FROM t", {}});
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->integer(0, "id"), 7);
}

TEST_F(SqliteDatabase, MakesTheFoldersOfItsFile) {
  options_.url = "sqlite:///a/b/c.db";
  ASSERT_TRUE(open());
  EXPECT_TRUE(std::filesystem::exists(options_.data_dir + "/a/b/c.db"));
}

TEST_F(SqliteDatabase, KillNineLosesNoAcknowledgedCommit) {
  std::array<int, 2> acknowledged{};
  ASSERT_EQ(pipe(acknowledged.data()), 0);
  const pid_t writer = fork();
  if (writer == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto db = open_database(options_);
    if (!db || !(*db)->query_blocking({"CREATE TABLE t (id INTEGER)", {}})) _exit(1);
    for (std::int64_t id = 0;; ++id) {
      if (!(*db)->query_blocking({"INSERT INTO t VALUES (?)", {id}})) _exit(2);
      if (write(acknowledged[1], "x", 1) != 1) _exit(3);
    }
  }
  close(acknowledged[1]);
  std::array<char, 256> some{};
  std::int64_t count = 0;
  while (count < 500) {
    const ssize_t got = read(acknowledged[0], some.data(), some.size());
    ASSERT_GT(got, 0) << "the writer died of itself";
    count += got;
  }
  kill(writer, SIGKILL);
  waitpid(writer, nullptr, 0);
  for (ssize_t got = 0; (got = read(acknowledged[0], some.data(), some.size())) > 0;) count += got;
  close(acknowledged[0]);

  auto rows = open()->query_blocking({"SELECT count(*) AS n FROM t", {}});
  ASSERT_TRUE(rows) << rows.error().message;
  // One more may have been committed and not acknowledged yet.
  EXPECT_GE(rows->integer(0, "n"), count);
  EXPECT_LE(rows->integer(0, "n"), count + 1);
}

TEST_F(SqliteDatabase, WaitsForAnotherProcessesLockAndThenTimesOut) {
  options_.statement_timeout = std::chrono::milliseconds(100);
  auto db = open();
  ASSERT_TRUE(db->query_blocking({"CREATE TABLE t (id INTEGER)", {}}));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);

  auto write = db->query_blocking({"INSERT INTO t VALUES (1)", {}});
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, Errc::kTimeout);
  EXPECT_EQ(write.error().reason, "busy");
  EXPECT_TRUE(db->query_blocking({"SELECT * FROM t", {}})) << "readers do not wait for writers";

  sqlite3_close(other);  // rolls back
  EXPECT_TRUE(db->query_blocking({"INSERT INTO t VALUES (1)", {}}));
}

TEST_F(SqliteDatabase, SaysWhenTheFileIsNoDatabase) {
  std::ofstream(file_) << std::string(4096, 'x');
  auto opened = open_database(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
  EXPECT_THAT(opened.error().message, HasSubstr("test.db"));
}

TEST_F(SqliteDatabase, SaysWhenTheFileCannotBeOpened) {
  std::ofstream(options_.data_dir + "/file") << "x";
  options_.url = "sqlite:///file/test.db";
  auto opened = open_database(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kUnavailable);
}

TEST_F(SqliteDatabase, ManyDifferentStatementsPassThroughTheBoundedCache) {
  auto db = open();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100; ++i) {
      auto rows = db->query_blocking({"SELECT " + std::to_string(i) + " AS n", {}});
      ASSERT_TRUE(rows);
      ASSERT_EQ(rows->integer(0, "n"), i);
    }
  }
}

TEST_F(SqliteDatabase, CachedStatementsFollowSchemaChanges) {
  auto db = open();
  ASSERT_TRUE(db->query_blocking({"CREATE TABLE t (id INTEGER)", {}}));
  ASSERT_TRUE(db->query_blocking({"INSERT INTO t VALUES (1)", {}}));
  ASSERT_TRUE(db->query_blocking({"SELECT * FROM t", {}}));
  ASSERT_TRUE(db->query_blocking({"ALTER TABLE t ADD COLUMN name TEXT DEFAULT 'x'", {}}));
  auto rows = db->query_blocking({"SELECT * FROM t", {}});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->text(0, "name"), "x");
}

TEST(DatabaseUrl, ReadsEachDocumentedForm) {
  const auto place = [](const std::string& url) {
    return parse_database_url(url, "/data").value().location;
  };
  EXPECT_EQ(place("sqlite:///asahi.db"), "/data/asahi.db");
  EXPECT_EQ(place("sqlite:///sub/asahi.db"), "/data/sub/asahi.db");
  EXPECT_EQ(place("sqlite:////var/asahi.db"), "/var/asahi.db");
  EXPECT_EQ(place("sqlite://:memory:"), ":memory:");
  EXPECT_EQ(parse_database_url("postgresql://h/n", "/data").value().dialect, Dialect::kPostgres);
  EXPECT_EQ(parse_database_url("postgres://h/n", "/data").value().dialect, Dialect::kPostgres);
}

TEST(DatabaseUrl, RefusesOthersWithoutRepeatingThem) {
  for (const char* url :
       {"", "asahi.db", "sqlite://asahi.db", "sqlite:///", "sqlite:///a/", "sqlite:///a.db?mode=ro",
        "mysql://root:hunter2@h/n", "postgres://u:hunter2@host:notaport/n?nonsense=hunter2"}) {
    auto refused = open_database({.url = url});
    ASSERT_FALSE(refused) << url;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(refused.error().field, "database.url");
    EXPECT_THAT(refused.error().message, Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace asahi::sql
