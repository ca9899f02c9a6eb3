#include "memory/outside/upload_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/outside/queue_listener.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kUrl = "https://sqs.us-east-1.amazonaws.com/123456789012/uploads";
constexpr const char* kDead = "https://sqs.us-east-1.amazonaws.com/123456789012/dead";

std::string created(const std::string& key) {
  return json::serialize(
      json::object{{"Records", json::array{json::object{{"eventName", "ObjectCreated:Put"},
                                                        {"s3", {{"object", {{"key", key}}}}}}}}});
}

TEST(BucketEvents, NameTheObjectsThatWereCreated) {
  EXPECT_THAT(*created_keys(created("systems/a/b%2Bc/manifest.json")),
              ElementsAre("systems/a/b+c/manifest.json"));
  EXPECT_THAT(*created_keys(created("a+b")), ElementsAre("a b"));
  EXPECT_THAT(*created_keys(R"({"Records":[{"eventName":"s3:ObjectCreated:Put",
                "s3":{"object":{"key":"minio"}}},{"eventName":"ObjectRemoved:Delete"}]})"),
              ElementsAre("minio"));
  EXPECT_THAT(*created_keys(json::serialize(
                  json::object{{"Type", "Notification"}, {"Message", created("through-sns")}})),
              ElementsAre("through-sns"));
  EXPECT_THAT(*created_keys(R"({"detail-type":"Object Created",
                "detail":{"object":{"key":"event bridge+"}}})"),
              ElementsAre("event bridge+"));
  EXPECT_THAT(*created_keys(R"({"action":"PutObject","object":{"key":"r2"}})"), ElementsAre("r2"));
  EXPECT_THAT(*created_keys(R"({"Service":"Amazon S3","Event":"s3:TestEvent"})"), IsEmpty());
  EXPECT_THAT(*created_keys(R"({"detail-type":"Object Deleted"})"), IsEmpty());
}

TEST(BucketEvents, RefuseWhatIsNoEvent) {
  for (const char* body :
       {"", "[]", "{}", R"({"Records":{}})", R"({"Records":[7]})", R"({"Records":[{}]})",
        R"({"Records":[{"eventName":"ObjectCreated:Put"}]})",
        R"({"Records":[{"eventName":"ObjectCreated:Put","s3":{"object":{}}}]})",
        R"({"Records":[{"eventName":"ObjectCreated:Put","s3":{"object":{"key":"%zz"}}}]})",
        R"({"Message":"no json"})", R"({"Message":"{\"Message\":\"{}\"}"})"}) {
    const auto keys = created_keys(body);
    ASSERT_FALSE(keys) << body;
  }
}

/// A queue that speaks SQS's JSON protocol.
class QueueTest : public ::testing::Test {
 protected:
  UploadQueue queue() {
    return UploadQueue::make(
               {.url = kUrl,
                .dead_letter_url = kDead,
                .signer = {.access_key_id = "AKID",
                           .secret_access_key = Secret("secret"),
                           .session_token = "",
                           .region = "us-east-1",
                           .service = "sqs"}},
               [this](http::ClientRequest request,
                      http::CallOptions) -> Task<http::ClientResponse> {
                 EXPECT_EQ(request.origin.host, "sqs.us-east-1.amazonaws.com");
                 EXPECT_EQ(request.target, "/");
                 EXPECT_EQ(request.headers.get("Content-Type"), "application/x-amz-json-1.0");
                 EXPECT_THAT(std::string(request.headers.get("Authorization")),
                             HasSubstr("SignedHeaders=content-type;host;x-amz-date;x-amz-target"));
                 actions_.emplace_back(request.headers.get("X-Amz-Target"));
                 const json::object body = json::parse(request.body).as_object();
                 if (status_ != 200)
                   co_return http::ClientResponse{status_, {}, R"({"__type":"QueueDoesNotExist"})"};
                 co_return http::ClientResponse{200, {}, answer(actions_.back(), body)};
               },
               clock_)
        .value();
  }
  std::string answer(const std::string& action, const json::object& body) {
    if (action == "AmazonSQS.SendMessage") {
      EXPECT_EQ(body.at("QueueUrl"), kDead);
      buried_.emplace_back(body.at("MessageBody").as_string());
      return R"({"MessageId":"d"})";
    }
    EXPECT_EQ(body.at("QueueUrl"), kUrl);
    if (action == "AmazonSQS.DeleteMessageBatch") {
      for (const json::value& entry : body.at("Entries").as_array())
        removed_.emplace_back(entry.at("ReceiptHandle").as_string());
      return R"({"Successful":[],"Failed":[]})";
    }
    EXPECT_EQ(body.at("MaxNumberOfMessages"), 10);
    EXPECT_EQ(body.at("WaitTimeSeconds"), 20);
    json::array list;
    for (const std::string& message : std::exchange(waiting_, {})) {
      list.push_back(
          json::object{{"MessageId", "m"},
                       {"ReceiptHandle", "r" + std::to_string(list.size())},
                       {"Body", message},
                       {"Attributes", {{"ApproximateReceiveCount", std::to_string(receives_)}}}});
    }
    return list.empty() ? "{}" : json::serialize(json::object{{"Messages", std::move(list)}});
  }
  bool poll() {
    const UploadQueue asked = queue();
    QueueListener listener(
        {.receive = [&asked] { return asked.receive(); },
         .remove = [&asked](std::vector<QueueMessage> all) { return asked.remove(std::move(all)); },
         .bury = [&asked](QueueMessage one) { return asked.bury(std::move(one)); },
         .notice = [this](std::string key) -> Task<bool> {
           noticed_.push_back(key);
           if (trouble_) co_return std::unexpected(*trouble_);
           co_return true;
         },
         .metrics = metrics_,
         .clock = clock_},
        {});
    return net::run_sync<bool>(loop_.loop(), [&]() { return listener.poll(); });
  }

  testing::OnLoop loop_;
  ManualClock clock_;
  telemetry::Registry metrics_;
  int status_ = 200;
  int receives_ = 1;
  std::vector<std::string> waiting_, actions_, removed_, buried_, noticed_;
  std::optional<Error> trouble_;
};

TEST_F(QueueTest, AnEventOfAManifestLeadsToItsUpload) {
  waiting_ = {created("systems/a/u1/memories.json"), created("systems/a/u1/manifest.json"),
              created("systems/system_id%3Da/upload_id%3Du2/manifest.json")};
  EXPECT_TRUE(poll());
  EXPECT_THAT(noticed_, ElementsAre("systems/a/u1/manifest.json",
                                    "systems/system_id=a/upload_id=u2/manifest.json"));
  EXPECT_THAT(removed_, ElementsAre("r0", "r1", "r2"));
  EXPECT_THAT(buried_, IsEmpty());
  EXPECT_TRUE(poll()) << "an empty queue is none the worse";
  EXPECT_THAT(actions_, ElementsAre("AmazonSQS.ReceiveMessage", "AmazonSQS.DeleteMessageBatch",
                                    "AmazonSQS.ReceiveMessage"));
}

TEST_F(QueueTest, WhatNobodyUnderstandsIsPutAside) {
  waiting_ = {"poison"};
  EXPECT_TRUE(poll());
  EXPECT_THAT(buried_, ElementsAre("poison"));
  EXPECT_THAT(removed_, ElementsAre("r0"));
  trouble_ = fail(Errc::kInvalidArgument, "no name of a system").error();
  waiting_ = {created("systems/%2E%2E/u/manifest.json")};
  EXPECT_TRUE(poll());
  EXPECT_EQ(buried_.size(), 2U);
}

TEST_F(QueueTest, WhileTheBucketIsAwayMessagesStayForSomeTries) {
  trouble_ = fail(Errc::kUnavailable, "the bucket is away").error();
  waiting_ = {created("systems/a/u1/manifest.json")};
  EXPECT_FALSE(poll());
  EXPECT_THAT(removed_, IsEmpty());
  receives_ = 5;
  waiting_ = {created("systems/a/u1/manifest.json")};
  EXPECT_TRUE(poll());
  EXPECT_EQ(buried_.size(), 1U);
}

TEST_F(QueueTest, AQueueThatRefusesIsToldAsItIs) {
  const auto error = [&](int status) {
    status_ = status;
    const UploadQueue asked = queue();
    return loop_.wait<std::vector<QueueMessage>>([&] { return asked.receive(); }).error();
  };
  EXPECT_EQ(error(403).code, Errc::kUnauthenticated);
  EXPECT_EQ(error(503).code, Errc::kUnavailable);
  EXPECT_THAT(error(400).message, HasSubstr("QueueDoesNotExist"));
  EXPECT_FALSE(poll());
  EXPECT_FALSE(UploadQueue::make({.url = "uploads"}, {}, clock_));
}

}  // namespace
}  // namespace asahi::memory
