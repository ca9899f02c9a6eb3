#include "memory/fitness/trace_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory::fitness {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TraceStoreContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({trace_migration()})) return;
    store_ = std::make_unique<TraceStore>(*db_, metrics_, TraceStore::Options{.most = 5});
  }
  void TearDown() override {
    store_.reset();
    db_.reset();
  }
  Trace trace(std::string id, minutes ago, std::string system = "buddy",
              std::string task_class = "quick") {
    return {.system_id = std::move(system),
            .trace_id = std::move(id),
            .task_class = std::move(task_class),
            .selector = "gpt-5",
            .started_at = std::chrono::floor<std::chrono::milliseconds>(clock_.now() - ago),
            .latency = std::chrono::microseconds(1'500),
            .failed = true,
            .metadata = R"({"tokens":7})"};
  }
  TraceStore::Added add(std::vector<Trace> traces, std::string tenant = "acme") {
    const auto added = loop_.wait<TraceStore::Added>(
        [&] { return store_->add(std::move(tenant), std::move(traces)); });
    EXPECT_TRUE(added) << added.error().message;
    return added.value_or(TraceStore::Added{});
  }
  std::vector<std::string> ids(TraceQuery query) {
    const auto found =
        loop_.wait<std::vector<Trace>>([&] { return store_->find(std::move(query)); });
    EXPECT_TRUE(found) << found.error().message;
    std::vector<std::string> out;
    for (const Trace& one : found.value_or(std::vector<Trace>{})) out.push_back(one.trace_id);
    return out;
  }
  std::uint64_t sweep() {
    return loop_.wait<std::uint64_t>([&] { return store_->sweep(clock_.now()); }).value();
  }

  ManualClock clock_;
  telemetry::Registry metrics_;
  testing::OnLoop loop_;
  std::unique_ptr<TraceStore> store_;
};

TEST_P(TraceStoreContract, WhatWasReportedIsFoundTheLatestFirst) {
  const Trace whole = trace("a", minutes(3));
  EXPECT_EQ(add({whole, trace("b", minutes(1)), trace("c", minutes(2), "other")}).stored, 3U);
  EXPECT_THAT(ids({.tenant = "acme", .system_id = "buddy"}), ElementsAre("b", "a"));
  EXPECT_THAT(ids({.tenant = "acme", .system_id = "buddy", .limit = 1}), ElementsAre("b"));
  EXPECT_THAT(ids({.tenant = "rival", .system_id = "buddy"}), IsEmpty());
  const auto found = loop_.wait<std::vector<Trace>>([&] {
    return store_->find({.tenant = "acme", .system_id = "buddy", .to = clock_.now() - minutes(2)});
  });
  EXPECT_THAT(found.value(), ElementsAre(whole));
}

TEST_P(TraceStoreContract, ClassAndTimesNarrow) {
  add({trace("a", minutes(3)), trace("b", minutes(2), "buddy", "reasoning"),
       trace("c", minutes(1))});
  TraceQuery query{.tenant = "acme", .system_id = "buddy", .task_class = "quick"};
  EXPECT_THAT(ids(query), ElementsAre("c", "a"));
  query.from = clock_.now() - minutes(2);
  EXPECT_THAT(ids(query), ElementsAre("c"));
  query = {.tenant = "acme", .system_id = "buddy", .to = clock_.now() - minutes(2)};
  EXPECT_THAT(ids(query), ElementsAre("a")) << "the end does not belong to it";
}

TEST_P(TraceStoreContract, ATraceReportedAgainChangesNothing) {
  add({trace("a", minutes(3))});
  Trace other = trace("a", minutes(1));
  other.failed = false;
  const auto again = add({other, trace("b", minutes(1)), trace("b", minutes(1))});
  EXPECT_EQ(again.stored, 1U);
  EXPECT_EQ(again.unchanged, 2U);
  EXPECT_EQ(add({trace("a", minutes(1), "other")}).stored, 1U) << "ids are a system's own";
  EXPECT_EQ(add({trace("a", minutes(1))}, "rival").stored, 1U);
}

TEST_P(TraceStoreContract, OldOnesAndThoseBeyondTheNumberGo) {
  add({trace("old", minutes(60 * 169)), trace("young", minutes(60 * 167))});
  EXPECT_EQ(sweep(), 1U);
  for (int i = 0; i < 7; ++i) add({trace("n" + std::to_string(i), minutes(i))});
  add({trace("theirs", minutes(100))}, "rival");
  EXPECT_EQ(sweep(), 3U);
  EXPECT_THAT(ids({.tenant = "acme", .system_id = "buddy"}),
              ElementsAre("n0", "n1", "n2", "n3", "n4"));
  EXPECT_THAT(ids({.tenant = "rival", .system_id = "buddy"}), ElementsAre("theirs"));
}

TEST_P(TraceStoreContract, ASystemIsForgotten) {
  add({trace("a", minutes(1)), trace("b", minutes(1), "other")});
  add({trace("c", minutes(1))}, "rival");
  const auto gone =
      loop_.wait<std::uint64_t>([&] { return store_->forget_system("acme", "buddy"); });
  EXPECT_EQ(gone.value(), 1U);
  EXPECT_THAT(ids({.tenant = "acme", .system_id = "buddy"}), IsEmpty());
  EXPECT_THAT(ids({.tenant = "acme", .system_id = "other"}), ElementsAre("b"));
  EXPECT_THAT(ids({.tenant = "rival", .system_id = "buddy"}), ElementsAre("c"));
}

INSTANTIATE_TEST_SUITE_P(Engines, TraceStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

class ParseTrace : public ::testing::Test {
 protected:
  Result<Trace> parse(std::string_view text, const Reach& reach = Reach::whole("acme")) {
    return parse_trace(json::parse(text).as_object(), reach, clock_.now(),
                       clock_.now() - hours(168));
  }
  std::string field(std::string_view text) {
    const auto read = parse(text);
    return read ? "" : read.error().field;
  }
  ManualClock clock_;
};

TEST_F(ParseTrace, TakesWhatAgentsTell) {
  const auto read = parse(R"({"system_id":"buddy","task_class":"quick","selector":"gpt-5",
    "latency_ms":1500.5,"outcome":"failure","trace_id":"a","metadata":{"tokens":7}})");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->latency, std::chrono::microseconds(1'500'500));
  EXPECT_TRUE(read->failed);
  EXPECT_NEAR(std::chrono::duration<double>(clock_.now() - read->started_at).count(), 1.5, 0.01)
      << "now is its end";
  const auto again = parse(json::serialize(to_json(*read)));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *read);
  EXPECT_FALSE(parse(R"({"system_id":"buddy","task_class":"quick","selector":"x","latency_ms":0,
    "outcome":"success"})")
                   .value()
                   .trace_id.empty());
}

TEST_F(ParseTrace, NamesTheFieldThatBreaksItsRule) {
  EXPECT_EQ(field(R"({})"), "system_id");
  const std::string rest =
      R"("system_id":"buddy","selector":"x","latency_ms":1,"outcome":"success")";
  EXPECT_EQ(field("{" + rest + "}"), "task_class");
  EXPECT_EQ(field("{" + rest + R"(,"task_class":"a-b"})"), "task_class");
  EXPECT_EQ(field("{" + rest + R"(,"task_class":"quick","started_at":"2001-01-01T00:00:00Z"})"),
            "started_at");
  EXPECT_EQ(field("{" + rest + R"(,"task_class":"quick","started_at":"2101-01-01T00:00:00Z"})"),
            "started_at");
  EXPECT_EQ(field("{" + rest + R"(,"task_class":"quick","metadata":7})"), "metadata");
  EXPECT_EQ(field("{" + rest + R"(,"task_class":"quick","colour":7})"), "colour");
  EXPECT_EQ(field(R"({"system_id":"b","task_class":"quick","selector":"x","latency_ms":-1,
    "outcome":"success"})"),
            "latency_ms");
  EXPECT_EQ(field(R"({"system_id":"b","task_class":"quick","selector":"x","latency_ms":1,
    "outcome":"perhaps"})"),
            "outcome");
  const auto beyond = parse(R"({"system_id":"beta","task_class":"quick","selector":"x",
    "latency_ms":1,"outcome":"success"})",
                            Reach("acme", std::vector<std::string>{"alpha"}));
  EXPECT_EQ(beyond.error().code, Errc::kForbidden);
}

}  // namespace
}  // namespace asahi::memory::fitness
