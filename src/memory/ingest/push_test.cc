#include "memory/ingest/push.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/ingest_fixture.h"

namespace asahi::memory {
namespace {

class PushTest : public testing::IngestFixture {
 protected:
  void SetUp() override {
    IngestFixture::SetUp();
    intake_ = std::make_unique<Intake>(parts(), Intake::Options{});
    push_ = std::make_unique<Push>(*intake_, *ledger_, Push::Options{}, &metrics_);
  }
  Result<PushReply> upload(const std::string& body,
                           PushCaller caller = {.reach = Reach::whole("acme")}) {
    return attempt<PushReply>([&] { return push_->upload(caller, body); });
  }
  Result<PushReply> memory(const std::string& body,
                           PushCaller caller = {.reach = Reach::whole("acme")}) {
    return attempt<PushReply>([&] { return push_->memory(caller, body); });
  }
  Result<PushReply> memories(const std::string& body,
                             PushCaller caller = {.reach = Reach::whole("acme")}) {
    return attempt<PushReply>([&] { return push_->memories(caller, body); });
  }
  std::string bundle(const std::string& more, const std::string& conversations) {
    return "{\"system_id\":\"agent\"," + more + "\"manifest\":" + manifest(1) +
           ",\"conversations\":" + conversations + "}";
  }
  UploadCounts told(const std::string& upload, const std::string& system = "agent") {
    auto found =
        get<std::optional<Upload>>([&] { return ledger_->find({"acme", system, upload}); });
    EXPECT_TRUE(found) << upload;
    return found ? found->counts : UploadCounts{};
  }

  telemetry::Registry registry_;
  IngestMetrics metrics_{registry_};
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<Push> push_;
};

TEST_F(PushTest, OneMemoryIsStoredAndSentAgainChangesNothing) {
  const std::string body = R"({"system_id":"agent","content":"hello","metadata":{"own":1}})";
  const auto first = upload(body);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->status, "success");
  EXPECT_EQ(first->items[0].outcome, UpsertOutcome::kStored);
  const auto second = upload(body);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->items[0].outcome, UpsertOutcome::kUnchanged);
  EXPECT_EQ(second->items[0].key, first->items[0].key);
  ASSERT_EQ(store_.all().size(), 1U);
  EXPECT_TRUE(store_.all()[0].metadata.contains("\"own\":1"));
  EXPECT_EQ(first->upload_id, hourly_upload(clock_.now()));
  EXPECT_EQ(told(first->upload_id).items, 2U);
  EXPECT_EQ(told(first->upload_id).stored, 1U);
}

TEST_F(PushTest, ABundleHasARowOfItsOwn) {
  const auto reply = upload(
      bundle(R"("upload_id":"b.1",)", R"([{"content":"one"},{"content":2},{"content":"three"}])"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, "partial");
  EXPECT_EQ(reply->upload_id, "b.1");
  EXPECT_EQ(reply->counts.stored, 2U);
  EXPECT_EQ(reply->counts.errors, 1U);
  EXPECT_TRUE(reply->bad_items.contains("bad_content")) << reply->bad_items;
  EXPECT_EQ(told("b.1").stored, 2U);
  EXPECT_EQ(store_.all()[0].key.conversation_id, "b.1_0");
  // Members may come in any order, and the id may be left to the server.
  const auto other = upload("{\"conversations\":[{\"content\":\"x\"}],\"manifest\":" + manifest(1) +
                            ",\"system_id\":\"agent\"}");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->counts.stored, 1U);
  EXPECT_FALSE(other->upload_id.empty());
}

TEST_F(PushTest, BundlesThatBreakARuleStoreNothing) {
  const std::tuple<std::string, Errc, std::string> kBad[] = {
      {bundle("\"upload_id\":\"../x\",", "[]"), Errc::kInvalidArgument, "upload_id"},
      {R"({"system_id":"a b","manifest":{},"conversations":[]})", Errc::kInvalidArgument,
       "system_id"},
      {R"({"manifest":{},"conversations":[]})", Errc::kInvalidArgument, "system_id"},
      {R"({"system_id":"agent","conversations":[]})", Errc::kInvalidArgument, "manifest"},
      {R"({"system_id":"agent","manifest":{"conversation_count":1},"conversations":[]})",
       Errc::kInvalidArgument, "manifest.uploaded_at"},
      {bundle("", "[{\"content\":\"x\"}"), Errc::kInvalidArgument, ""},
      {bundle("", "[{]"), Errc::kInvalidArgument, ""},
      {bundle("", "{}"), Errc::kInvalidArgument, ""},
      {"", Errc::kInvalidArgument, ""},
      {"[]", Errc::kInvalidArgument, ""},
      {R"({"content":"x"})", Errc::kInvalidArgument, "system_id"},
      {R"({"system_id":"agent"})", Errc::kInvalidArgument, "content"},
      {R"({"system_id":"agent","content":" "})", Errc::kInvalidArgument, "content"},
      {R"({"system_id":"agent","content":"x","embedding":[1,2]})", Errc::kInvalidArgument,
       "embedding"},
      {R"({"system_id":"agent","content":"x","timestamp":"2033-01-01"})", Errc::kInvalidArgument,
       "timestamp"},
  };
  for (const auto& [body, code, field] : kBad) {
    const auto reply = upload(body);
    ASSERT_FALSE(reply) << body;
    EXPECT_EQ(reply.error().code, code) << body;
    EXPECT_EQ(reply.error().field, field) << body << reply.error().message;
  }
  EXPECT_TRUE(store_.all().empty());
}

TEST_F(PushTest, MemoriesNeedAnIdATextAndASystem) {
  const auto reply = memory(
      R"({"memory_id":"m1","text":"hello","metadata":{"source":"Session Buddy","extra":1}})");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->items[0].key, (Key{"acme", "session-buddy", "m1"}));
  const std::string metadata = store_.all()[0].metadata;
  EXPECT_TRUE(metadata.contains(R"("ingestion_method":"http_push")")) << metadata;
  EXPECT_FALSE(metadata.contains("extra")) << metadata;
  EXPECT_EQ(memory(R"({"text":"x","system_id":"a"})").error().field, "memory_id");
  EXPECT_EQ(memory(R"({"memory_id":"m","system_id":"a"})").error().field, "text");
  EXPECT_EQ(memory(R"({"memory_id":"m","text":"x"})").error().field, "system_id");
  EXPECT_EQ(memory("{").error().code, Errc::kInvalidArgument);
}

TEST_F(PushTest, ABatchTellsOfEachItem) {
  const auto reply = memories(
      R"({"memories":[{"memory_id":"1","text":"a","system_id":"x"},{"memory_id":"2"},7,{"memory_id":"1","text":"a","system_id":"x"},{"memory_id":"3","text":"b","system_id":"y"}]})");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, "partial");
  ASSERT_EQ(reply->items.size(), 5U);
  EXPECT_EQ(reply->items[0].outcome, UpsertOutcome::kStored);
  EXPECT_EQ(reply->items[1].bad->fault, ItemFault::kEmpty);
  EXPECT_EQ(reply->items[2].bad->fault, ItemFault::kNotJson);
  EXPECT_EQ(reply->items[3].outcome, UpsertOutcome::kUnchanged);
  EXPECT_EQ(reply->items[4].outcome, UpsertOutcome::kStored);
  EXPECT_EQ(told(reply->upload_id, "x").items, 2U);
  EXPECT_EQ(told(reply->upload_id, "y").items, 1U);
  const std::string page = registry_.expose();
  EXPECT_TRUE(page.contains(
      R"(akosha_ingestion_conversations_processed_total{status="unchanged",system_id="x"} 1)"))
      << page;
}

TEST_F(PushTest, ABatchHasOneToAThousandMemories) {
  EXPECT_EQ(memories(R"({"memories":[]})").error().field, "memories");
  std::string body = "{\"memories\":[";
  for (int i = 0; i < 1'001; ++i) {
    body += (i == 0 ? "" : ",") + std::string(R"({"memory_id":"m)") + std::to_string(i) +
            R"(","text":"text )" + std::to_string(i) + R"(","system_id":"s"})";
  }
  EXPECT_EQ(memories(body + "]}").error().field, "memories");
  EXPECT_TRUE(store_.all().empty());
  body.erase(body.rfind(",{"));
  const auto reply = memories(body + "]}");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->counts.stored, 1'000U);
}

TEST_F(PushTest, WritesOnlyToTheCallersSystems) {
  const PushCaller caller{.reach = Reach("acme", std::vector<std::string>{"mine"})};
  EXPECT_EQ(upload(R"({"system_id":"other","content":"x"})", caller).error().code,
            Errc::kForbidden);
  EXPECT_EQ(upload(bundle("", "[]"), caller).error().code, Errc::kForbidden);
  EXPECT_EQ(memory(R"({"memory_id":"m","text":"x","system_id":"other"})", caller).error().code,
            Errc::kForbidden);
  const auto batch = memories(
      R"({"memories":[{"memory_id":"m","text":"x","system_id":"other"},{"memory_id":"m","text":"x","system_id":"mine"}]})",
      caller);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(batch->items[0].bad->fault, ItemFault::kBadSystem);
  EXPECT_EQ(batch->counts.stored, 1U);
}

TEST_F(PushTest, WaitsOutsideWhenTheStoreIsPressed) {
  Intake::Parts pressed = parts();
  pressed.pressed = [] { return true; };
  Intake intake(pressed, {});
  Push push(intake, *ledger_);
  const auto reply = attempt<PushReply>([&] {
    return push.upload({.reach = Reach::whole("acme")}, R"({"system_id":"a","content":"x"})");
  });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
  EXPECT_EQ(reply.error().retry_after, std::chrono::seconds(1));
  Intake narrow(parts(), {.max_in_flight_bytes = 10});
  // A large one alone gets in; beside it nothing does.
  const auto first = narrow.reserve(100);
  EXPECT_TRUE(first);
  EXPECT_FALSE(narrow.reserve(1));
  EXPECT_TRUE(narrow.pressed());
}

TEST_F(PushTest, AStoreThatIsAwayIsToldAndNothingIsCounted) {
  store_.fail_upserts(2, fail(Errc::kUnavailable, "disk full").error());
  EXPECT_EQ(memory(R"({"memory_id":"m","text":"x","system_id":"a"})").error().code,
            Errc::kUnavailable);
  EXPECT_EQ(upload(bundle(R"("upload_id":"b1",)", R"([{"content":"x"}])")).error().message,
            "disk full");
  EXPECT_EQ(told("b1").stored, 0U);
  // The same bundle again goes through.
  EXPECT_TRUE(upload(bundle(R"("upload_id":"b1",)", R"([{"content":"x"}])")));
  EXPECT_EQ(told("b1").stored, 1U);
}

}  // namespace
}  // namespace asahi::memory
