#include "memory/ops/cache_warmer.h"

#include <gtest/gtest.h>

#include "llm/embed/text_embedder.h"
#include "memory/embedding/choice.h"
#include "memory/model/forwarding_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

/// Remembers what it was asked, and may have no room.
class AskedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Task<StorePage> search(StoreQuery query) override {
    asked.push_back(query);
    if (full) co_return fail(Errc::kUnavailable, "no room");
    co_return co_await ForwardingStore::search(std::move(query));
  }
  std::vector<StoreQuery> asked;
  bool full = false;
};

struct Told final : SearchObserver {
  void searched(std::string_view, SearchMode, std::string_view cache, bool,
                std::chrono::nanoseconds) override {
    caches.emplace_back(cache);
  }
  std::vector<std::string> caches;
};

class Warming : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, {frequent_migration()}).upgrade());
    put("acme", "desk", "The lamp is blue.");
    put("acme", "lab", "The lamp is green.");
    put("other", "desk", "The lamp is theirs.");
    begin();
  }
  /// A process begins: with empty caches, and what the database knows.
  void begin() {
    warmer_.reset();
    search_.reset();
    l1_ = std::make_unique<cache::MemoryStore>(cache::MemoryOptions{.max_entries = 100}, clock_);
    epochs_ = std::make_unique<Epochs>(nullptr);
    search_ = std::make_unique<Search>(Search::Parts{.hot = &store_,
                                                     .embedder = *embedder_,
                                                     .l1 = *l1_,
                                                     .replies = replies_,
                                                     .epochs = *epochs_,
                                                     .clock = clock_,
                                                     .observer = &told_},
                                       SearchOptions{});
    warmer_ = std::make_unique<CacheWarmer>(
        CacheWarmer::Parts{*search_, *db_, clock_, metrics_,
                           [this](std::chrono::nanoseconds) -> Aw<void> {
                             ++rests_;
                             co_return;
                           }},
        options_);
    store_.asked.clear();
    told_.caches.clear();
  }
  void put(const std::string& tenant, const std::string& system, const std::string& content) {
    Memory memory;
    memory.key = {tenant, system, content};
    memory.content = content;
    memory.content_hash = sha256(content);
    memory.timestamp = memory.uploaded_at = clock_.now();
    ASSERT_TRUE(loop_.wait<std::vector<UpsertOutcome>>(
        [&] { return rows_.upsert_batch({memory}, {.deduplicate = false}); }));
  }
  static SearchRequest lamp(std::optional<std::vector<std::string>> allowed = {}) {
    SearchRequest request;
    request.mode = SearchMode::kKeyword;
    request.text = "lamp";
    request.filter.systems_allowed = std::move(allowed);
    return request;
  }
  /// "l1", "miss": where the answer came from.
  std::string ask(const std::string& tenant, const SearchRequest& request) {
    const Reach reach(tenant, request.filter.systems_allowed);
    const auto reply = loop_.wait<std::string>([&] { return search_->search(reach, request); });
    EXPECT_TRUE(reply) << reply.error().message;
    last_ = reply.value_or("");
    return told_.caches.empty() ? "" : told_.caches.back();
  }
  Result<CacheWarmer::Warmed> warm(std::optional<std::string> tenant = {}) {
    return loop_.wait<CacheWarmer::Warmed>(
        [&] { return warmer_->warm(tenant, CacheWarmer::Trigger::kStart); });
  }
  void restart() {
    ASSERT_TRUE(loop_.wait<void>([&] { return warmer_->save(); }));
    begin();
    ASSERT_TRUE(loop_.wait<void>([&] { return warmer_->load(); }));
  }

  testing::OnLoop loop_;
  ManualClock clock_;
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  telemetry::Registry metrics_;
  testing::MemoryStore rows_;
  AskedStore store_{rows_};
  std::unique_ptr<llm::TextEmbedder> embedder_ = choose_embedder(MemoryConfig{}).embedder;
  cache::MemoryStore replies_{{.max_entries = 100}, clock_};
  Told told_;
  std::unique_ptr<cache::MemoryStore> l1_;
  std::unique_ptr<Epochs> epochs_;
  std::unique_ptr<Search> search_;
  CacheWarmer::Options options_;
  std::unique_ptr<CacheWarmer> warmer_;
  int rests_ = 0;
  std::string last_;
};

TEST_F(Warming, AfterARestartWhatWasAskedOftenIsAnsweredFromTheCache) {
  ask("acme", lamp());
  ask("acme", lamp());
  restart();
  const auto done = warm();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->refilled, 1U);
  EXPECT_EQ(ask("acme", lamp()), "l1");
  EXPECT_NE(last_.find("blue"), std::string::npos);
}

TEST_F(Warming, ASearchSeesWhatItsCallerCouldSeeAndNothingElse) {
  const auto desk = lamp(std::vector<std::string>{"desk"});
  for (int i = 0; i < 2; ++i) {
    ask("acme", desk);
    ask("acme", lamp());
    ask("other", lamp());
  }
  restart();
  ASSERT_TRUE(warm());
  ASSERT_EQ(store_.asked.size(), 3U);
  for (const StoreQuery& query : store_.asked) {
    if (!query.filter.systems_allowed) continue;
    EXPECT_EQ(query.tenant, "acme");
    EXPECT_EQ(*query.filter.systems_allowed, std::vector<std::string>{"desk"});
  }
  EXPECT_EQ(ask("acme", desk), "l1");
  EXPECT_EQ(last_.find("green"), std::string::npos) << last_;
  EXPECT_EQ(ask("other", lamp()), "l1");
  EXPECT_EQ(last_.find("blue"), std::string::npos) << last_;
  EXPECT_EQ(ask("acme", lamp(std::vector<std::string>{"lab"})), "miss")
      << "nobody with these rights has asked it";
}

TEST_F(Warming, ItCountsAsNobodysSearchAndIsNotFrequentForBeingWarmed) {
  ask("acme", lamp());
  const auto before = search_->cache_counts();
  const std::size_t told = told_.caches.size();
  ASSERT_TRUE(loop_.wait<void>([&] { return search_->purge("acme"); }));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(warm());
  EXPECT_EQ(told_.caches.size(), told);
  EXPECT_EQ(search_->cache_counts().misses, before.misses);
  EXPECT_EQ(search_->frequent().top("acme", 9, clock_.now()).front().asks, 1U);
}

TEST_F(Warming, WhatTheCacheHasIsLeftAloneAndNothingWaitsForIt) {
  ask("acme", lamp());
  const auto done = warm("acme");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->cached, 1U);
  EXPECT_EQ(done->refilled, 0U);
  EXPECT_EQ(rests_, 0);
}

TEST_F(Warming, OnlyTheTenantThatWantsItIsWarmed) {
  ask("acme", lamp());
  ask("other", lamp());
  begin();
  ask("acme", lamp());
  ask("other", lamp());
  for (const char* tenant : {"acme", "other"})
    ASSERT_TRUE(loop_.wait<void>([&] { return search_->purge(tenant); }));
  store_.asked.clear();
  ASSERT_TRUE(warm("acme"));
  ASSERT_EQ(store_.asked.size(), 1U);
  EXPECT_EQ(store_.asked[0].tenant, "acme");
}

TEST_F(Warming, ItRestsAfterEachSearchAndStopsWhereThereIsNoRoom) {
  for (const char* text : {"lamp", "blue", "green"}) {
    SearchRequest request = lamp();
    request.text = text;
    for (int i = 0; i < 2; ++i) ask("acme", request);
  }
  ASSERT_TRUE(loop_.wait<void>([&] { return search_->purge("acme"); }));
  store_.asked.clear();
  store_.full = true;
  const auto refused = warm();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->failed, 1U);
  EXPECT_EQ(store_.asked.size(), 1U) << "the first refusal ends it";
  store_.full = false;
  ASSERT_TRUE(warm());
  EXPECT_EQ(rests_, 3);
}

TEST_F(Warming, ItAsksNoMoreThanItMay) {
  for (const char* text : {"lamp", "blue", "green"}) {
    SearchRequest request = lamp();
    request.text = text;
    ask("acme", request);
  }
  ask("acme", lamp());
  ASSERT_TRUE(loop_.wait<void>([&] { return search_->purge("acme"); }));
  CacheWarmer small(
      {*search_, *db_, clock_, metrics_, [](std::chrono::nanoseconds) -> Aw<void> { co_return; }},
      {.most = 1});
  store_.asked.clear();
  ASSERT_TRUE(loop_.wait<CacheWarmer::Warmed>(
      [&] { return small.warm("acme", CacheWarmer::Trigger::kDemand); }));
  ASSERT_EQ(store_.asked.size(), 1U);
  EXPECT_EQ(store_.asked[0].text, "lamp");
}

TEST_F(Warming, WhereNothingIsCachedItSaysSo) {
  SearchOptions off = search_->options();
  off.cache = false;
  search_->set_options(off);
  const auto done = warm();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace asahi::memory
