#include "storage/vector/open/open_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "net/blocking.h"

namespace asahi::vector {
namespace {

using testing::HasSubstr;

class OpenIndex : public testing::Test {
 protected:
  OpenIndex() {
    options_.space = {"test-1", 4, {"topic"}};
    folder_ = testing::TempDir() + "asahi_open_index_" + std::to_string(::getpid());
  }
  ~OpenIndex() override { std::filesystem::remove_all(folder_); }

  Result<OpenedIndex> open() { return open_index(options_, clients_, database_.get()); }
  Error refused() {
    auto opened = open();
    EXPECT_FALSE(opened);
    return opened ? Error{} : std::move(opened.error());
  }

  OpenOptions options_;
  std::string folder_;
  net::LoopPool loops_{1};
  net::PerLoop<http::Client> clients_{
      loops_,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::unique_ptr<sql::Database> database_;
};

TEST_F(OpenIndex, TellsWhatTheSettingsLack) {
  options_.provider = "faiss";
  EXPECT_EQ(refused().field, "vector_db.provider");
  options_.provider = "pinecone";
  EXPECT_EQ(refused().field, "vector_db.api_key_env");
  options_.provider = "qdrant";
  EXPECT_EQ(refused().field, "vector_db.host");
  options_.host = "ftp://x";
  EXPECT_EQ(refused().field, "vector_db.host");
  options_.provider = "local";
  options_.space.dimensions = 0;
  EXPECT_EQ(refused().field, "dimensions");
}

TEST_F(OpenIndex, PostgresNeedsAPostgresDatabase) {
  options_.provider = "postgres";
  EXPECT_EQ(refused().field, "vector_db.provider");
  sql::DatabaseOptions database;
  database.url = "sqlite://:memory:";
  database_ = std::move(*sql::open_database(database));
  EXPECT_THAT(refused().message, HasSubstr("SQLite"));
}

TEST_F(OpenIndex, TheLocalIndexKeepsItsFile) {
  options_.folder = folder_;
  const std::vector<Item> items{{"a", {1, 0, 0, 0}, {}}};
  {
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE(opened->begins_empty);
    ASSERT_NE(opened->local, nullptr);
    ASSERT_TRUE(opened->local->put("t", items));
    ASSERT_TRUE(opened->local->save_now());
  }
  {
    const auto again = open();
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->begins_empty);
    EXPECT_EQ(again->local->size("t"), 1u);
  }
  for (const auto& file : std::filesystem::directory_iterator(folder_)) {
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 1);
  }
  const auto damaged = open();
  ASSERT_TRUE(damaged) << "a damaged file keeps nothing from starting";
  EXPECT_TRUE(damaged->begins_empty);
  EXPECT_EQ(damaged->local->size(), 0u);
}

TEST_F(OpenIndex, InmemoryIsAnotherNameForLocal) {
  options_.provider = "inmemory";
  const auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->index->backend(), "local");
  EXPECT_TRUE(opened->begins_empty);
}

}  // namespace
}  // namespace asahi::vector
