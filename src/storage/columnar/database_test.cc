// Against the real library; skipped where it is not installed (target duckdb_library).
#include "storage/columnar/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/blocking.h"
#include "storage/columnar/private_folder.h"

namespace asahi::columnar {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Clock::Steady in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(ASAHI_DUCKDB_LIBRARY))
      GTEST_SKIP() << ASAHI_DUCKDB_LIBRARY << " is missing: build the target duckdb_library";
    folder_.emplace(PrivateFolder::make("").value());
  }
  Options options(std::string path = "") {
    return {.library = ASAHI_DUCKDB_LIBRARY, .path = std::move(path)};
  }
  std::unique_ptr<Database> open(Options options) {
    auto opened = Database::open(std::move(options));
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *std::move(opened) : nullptr;
  }
  static Result<std::uint64_t> execute(Database& database, const std::string& sql) {
    return database.run_here(in(10s), [&](Connection& c) { return c.execute(sql); });
  }
  static std::int64_t number(Database& database, const std::string& sql) {
    return database
        .run_here(in(10s),
                  [&](Connection& c) -> Result<std::int64_t> {
                    ASAHI_TRY(Statement * statement, c.prepare(sql));
                    ASAHI_TRY(Rows rows, statement->query());
                    Chunk chunk;
                    ASAHI_TRY(const bool any, rows.next(chunk));
                    if (!any) return fail(Errc::kNotFound, "no row");
                    return chunk.column(0).values<std::int64_t>()[0];
                  })
        .value();
  }

  std::optional<PrivateFolder> folder_;
};

TEST_F(DatabaseTest, GivesBackTypedColumnsChunkByChunk) {
  const auto database = open(options());
  ASSERT_TRUE(
      execute(*database,
              "create table t as select i::bigint as id, case when i % 3 = 0 then null else "
              "'row number ' || i end as name, i::float / 2 as half, "
              "[i, i + 1]::tinyint[2] as pair from range(100) r(i)"));
  const auto read = database->run_here(in(10s), [](Connection& c) -> Result<void> {
    ASAHI_TRY(Statement * statement, c.prepare("select * from t where id >= ? and name like $2"));
    ASAHI_TRY(Rows rows, statement->query_with(std::int64_t{10}, "row number 9%"));
    EXPECT_EQ(rows.columns(), 4U);
    EXPECT_EQ(rows.column_name(3), "pair");
    Chunk chunk;
    std::vector<std::int64_t> ids;
    for (;;) {
      ASAHI_TRY(const bool more, rows.next(chunk));
      if (!more) break;
      const Column id = chunk.column(0), name = chunk.column(1), half = chunk.column(2),
                   pair = chunk.column(3);
      EXPECT_EQ(pair.array_length(), 2U);
      for (std::size_t row = 0; row < chunk.rows(); ++row) {
        ids.push_back(id.values<std::int64_t>()[row]);
        EXPECT_FALSE(name.null(row));
        EXPECT_EQ(name.text(row), "row number " + std::to_string(ids.back()));
        EXPECT_EQ(half.values<float>()[row], static_cast<float>(ids.back()) / 2);
        EXPECT_EQ(pair.child().values<std::int8_t>()[2 * row + 1], ids.back() + 1);
      }
    }
    EXPECT_THAT(ids, ElementsAre(91, 92, 94, 95, 97, 98));
    return {};
  });
  EXPECT_TRUE(read) << read.error().message;
}

TEST_F(DatabaseTest, ShowsNullsAndShortTexts) {
  const auto database = open(options());
  const auto read = database->run_here(in(10s), [](Connection& c) -> Result<void> {
    ASAHI_TRY(
        Statement * statement,
        c.prepare("select * from (values ('short'), (null), ('longer than twelve bytes')) t(a)"));
    ASAHI_TRY(Rows rows, statement->query());
    Chunk chunk;
    ASAHI_TRY(const bool any, rows.next(chunk));
    EXPECT_TRUE(any);
    const Column column = chunk.column(0);
    EXPECT_EQ(column.text(0), "short");
    EXPECT_TRUE(column.null(1));
    EXPECT_EQ(column.text(2), "longer than twelve bytes");
    EXPECT_THROW((void)column.values<std::int64_t>(), std::logic_error);
    return {};
  });
  EXPECT_TRUE(read) << read.error().message;
}

TEST_F(DatabaseTest, AppendsRowsByColumnsAndKeepsThem) {
  const std::string file = folder_->file(".duckdb");
  {
    const auto database = open(options(file));
    ASSERT_TRUE(execute(*database,
                        "create table m (id bigint primary key, text varchar, said timestamp_ns, "
                        "vector float[3])"));
    const auto added = database->run_here(in(10s), [](Connection& c) -> Result<void> {
      return c.transaction([&]() -> Result<void> {
        ASAHI_TRY(Appender rows, c.append("m"));
        std::int64_t next = 0;
        for (const std::size_t count : {Appender::kRows, std::size_t{5}}) {
          const auto ids = rows.values<std::int64_t>(0);
          const auto times = rows.values<std::int64_t>(2);
          const auto vectors = rows.floats_of_array(3);
          for (std::size_t row = 0; row < count; ++row) {
            ids[row] = next;
            times[row] = 1'700'000'000'000'000'001 + next;
            vectors[3 * row] = static_cast<float>(next++);
            row % 2 == 0 ? rows.text(1, row, "even") : rows.null(1, row);
          }
          if (auto ok = rows.add(count); !ok) return ok;
        }
        return rows.finish();
      });
    });
    ASSERT_TRUE(added) << added.error().message;
    ASSERT_TRUE(database->run_here(in(10s), [](Connection& c) { return c.checkpoint(); }));
  }
  const auto database = open(options(file));
  EXPECT_EQ(number(*database, "select count(*) from m"), 2'053);
  EXPECT_EQ(number(*database, "select count(*) from m where text = 'even'"), 1'027);
  EXPECT_EQ(number(*database, "select sum(vector[1])::bigint from m"), 2'052 * 2'053 / 2);
  EXPECT_EQ(number(*database, "select epoch_ns(max(said)) from m"), 1'700'000'000'000'002'053);
}

TEST_F(DatabaseTest, UndoesATransactionThatFails) {
  const auto database = open(options());
  ASSERT_TRUE(execute(*database, "create table t (id bigint primary key)"));
  const auto twice = database->run_here(in(10s), [](Connection& c) -> Result<void> {
    return c.transaction([&]() -> Result<void> {
      ASAHI_TRY([[maybe_unused]] auto first, c.execute("insert into t values (1)"));
      ASAHI_TRY([[maybe_unused]] auto second, c.execute("insert into t values (1)"));
      return {};
    });
  });
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kConflict) << twice.error().message;
  EXPECT_EQ(number(*database, "select count(*) from t"), 0);
}

TEST_F(DatabaseTest, InterruptsAStatementAtItsDeadline) {
  const auto database = open(options());
  const auto begun = std::chrono::steady_clock::now();
  const auto late = database->run_here(in(50ms), [](Connection& c) {
    return c.execute("select count(*) from range(100000000000) a");
  });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout) << late.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  // The connection is good for more.
  EXPECT_EQ(number(*database, "select 7::bigint"), 7);
}

TEST_F(DatabaseTest, InterruptsWhileRowsAreRead) {
  const auto database = open(options());
  const auto late = database->run_here(in(100ms), [](Connection& c) -> Result<std::uint64_t> {
    ASAHI_TRY(Statement * statement, c.prepare("select i from range(100000000000) t(i)"));
    ASAHI_TRY(Rows rows, statement->query());
    Chunk chunk;
    std::uint64_t seen = 0;
    for (;;) {
      ASAHI_TRY(const bool more, rows.next(chunk));
      if (!more) return seen;
      seen += chunk.rows();
    }
  });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout) << late.error().message;
}

TEST_F(DatabaseTest, SaysWhatFailsInTheMiddleOfAResult) {
  const auto database = open(options());
  const auto failed = database->run_here(in(10s), [](Connection& c) -> Result<std::uint64_t> {
    ASAHI_TRY(Statement * statement,
              c.prepare("select (case when i = 50000 then 'x' else '1' end)::int from "
                        "range(100000) t(i)"));
    ASAHI_TRY(Rows rows, statement->query());
    Chunk chunk;
    std::uint64_t seen = 0;
    for (;;) {
      ASAHI_TRY(const bool more, rows.next(chunk));
      if (!more) return seen;
      seen += chunk.rows();
    }
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kInvalidArgument) << failed.error().message;
}

TEST_F(DatabaseTest, RefusesWhatFindsNoRoomInItsMemory) {
  Options small = options();
  small.memory_bytes = 16 << 20;
  const auto database = open(std::move(small));
  const auto sorted = execute(
      *database, "create table big as select i, random() r from range(20000000) t(i) order by r");
  ASSERT_FALSE(sorted);
  EXPECT_EQ(sorted.error().code, Errc::kUnavailable) << sorted.error().message;
  EXPECT_EQ(sorted.error().reason, "out_of_memory");
}

TEST_F(DatabaseTest, TellsACorruptFileFromALockedOne) {
  const std::string file = folder_->file(".duckdb");
  std::ofstream(file) << std::string(20'000, 'x');
  const auto corrupt = Database::open(options(file));
  ASSERT_FALSE(corrupt);
  EXPECT_EQ(corrupt.error().code, Errc::kCorrupt) << corrupt.error().message;

  const std::string damaged = folder_->file(".duckdb");
  {
    const auto database = open(options(damaged));
    ASSERT_TRUE(
        execute(*database, "create table t as select i, i::varchar s from range(200000) r(i)"));
    ASSERT_TRUE(database->run_here(in(10s), [](Connection& c) { return c.checkpoint(); }));
  }
  {
    std::fstream bytes(damaged, std::ios::in | std::ios::out | std::ios::binary);
    for (std::size_t at = 20'000; at < fs::file_size(damaged); at += 4'096) {
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes << "damage";
    }
  }
  const auto opened = Database::open(options(damaged));
  if (opened) {
    const auto read = execute(**opened, "select sum(i), max(s) from t");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::kCorrupt) << read.error().message;
  } else {
    EXPECT_EQ(opened.error().code, Errc::kCorrupt) << opened.error().message;
  }
}

TEST_F(DatabaseTest, LeavesOtherFilesAloneUnlessTold) {
  const auto closed = open(options());
  EXPECT_FALSE(execute(*closed, "select * from read_csv('/etc/passwd')"));
  EXPECT_FALSE(execute(*closed, "set enable_external_access = true"));
  EXPECT_FALSE(execute(*closed, "install httpfs"));
  Options with = options();
  with.other_files = true;
  const auto opened = open(std::move(with));
  EXPECT_FALSE(execute(*opened, "load httpfs"));
  const std::string file = folder_->file(".parquet");
  const auto wrote = execute(*opened, "copy (select 1 as a) to '" + file + "' (format parquet)");
  EXPECT_TRUE(wrote) << wrote.error().message;
  const auto missing = execute(*opened, "select * from read_parquet('" + file + "x')");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound) << missing.error().message;
}

TEST_F(DatabaseTest, RefusesWorkAboveItsQueue) {
  Options one = options();
  one.connections = 1;
  one.max_queued = 1;
  const auto database = open(std::move(one));
  std::promise<void> started, release;
  std::thread busy([&] {
    (void)database->run_here(in(30s), [&](Connection&) -> Result<void> {
      started.set_value();
      release.get_future().wait();
      return {};
    });
  });
  started.get_future().wait();
  // One of three waits, until it is late; the others find the queue full.
  std::atomic<int> full{0}, late{0};
  std::vector<std::thread> more;
  for (int i = 0; i < 3; ++i) {
    more.emplace_back([&] {
      const auto refused =
          database->run_here(in(0ms), [](Connection&) -> Result<void> { return {}; });
      if (!refused && refused.error().code == Errc::kTooLarge) ++full;
      if (!refused && refused.error().code == Errc::kTimeout) ++late;
    });
  }
  while (full < 2) std::this_thread::sleep_for(1ms);
  release.set_value();
  busy.join();
  for (std::thread& thread : more) thread.join();
  EXPECT_EQ(full, 2);
  EXPECT_EQ(late, 1);
}

TEST_F(DatabaseTest, LeavesTheLoopFreeAndComesBackToIt) {
  const auto database = open(options());
  net::LoopPool loops(1);
  loops.start();
  const auto answer = net::run_sync<Result<std::int64_t>>(loops.at(0), [&]() -> Task<std::int64_t> {
    auto work = [](Connection& c) -> Result<std::int64_t> {
      ASAHI_TRY(Statement * statement, c.prepare("select 42::bigint"));
      ASAHI_TRY(Rows rows, statement->query());
      Chunk chunk;
      ASAHI_TRY([[maybe_unused]] const bool any, rows.next(chunk));
      return chunk.column(0).values<std::int64_t>()[0];
    };
    auto value = co_await database->run(in(10s), work);
    EXPECT_EQ(net::Loop::current(), &loops.at(0));
    co_return value;
  });
  EXPECT_EQ(answer.value(), 42);
}

TEST_F(DatabaseTest, EndsWhatRunsWhenItStops) {
  const auto database = open(options());
  std::promise<void> started;
  std::thread busy([&] {
    const auto ended = database->run_here(in(60s), [&](Connection& c) {
      started.set_value();
      return c.execute("select count(*) from range(100000000000) a");
    });
    EXPECT_EQ(ended.error().code, Errc::kCancelled);
  });
  started.get_future().wait();
  database->stop();
  busy.join();
  EXPECT_EQ(execute(*database, "select 1").error().code, Errc::kCancelled);
}

TEST(DuckDbLibrary, SaysWhatIsMissing) {
  if (fs::exists(ASAHI_DUCKDB_LIBRARY)) GTEST_SKIP() << "the library is here and may be loaded";
  const auto opened = Database::open({.library = "/nowhere/libduckdb.so"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kUnavailable);
  EXPECT_THAT(opened.error().message, HasSubstr("node-bindings"));
}

TEST(PrivateFolderTest, IsPrivateAndGoesWithItsOwner) {
  std::string path;
  {
    PrivateFolder folder = PrivateFolder::make("").value();
    path = folder.path();
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_NE(folder.file(".a"), folder.file(".a"));
    std::ofstream(folder.file(".a")) << "x";
    const PrivateFolder moved = std::move(folder);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(PrivateFolderTest, SweepsWhatAKilledProcessLeft) {
  PrivateFolder parent = PrivateFolder::make("").value();
  const fs::path left = fs::path(parent.path()) / "asahi-private-killed";
  fs::create_directory(left);
  std::ofstream(left / ".lock") << "";
  std::ofstream(left / "data") << "secret";
  const fs::path other = fs::path(parent.path()) / "somebody-else";
  fs::create_directory(other);
  const PrivateFolder alive = PrivateFolder::make(parent.path()).value();
  const PrivateFolder second = PrivateFolder::make(parent.path()).value();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(other));
  EXPECT_TRUE(fs::exists(alive.path()));
}

}  // namespace
}  // namespace asahi::columnar
