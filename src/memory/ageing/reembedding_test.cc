#include "memory/ageing/reembedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "memory/ageing/move_gate.h"
#include "memory/hot/hot_store.h"
#include "memory/testing/on_loop.h"
#include "memory/warm/warm_store.h"
#include "storage/columnar/private_folder.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::Pair;
using OneRun = Run;  // testing::Test has a Run of its own

/// An embedder that can be away, or have another stand in for it.
class Flaky final : public llm::TextEmbedder {
 public:
  explicit Flaky(std::unique_ptr<llm::TextEmbedder> inner) : inner_(std::move(inner)) {}
  const llm::EmbedderTraits& traits() const override { return inner_->traits(); }
  std::optional<llm::Embedded> try_embed(std::string_view text) override {
    return inner_->try_embed(text);
  }
  Task<std::vector<llm::Embedded>> embed(std::vector<std::string> texts, llm::EmbedPurpose purpose,
                                         llm::CallContext context) override {
    if (failures > 0) {
      --failures;
      co_return fail(Errc::kUnavailable, "the embedder is away");
    }
    ++calls;
    co_return co_await inner_->embed(std::move(texts), purpose, std::move(context));
  }
  std::atomic<int> failures{0}, calls{0};

 private:
  std::unique_ptr<llm::TextEmbedder> inner_;
};

/// Memories that were embedded at random, and an embedder that hashes words.
class ReembeddingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    std::vector<sql::Migration> all = jobs::migrations();
    for (const auto& one : run_migrations()) all.push_back(one);
    ASSERT_TRUE(sql::Migrator(*db_, all).upgrade());
    open_stores();
  }
  void TearDown() override { stop(); }
  void stop() {
    reembedding_.reset();
    warm_.reset();
    hot_.reset();
  }
  void open_stores() {
    HotOptions hot, warm;
    hot.engine.folder = folder_.path() + "/hot";
    warm.engine.folder = folder_.path() + "/warm";
    hot_ = std::make_unique<MoveGate>(HotStore::open(std::move(hot)).value(), clock_);
    warm_ = std::make_unique<MoveGate>(WarmStore::open(std::move(warm)).value(), clock_);
  }
  void begin(ReembeddingOptions options = {}) {
    options.poll = 5ms;
    options.per_second = 1'000'000;
    reembedding_ = std::make_unique<Reembedding>(
        Reembedding::Parts{.stores = {hot_.get(), warm_.get()},
                           .embedder = embedder_,
                           .database = *db_,
                           .loop = on_.loop(),
                           .clock = clock_,
                           .metrics = metrics_,
                           .changed = [this](std::string tenant) -> Aw<void> {
                             changed_.insert(std::move(tenant));
                             co_return;
                           },
                           .rest = [this](std::chrono::nanoseconds) -> Aw<void> {
                             ++rests_;
                             co_return;
                           }},
        options);
    reembedding_->start();
  }
  Memory told(const std::string& id, const std::string& text, const std::string& tenant = "org") {
    Memory out;
    out.key = {tenant, "agent", id};
    out.content = text;
    out.content_hash = sha256(text);
    out.embedding = *random_->try_embed(text)->vector;
    out.embedding_model = random_->traits().tag;
    out.timestamp = clock_.now() - 1h;
    out.uploaded_at = out.timestamp;
    return out;
  }
  void put(Store& store, std::vector<Memory> memories) {
    ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      co_return co_await store.upsert_batch(memories, {.deduplicate = false});
    }));
  }
  Memory get(Store& store, const std::string& id) {
    return on_
        .wait<std::vector<std::optional<Memory>>>(
            [&]() -> Task<std::vector<std::optional<Memory>>> {
              std::vector<Key> keys{{"org", "agent", id}};
              co_return co_await store.get(std::move(keys));
            })
        .value()
        .front()
        .value();
  }
  std::vector<std::string> near(Store& store, const std::string& text) {
    StoreQuery query{.tenant = "org",
                     .mode = SearchMode::kSemantic,
                     .embedding = *embedder_.try_embed(text)->vector,
                     .embedding_model = embedder_.traits().tag,
                     .threshold = 0.5F};
    const auto page =
        on_.wait<StorePage>([&]() -> Task<StorePage> { co_return co_await store.search(query); });
    std::vector<std::string> out;
    for (const StoreHit& hit : page.value().hits) out.push_back(hit.key.conversation_id);
    return out;
  }
  Result<OneRun> request(const std::string& org = "org", bool downgrade = false) {
    return on_.wait<OneRun>([&]() -> Task<OneRun> {
      co_return co_await reembedding_->request(org, {.downgrade = downgrade});
    });
  }
  Reembedding::Status status(const std::string& org = "org") {
    return on_
        .wait<Reembedding::Status>(
            [&]() -> Task<Reembedding::Status> { co_return co_await reembedding_->status(org); })
        .value();
  }
  OneRun ended() {
    for (int i = 0; i < 4'000; ++i) {
      const auto run = status().run;
      if (run && run->state == RunState::kDone) return *run;
      std::this_thread::sleep_for(2ms);
    }
    ADD_FAILURE() << "the run did not end";
    return {};
  }

  const columnar::PrivateFolder folder_ = columnar::PrivateFolder::make("").value();
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  testing::OnLoop on_;
  telemetry::Registry metrics_;
  const std::unique_ptr<llm::TextEmbedder> random_ = llm::make_random_embedder(64);
  Flaky embedder_{llm::make_local_embedder(64)};
  std::set<std::string> changed_;
  std::atomic<int> rests_{0};
  std::unique_ptr<MoveGate> hot_, warm_;
  std::unique_ptr<Reembedding> reembedding_;
  const Clock& clock_ = system_clock();
};

TEST_F(ReembeddingTest, MemoriesOfAnotherModelAreFoundByMeaningAgainAndStayWhatTheyAre) {
  put(*hot_, {told("h", "the cat sat on the mat"), told("x", "invoices are due on friday"),
              told("theirs", "the cat sat on the mat", "another")});
  Memory summary = told("w", "a dog slept in the sun");
  summary.content_hash = sha256("All that was said of a dog that slept in the sun.");
  put(*warm_, {summary});
  const Memory before = get(*hot_, "h");
  begin();
  EXPECT_THAT(near(*hot_, "the cat sat on the mat"), ElementsAre());
  EXPECT_EQ(status().remaining, 3U);
  const auto asked = request();
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(ended().records_migrated, 3U);
  EXPECT_EQ(status().remaining, 0U);
  EXPECT_EQ(status("another").remaining, 1U) << "another organisation's are its own affair";
  EXPECT_THAT(near(*hot_, "the cat sat on the mat"), ElementsAre("h"));
  EXPECT_THAT(near(*warm_, "a dog slept in the sun"), ElementsAre("w"));
  Memory after = get(*hot_, "h");
  EXPECT_EQ(after.embedding_model, embedder_.traits().tag);
  after.embedding = before.embedding;
  after.embedding_model = before.embedding_model;
  EXPECT_EQ(after, before) << "only its vector is another";
  EXPECT_EQ(get(*warm_, "w").content_hash, summary.content_hash);
  EXPECT_THAT(changed_, ElementsAre("org"));
  EXPECT_GE(rests_, 2) << "searches have their turn between batches";
}

TEST_F(ReembeddingTest, ARunThatDiedGoesOnWhereItWas) {
  std::vector<Memory> many;
  for (int i = 0; i < 40; ++i)
    many.push_back(told(std::to_string(i), "memory number " + std::to_string(i)));
  put(*hot_, many);
  begin({.batch = 4, .turn = 0ms});  // comes to nothing: each turn ends before its first batch
  ASSERT_TRUE(request());
  stop();
  open_stores();
  begin({.batch = 4, .turn = 1ms});
  EXPECT_EQ(ended().records_migrated, 40U);
  EXPECT_EQ(status().remaining, 0U);
  EXPECT_EQ(embedder_.calls, 10) << "no memory was embedded twice";
}

TEST_F(ReembeddingTest, AnEmbedderThatIsAwayLeavesRowsFreeAndIsTriedAgain) {
  put(*hot_, {told("a", "some text")});
  embedder_.failures = 1;
  begin();
  ASSERT_TRUE(request());
  for (int i = 0; i < 2'000 && status().run->state != RunState::kFailed; ++i)
    std::this_thread::sleep_for(2ms);
  EXPECT_EQ(status().run->error, "the embedder is away");
  ASSERT_TRUE(request()) << "at once, instead of waiting for the next try";
  EXPECT_EQ(ended().records_migrated, 1U);
}

TEST_F(ReembeddingTest, VectorsOfAModelAreNotReplacedByHashesUnlessAskedFor) {
  Memory real = told("a", "some text");
  real.embedding_model = "onnx/all-MiniLM-L6-v2/64";
  put(*hot_, {real});
  begin();
  const auto refused = request();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("onnx/all-MiniLM-L6-v2/64"));
  ASSERT_TRUE(request("org", true));
  EXPECT_EQ(ended().records_migrated, 1U);
}

TEST_F(ReembeddingTest, TellsModelsByTier) {
  Memory none = told("n", "without a vector");
  none.embedding.clear();
  none.embedding_model.clear();
  put(*hot_, {told("a", "some text"), none});
  begin();
  const json::object shown = reembedding_json(status());
  EXPECT_EQ(shown.at("mode").as_string(), "fallback");
  EXPECT_EQ(shown.at("remaining").to_number<int>(), 2);
  const json::object& hot = shown.at("tiers").as_object().at("hot").as_object();
  EXPECT_EQ(hot.at("none").to_number<int>(), 1);
  EXPECT_EQ(hot.at(random_->traits().tag).to_number<int>(), 1);
  EXPECT_TRUE(shown.at("run").is_null());
}

TEST(ReembeddingRequest, BadInputNamesTheField) {
  const auto field = [](std::string_view body) {
    const auto parsed = Reembedding::parse(json::parse(body).as_object());
    return parsed ? std::string("-") : parsed.error().field;
  };
  EXPECT_EQ(field("{}"), "-");
  EXPECT_EQ(field(R"({"downgrade":true})"), "-");
  EXPECT_EQ(field(R"({"downgrade":1})"), "downgrade");
  EXPECT_EQ(field(R"({"all":true})"), "all");
}

}  // namespace
}  // namespace asahi::memory::ageing
