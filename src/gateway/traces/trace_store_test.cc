#include "gateway/traces/trace_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Told {
  std::string org = "acme", request_id, model = "small", error;
  std::chrono::milliseconds took{10};
  std::uint64_t trace = 1;
  std::string user = {};
  std::chrono::seconds at{1'700'000'000};
};

std::shared_ptr<TraceRecord> record(Told told) {
  const CallTrace::Time start{1h};
  auto trace = std::make_shared<CallTrace>(start);
  trace->context = {0, told.trace, 7, false};
  trace->spans.end_all(start + told.took);
  InferenceEvent event;
  event.org_id = std::move(told.org);
  event.request_id = std::move(told.request_id);
  event.model_selected = std::move(told.model);
  event.error_code = std::move(told.error);
  event.user_id = std::move(told.user);
  event.timestamp = Clock::Time{told.at};
  event.trace = std::move(trace);
  return make_record(event);
}

std::vector<std::string> ids(const std::vector<TraceStore::Record>& records) {
  std::vector<std::string> all;
  for (const auto& one : records) all.push_back(one->event.request_id);
  return all;
}

class TraceStoreTest : public ::testing::Test {
 protected:
  void add(std::initializer_list<const char*> requests, const std::string& org = "acme") {
    for (const char* id : requests) store_.add(record({.org = org, .request_id = id}));
  }
  TraceStore store_{{.kept_per_org = 3}};
};

TEST_F(TraceStoreTest, KeepsTheLastOfEachOrganisation) {
  add({"a", "b", "c", "d"});
  add({"x"}, "other");
  const auto page = store_.newest("acme", {}, 10);
  EXPECT_THAT(ids(page.records), ElementsAre("d", "c", "b"));
  EXPECT_EQ(page.kept, 3U);
  EXPECT_FALSE(page.more);
  EXPECT_THAT(ids(store_.newest("other", {}, 10).records), ElementsAre("x"));
  EXPECT_THAT(store_.newest("nobody", {}, 10).records, IsEmpty());
}

TEST_F(TraceStoreTest, GivesPages) {
  add({"a", "b", "c"});
  const auto first = store_.newest("acme", {}, 2);
  EXPECT_TRUE(first.more);
  add({"d"});
  const auto second = store_.newest("acme", {}, 2, first.records.back()->position);
  EXPECT_THAT(ids(second.records), IsEmpty()) << "what would come has been dropped meanwhile";
  const auto again = store_.newest("acme", {}, 2, first.records.front()->position);
  EXPECT_THAT(ids(again.records), ElementsAre("b"));
}

TEST_F(TraceStoreTest, Filters) {
  store_.add(record({.request_id = "fast", .took = 1ms}));
  store_.add(record({.request_id = "slow", .model = "big", .took = 900ms}));
  store_.add(record({.request_id = "failed", .error = "timeout", .took = 900ms}));
  EXPECT_THAT(ids(store_.newest("acme", {.failed = true}, 9).records), ElementsAre("failed"));
  EXPECT_THAT(ids(store_.newest("acme", {.failed = false}, 9).records),
              ElementsAre("slow", "fast"));
  EXPECT_THAT(ids(store_.newest("acme", {.model = "big"}, 9).records), ElementsAre("slow"));
  EXPECT_THAT(ids(store_.newest("acme", {.min_latency_ms = 899}, 9).records),
              ElementsAre("failed", "slow"));
}

TEST_F(TraceStoreTest, TellsWhatIsNewAndHowMuchWasMissed) {
  EXPECT_EQ(store_.last("acme"), 0U);
  add({"a", "b"});
  auto news = store_.after("acme", {}, 10, 0);
  EXPECT_THAT(ids(news.records), ElementsAre("a", "b"));
  EXPECT_EQ(news.missed, 0U);
  EXPECT_THAT(store_.after("acme", {}, 10, news.last).records, IsEmpty());
  add({"c", "d", "e", "f", "g"});
  news = store_.after("acme", {}, 10, news.last);
  EXPECT_THAT(ids(news.records), ElementsAre("e", "f", "g"));
  EXPECT_EQ(news.missed, 2U);
  news = store_.after("acme", {}, 1, 4);
  EXPECT_THAT(ids(news.records), ElementsAre("g"));
  EXPECT_EQ(news.missed, 2U);
}

TEST_F(TraceStoreTest, FindsByTraceOrRequest) {
  store_.add(record({.request_id = "a", .trace = 5}));
  store_.add(record({.request_id = "b", .trace = 5}));
  store_.add(record({.org = "other", .request_id = "c", .trace = 5}));
  EXPECT_THAT(ids(store_.find("acme", "a")), ElementsAre("a"));
  EXPECT_THAT(ids(store_.find("acme", "00000000000000000000000000000005")), ElementsAre("b", "a"));
  EXPECT_THAT(store_.find("acme", "c"), IsEmpty()) << "another organisation's";
  EXPECT_THAT(store_.find("acme", ""), IsEmpty());
}

TEST_F(TraceStoreTest, ForgetsWhatIsOldAndWhoIsForgotten) {
  store_.add(record({.request_id = "old", .at = 1'000s}));
  store_.add(record({.request_id = "hers", .user = "jo", .at = 5'000s}));
  store_.add(record({.request_id = "his", .user = "al", .at = 5'000s}));
  store_.add(record({.org = "other", .request_id = "other", .user = "jo", .at = 5'000s}));
  store_.drop_before(Clock::Time{2'000s});
  EXPECT_THAT(ids(store_.newest("acme", {}, 9).records), ElementsAre("his", "hers"));
  store_.forget_user("acme", "jo");
  store_.forget_user("nobody", "jo");
  EXPECT_THAT(ids(store_.newest("acme", {}, 9).records), ElementsAre("his"));
  EXPECT_EQ(store_.newest("other", {}, 9).kept, 1U) << "another organisation's jo";
  store_.drop_before(Clock::Time{9'000s});
  EXPECT_EQ(store_.newest("acme", {}, 9).kept, 0U);
}

TEST(TraceStoreBytes, TakesFromTheOrganisationWithTheMost) {
  const std::size_t one = record({.request_id = "x"})->bytes();
  TraceStore store({.kept_per_org = 100, .max_bytes = 5 * one});
  store.add(record({.org = "quiet", .request_id = "x"}));
  for (int i = 0; i < 50; ++i) store.add(record({.org = "busy", .request_id = "x"}));
  EXPECT_EQ(store.newest("quiet", {}, 100).kept, 1U);
  EXPECT_EQ(store.newest("busy", {}, 100).kept, 4U);
}

TEST(TraceStoreBytes, ForgetsOrganisationsThatHaveNothingLeft) {
  const std::size_t one = record({.request_id = "x"})->bytes();
  TraceStore store({.kept_per_org = 100, .max_bytes = 2 * one});
  for (int i = 0; i < 1'000; ++i)
    store.add(record({.org = "org" + std::to_string(i), .request_id = "x"}));
  std::size_t kept = 0;
  for (int i = 0; i < 1'000; ++i) kept += store.newest("org" + std::to_string(i), {}, 1).kept;
  EXPECT_EQ(kept, 2U);
  // Who follows one of them goes on when it comes back.
  store.add(record({.org = "org0", .request_id = "back"}));
  EXPECT_THAT(ids(store.after("org0", {}, 10, 77).records), ElementsAre("back"));
}

}  // namespace
}  // namespace asahi::gateway
