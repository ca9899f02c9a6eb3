#include "memory/search/tiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/embedding/choice.h"
#include "memory/model/forwarding_store.h"
#include "memory/search/search.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "net/event.h"
#include "storage/cache/memory_store.h"

namespace asahi::memory {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FallsTo, TheNextColderTierThatWasNotAskedYet) {
  constexpr std::array<bool, 3> kAll = {true, true, true};
  const auto next = [&](std::array<bool, 3> asked, std::array<bool, 3> failed,
                        HotFallback hot = HotFallback::kWarm) {
    return falls_to({.served = kAll, .asked = asked, .failed = failed}, hot);
  };
  EXPECT_EQ(next({true, false, false}, {true, false, false}), 1U);
  EXPECT_EQ(next({true, true, false}, {true, true, false}), 2U);
  EXPECT_EQ(next({false, true, false}, {false, true, false}), 2U);
  EXPECT_EQ(next({true, false, true}, {true, false, true}), 1U) << "warm is colder than hot";
  EXPECT_EQ(next({false, false, true}, {false, false, true}), std::nullopt) << "never a hotter one";
  EXPECT_EQ(next(kAll, kAll), std::nullopt) << "none is left";
  EXPECT_EQ(next({true, true, false}, {true, false, false}), std::nullopt) << "one has answered";
  EXPECT_EQ(falls_to({.served = {true, false, true},
                      .asked = {true, false, false},
                      .failed = {true, false, false}},
                     HotFallback::kWarm),
            2U)
      << "where there is no warm tier";
}

TEST(FallsTo, NothingStandsInForHotWhereThatIsSwitchedOff) {
  const auto next = [](std::array<bool, 3> asked) {
    return falls_to({.served = {true, true, true}, .asked = asked, .failed = asked},
                    HotFallback::kNone);
  };
  EXPECT_EQ(next({true, false, false}), std::nullopt);
  EXPECT_EQ(next({true, true, false}), 2U) << "it is the warm tier that falls through";
}

/// A tier that may fail or never answer.
class Shaky final : public ForwardingStore {
 public:
  explicit Shaky(Tier tier) : ForwardingStore(rows_), rows_(tier) {}
  Task<StorePage> search(StoreQuery query) override {
    asked.push_back(query);
    if (hangs) {
      net::Event never(*net::Loop::current());
      co_await never.wait();
    }
    if (error) co_return std::unexpected(*error);
    co_return co_await ForwardingStore::search(std::move(query));
  }
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override {
    ++sums;
    if (error) co_return std::unexpected(*error);
    co_return co_await ForwardingStore::checksum(std::move(keys));
  }

  std::vector<StoreQuery> asked;
  std::optional<Error> error;
  bool hangs = false;
  int sums = 0;

 private:
  testing::MemoryStore rows_;
};

const Error kAway{.code = Errc::kUnavailable, .message = "the disk is gone"};

class TierFailover : public ::testing::Test {
 protected:
  void SetUp() override {
    put(hot_, "new");
    put(warm_, "older");
    put(cold_, "oldest");
    put(cold_, "theirs", "secret-desk");
    make();
  }
  void make(SearchOptions options = {}) {
    options.tier_timeout = milliseconds(50);
    search_ = std::make_unique<Search>(Search::Parts{.hot = &hot_,
                                                     .warm = &warm_,
                                                     .cold = &cold_,
                                                     .embedder = *embedder_,
                                                     .l1 = l1_,
                                                     .replies = replies_,
                                                     .epochs = epochs_,
                                                     .clock = clock_},
                                       options);
  }
  void put(Store& store, const std::string& id, const std::string& system = "desk") {
    Memory memory;
    memory.key = {"acme", system, id};
    memory.content = "The lamp is " + id + ".";
    memory.content_hash = sha256(memory.content);
    memory.timestamp = memory.uploaded_at = clock_.now();
    ASSERT_TRUE(loop_.wait<std::vector<UpsertOutcome>>(
        [&] { return store.upsert_batch({memory}, {.deduplicate = false}); }));
  }
  struct Told {
    bool partial = false;
    std::vector<std::string> failed, searched, ids;
    std::string cache;
  };
  static std::vector<std::string> texts(const json::value& list) {
    std::vector<std::string> out;
    for (const json::value& one : list.as_array()) out.emplace_back(one.as_string());
    return out;
  }
  Result<Told> ask(SearchRequest request = lamp(), Reach reach = Reach("acme", std::nullopt)) {
    auto reply = loop_.wait<std::string>([&] { return search_->search(reach, request); });
    if (!reply) return std::unexpected(reply.error());
    const json::object body = json::parse(*reply).as_object();
    Told told{.partial = body.at("partial").as_bool(),
              .failed = texts(body.at("failed_shards")),
              .searched = texts(body.at("tiers_searched")),
              .ids = {},
              .cache = std::string(body.at("cache").as_string())};
    for (const json::value& hit : body.at("results").as_array())
      told.ids.emplace_back(hit.as_object().at("conversation_id").as_string());
    return told;
  }
  static SearchRequest lamp() {
    SearchRequest request;
    request.mode = SearchMode::kKeyword;
    request.text = "lamp";
    return request;
  }

  testing::OnLoop loop_;
  ManualClock clock_;
  Shaky hot_{Tier::kHot}, warm_{Tier::kWarm}, cold_{Tier::kCold};
  std::unique_ptr<llm::TextEmbedder> embedder_ = choose_embedder(MemoryConfig{}).embedder;
  cache::MemoryStore l1_{{.max_entries = 100}, clock_}, replies_{{.max_entries = 100}, clock_};
  Epochs epochs_{nullptr};
  std::unique_ptr<Search> search_;
};

TEST_F(TierFailover, WarmAnswersWhenHotFailsAndColdIsLeftAlone) {
  hot_.error = kAway;
  const auto told = ask().value();
  EXPECT_TRUE(told.partial);
  EXPECT_THAT(told.failed, ElementsAre("hot"));
  EXPECT_THAT(told.searched, ElementsAre("warm"));
  EXPECT_THAT(told.ids, ElementsAre("older"));
  EXPECT_TRUE(cold_.asked.empty());
}

TEST_F(TierFailover, ColdIsAskedWhenBothFailAndTheReplyNamesThem) {
  hot_.error = warm_.error = kAway;
  const auto told = ask().value();
  EXPECT_TRUE(told.partial);
  EXPECT_THAT(told.failed, ElementsAre("hot", "warm"));
  EXPECT_THAT(told.searched, ElementsAre("cold"));
  EXPECT_THAT(told.ids, ::testing::UnorderedElementsAre("oldest", "theirs"));
  EXPECT_EQ(hot_.sums + warm_.sums, 0) << "who has just failed is not asked about copies";
}

TEST_F(TierFailover, ATierThatWasNamedAloneFallsThroughStepByStep) {
  SearchRequest request = lamp();
  request.warm = false;
  hot_.error = kAway;
  EXPECT_THAT(ask(request)->searched, ElementsAre("warm"));
  warm_.error = kAway;
  EXPECT_THAT(ask(request)->searched, ElementsAre("cold"));
}

TEST_F(TierFailover, StaysWithinTheSystemsOfTheCaller) {
  hot_.error = warm_.error = kAway;
  const Reach reach("acme", std::vector<std::string>{"desk"});
  EXPECT_THAT(ask(lamp(), reach)->ids, ElementsAre("oldest"));
  EXPECT_THAT(*cold_.asked.back().filter.systems_allowed, ElementsAre("desk"));
  EXPECT_EQ(cold_.asked.back().tenant, "acme");
}

TEST_F(TierFailover, IsNeverCachedAsIfItWereWhole) {
  hot_.error = warm_.error = kAway;
  EXPECT_EQ(ask()->cache, "miss");
  EXPECT_EQ(ask()->cache, "miss");
  hot_.error = warm_.error = std::nullopt;
  const auto whole = ask().value();
  EXPECT_EQ(whole.cache, "miss");
  EXPECT_FALSE(whole.partial);
  EXPECT_THAT(whole.ids, ::testing::UnorderedElementsAre("new", "older"));
  EXPECT_EQ(ask()->cache, "l1");
}

TEST_F(TierFailover, GivesColdOnlyWhatIsLeftOfTheDeadline) {
  hot_.hangs = warm_.hangs = true;
  SearchRequest request = lamp();
  request.timeout = milliseconds(5'000);
  EXPECT_THAT(ask(request)->searched, ElementsAre("cold"));
  ASSERT_EQ(cold_.asked.size(), 1U);
  EXPECT_LE(*cold_.asked[0].patience, milliseconds(4'950));
  request.timeout = milliseconds(20);
  const auto late = ask(request);
  ASSERT_FALSE(late) << "nothing is left for the cold tier";
  EXPECT_EQ(late.error().code, Errc::kUnavailable);
  EXPECT_EQ(cold_.asked.size(), 1U);
}

TEST_F(TierFailover, IsRefusedWhenNobodyIsLeft) {
  hot_.error = warm_.error = cold_.error = kAway;
  const auto told = ask();
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, Errc::kUnavailable);
  EXPECT_THAT(told.error().message, HasSubstr("the disk is gone"));
}

TEST_F(TierFailover, AQuestionThatIsAtFaultAsksNobodyElse) {
  hot_.error = warm_.error = Error{.code = Errc::kInvalidArgument, .message = "too wide"};
  EXPECT_EQ(ask().error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(cold_.asked.empty());
}

TEST_F(TierFailover, ATierThatRefusesThisProcessIsNotPaperedOver) {
  hot_.error = Error{.code = Errc::kUnauthenticated, .message = "another AKOSHA_STORE_SECRET"};
  warm_.error = kAway;
  const auto told = ask();
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, Errc::kUnavailable);
  EXPECT_TRUE(cold_.asked.empty());
}

TEST_F(TierFailover, NothingStandsInForHotWhereItIsSwitchedOff) {
  make({.hot_fallback = HotFallback::kNone});
  hot_.error = kAway;
  SearchRequest request = lamp();
  request.warm = false;
  EXPECT_EQ(ask(request).error().code, Errc::kUnavailable);
  EXPECT_TRUE(warm_.asked.empty());
  EXPECT_THAT(ask()->searched, ElementsAre("warm")) << "what was asked for still answers";
}

}  // namespace
}  // namespace asahi::memory
