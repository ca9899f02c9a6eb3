// What S3 does on a bad day: refuses, breaks off, answers late, half or twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "net/testing/raw_socket.h"
#include "storage/object/s3_store.h"
#include "storage/object/testing/s3_server.h"

namespace asahi::object {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class S3Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& server = object_testing::S3Server::shared();
    if (!server) GTEST_SKIP() << server.error().message;
    server_ = server->get();
    server_->reset();
    store_ = S3Store::open(options()).value();
  }
  std::unique_ptr<S3Store> with(const std::function<void(S3Options&)>& change) {
    S3Options changed = options();
    change(changed);
    return S3Store::open(changed).value();
  }
  S3Options options() const { return server_->options(prefix()); }
  /// Objects of its own for each test.
  static std::string prefix() {
    return testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  /// "PUT /archive/NameOfTheTest/key more"
  static std::string asked(const std::string& method, const std::string& rest) {
    return method + " /archive/" + prefix() + "/" + rest;
  }

  object_testing::S3Server* server_ = nullptr;
  std::unique_ptr<S3Store> store_;
};

TEST_F(S3Faults, AsksAgainWhenItIsTooMuch) {
  server_->fault(R"({"kind":"status","status":503,"code":"SlowDown","times":2})");
  ASSERT_TRUE(store_->put("a", "x"));
  EXPECT_THAT(server_->requests(),
              ElementsAre(asked("PUT", "a"), asked("PUT", "a"), asked("PUT", "a")));
  server_->fault(R"({"kind":"status","status":500,"times":1})");
  EXPECT_EQ(store_->get("a", 10).value(), "x");
}

TEST_F(S3Faults, GivesUpAfterSomeAttempts) {
  server_->fault(R"({"kind":"status","status":503,"code":"SlowDown","times":99})");
  const auto put = store_->put("a", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kRateLimited);
  EXPECT_THAT(server_->requests(), SizeIs(5));
}

TEST_F(S3Faults, DoesNotAskAgainWhatIsRefused) {
  server_->fault(R"({"kind":"status","status":403,"code":"AccessDenied"})");
  EXPECT_EQ(store_->put("a", "x").error().code, Errc::kForbidden);
  EXPECT_THAT(server_->requests(), SizeIs(1));
}

TEST_F(S3Faults, IsKnownByItsSignature) {
  const auto stranger =
      with([](S3Options& options) { options.credentials.secret_access_key = Secret("wrong-one"); });
  const auto put = stranger->put("a", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kForbidden);
  EXPECT_EQ(put.error().reason, "SignatureDoesNotMatch");
  EXPECT_THAT(put.error().message, HasSubstr("AWS_SECRET_ACCESS_KEY"));
  EXPECT_THAT(put.error().message, testing::Not(HasSubstr("wrong-one")));
  const auto elsewhere = with([](S3Options& options) { options.region = "eu-central-1"; });
  EXPECT_EQ(elsewhere->put("a", "x").error().code, Errc::kInvalidArgument);
}

TEST_F(S3Faults, BringsTheSessionTokenOfTemporaryCredentials) {
  server_->require_token("tok/en+1=");
  EXPECT_EQ(store_->put("a", "x").error().code, Errc::kForbidden);
  const auto with_token =
      with([](S3Options& options) { options.credentials.session_token = Secret("tok/en+1="); });
  EXPECT_TRUE(with_token->put("a", "x"));
}

TEST_F(S3Faults, GoesOnWhereATransferBrokeOff) {
  std::string bytes;
  for (int i = 0; i < 200'000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  ASSERT_TRUE(store_->put("big", bytes));
  static_cast<void>(server_->requests());
  server_->fault(R"({"kind":"cut","method":"GET","times":2})");
  EXPECT_TRUE(store_->get("big", 1 << 20).value() == bytes);
  EXPECT_THAT(server_->requests(),
              ElementsAre(asked("GET", "big"), asked("GET", "big bytes=100000-"),
                          asked("GET", "big bytes=150000-")));
  server_->fault(R"({"kind":"cut","method":"GET"})");
  EXPECT_EQ(store_->get("big", 1 << 20, {.offset = 10, .length = 1'000}).value(),
            bytes.substr(10, 1'000));
}

TEST_F(S3Faults, DoesNotSewTwoObjectsTogether) {
  ASSERT_TRUE(store_->put("big", std::string(200'000, 'a')));
  server_->fault(R"({"kind":"cut","method":"GET"})");
  bool replaced = false;
  std::string got;
  const auto read = store_->read("big", [&](std::string_view piece) -> Result<void> {
    got += piece;
    // Somebody writes another between the halves.
    if (!std::exchange(replaced, true)) {
      if (auto put = store_->put("big", std::string(200'000, 'b')); !put)
        return std::unexpected(put.error());
    }
    return {};
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kConflict);
  EXPECT_THAT(got, testing::Not(HasSubstr("b")));
}

TEST_F(S3Faults, NoticesAServerThatKnowsNoRanges) {
  ASSERT_TRUE(store_->put("a", "0123456789"));
  server_->fault(R"({"kind":"no_ranges","times":99})");
  EXPECT_EQ(store_->get("a", 10, {.offset = 5, .length = {}}).error().code, Errc::kUpstream);
}

TEST_F(S3Faults, WaitsNoLongerThanItMust) {
  const auto hurried = with([](S3Options& options) {
    options.attempt_timeout = 200ms;
    options.retry.max_attempts = 2;
  });
  server_->fault(R"({"kind":"slow","ms":3000,"times":2})");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(hurried->put("a", "x").error().code, Errc::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(S3Faults, LeavesAServerThatFallsSilent) {
  ASSERT_TRUE(store_->put("a", std::string(10'000, 'x')));
  const auto impatient = with([](S3Options& options) {
    options.stall_timeout = 1'000ms;
    options.retry.max_attempts = 2;
  });
  server_->fault(R"({"kind":"stall","method":"GET"})");
  EXPECT_EQ(impatient->get("a", 10'000)->size(), 10'000U);
}

TEST_F(S3Faults, NoticesHalfAList) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store_->put("k" + std::to_string(i), "x"));
  server_->fault(R"({"kind":"half","query":"list-type","times":1})");
  EXPECT_THAT(store_->list({})->objects, SizeIs(20));
  server_->fault(R"({"kind":"half","query":"list-type","times":99})");
  EXPECT_EQ(store_->list({}).error().code, Errc::kUpstream);
}

TEST_F(S3Faults, KnowsItsOwnPutAgainWhenTheAnswerWasLost) {
  server_->fault(R"({"kind":"lost","method":"PUT"})");
  const auto put = store_->put("once", "mine", {.only_if_absent = true});
  ASSERT_TRUE(put) << put.error().message;
  EXPECT_EQ(put->etag, store_->head("once").value()->etag);
  // Another's is another's.
  server_->fault(R"({"kind":"reset","method":"PUT"})");
  EXPECT_EQ(store_->put("once", "theirs", {.only_if_absent = true}).error().code, Errc::kConflict);
}

TEST_F(S3Faults, SendsPartsAgainAndPutsThemTogetherOnce) {
  const std::string piece(6 * 1024 * 1024, 'p');
  server_->fault(R"({"kind":"status","status":500,"query":"partNumber=2"})");
  server_->fault(R"({"kind":"lost","method":"POST","query":"uploadId="})");
  auto upload = store_->begin_upload("big").value();
  ASSERT_TRUE(upload->write(piece));
  ASSERT_TRUE(upload->write(piece));
  const auto done = upload->finish();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(store_->head("big").value()->size, 2 * piece.size());
  EXPECT_EQ(store_->head("big").value()->etag, done->etag);
}

TEST_F(S3Faults, TakesPartsAwayThatLeadNowhere) {
  const std::string piece(6 * 1024 * 1024, 'p');
  server_->fault(R"({"kind":"status","status":403,"code":"AccessDenied","query":"partNumber=2"})");
  auto upload = store_->begin_upload("big").value();
  ASSERT_TRUE(upload->write(piece));
  const auto written = upload->write(piece);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::kForbidden);
  EXPECT_THAT(server_->requests(), Contains(testing::StartsWith(asked("DELETE", "big?uploadId="))));
  EXPECT_FALSE(store_->head("big").value());
}

TEST_F(S3Faults, ReadsAFailureWithinAGoodAnswer) {
  const std::string piece(6 * 1024 * 1024, 'p');
  auto upload = store_->begin_upload("big").value();
  ASSERT_TRUE(upload->write(piece));
  server_->fault(R"({"kind":"half","method":"POST","query":"uploadId=","times":1})");
  const auto done = upload->finish();
  ASSERT_TRUE(done) << done.error().message;
}

TEST_F(S3Faults, EndsAtOnceWhenItIsStopped) {
  server_->fault(R"({"kind":"slow","ms":20000})");
  std::jthread stopper([&] {
    std::this_thread::sleep_for(100ms);
    store_->stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(store_->put("a", "x").error().code, Errc::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST(S3Away, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    net_testing::RawListener gone;
    port = gone.port();
  }
  S3Options options;
  options.bucket = "archive";
  options.endpoint = "http://127.0.0.1:" + std::to_string(port);
  options.credentials = {"id", Secret("secret"), {}};
  options.retry = {.max_attempts = 2, .base = 1ms, .cap = 1ms};
  const auto store = S3Store::open(options).value();
  EXPECT_EQ(store->put("a", "x").error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::object
