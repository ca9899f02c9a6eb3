#pragma once

#include <gtest/gtest.h>

#include <boost/asio/thread_pool.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/ids.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/testing/memory_store.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/object/folder_store.h"
#include "storage/object/task_store.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory::testing {

/// Everything that ingestion needs, embedded: a ledger in SQLite, a folder as bucket, a store in
/// memory, local vectors of 64 places, a clock that stands still.
class IngestFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, ledger_migrations()).upgrade());
    ledger_ = std::make_unique<Ledger>(*db_, clock_);
    folder_ = (std::filesystem::temp_directory_path() / random_id("asahi-ingest-", 12)).string();
    bucket_ = object::FolderStore::open(folder_ + "/bucket").value();
    loops_.start();
  }
  void TearDown() override {
    loops_.stop();
    work_.join();
    ledger_.reset();
    db_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }

  Intake::Parts parts() {
    return {store_, *embedder_, work_, clock_, [](std::string_view) { return Fingerprint{}; }};
  }
  object::TaskStore bucket() { return {*bucket_, work_}; }
  Upload row(const std::string& upload, const std::string& system = "agent") {
    auto found =
        get<std::optional<Upload>>([&] { return ledger_->find({"default", system, upload}); });
    EXPECT_TRUE(found) << upload;
    return found.value_or(Upload{});
  }
  std::string now() const { return format_rfc3339(clock_.now()); }
  /// `{"conversations": [...]}` of so many.
  static std::string payload(int count, int first = 0) {
    std::string out = "{\"conversations\":[";
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(first + i);
      out += (i == 0 ? "" : ",") + std::string("{\"id\":\"c") + n +
             "\",\"content\":\"what agent number " + n + " did\"}";
    }
    return out + "]}";
  }
  std::string manifest(int count, const std::string& more = "") const {
    return "{\"uploaded_at\":\"" + now() + "\",\"conversation_count\":" + std::to_string(count) +
           (more.empty() ? "" : "," + more) + "}";
  }
  void put(const std::string& key, const std::string& bytes) {
    const auto done = bucket_->put(key, bytes);
    ASSERT_TRUE(done) << done.error().message;
  }
  void put_bundle(const std::string& upload, int count, const std::string& system = "agent",
                  int first = 0) {
    put("systems/" + system + "/" + upload + "/memories.json", payload(count, first));
    put("systems/" + system + "/" + upload + "/manifest.json", manifest(count));
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  ManualClock clock_;
  net::LoopPool loops_{1};
  boost::asio::thread_pool work_{2};
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Ledger> ledger_;
  MemoryStore store_;
  std::unique_ptr<llm::TextEmbedder> embedder_ = llm::make_local_embedder(64);
  std::string folder_;
  std::unique_ptr<object::ObjectStore> bucket_;
};

}  // namespace asahi::memory::testing
