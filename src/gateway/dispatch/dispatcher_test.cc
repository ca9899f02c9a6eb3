// What the dispatcher does when vendors fail: unstreamed calls. Streams: dispatcher_stream_test.cc.
#include "gateway/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/dispatch.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::bad_request;
using testing::DispatchTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::rate_limit;
using testing::refused_key;
using testing::server_error;
using testing::timeout_error;

class DispatcherTest : public DispatchTest {};

TEST_F(DispatcherTest, AnswersFromTheFirstModelUnderTheVendorsOwnName) {
  vendors_["north"].answer("hello");
  const auto done = chat();
  ASSERT_TRUE(done.outcome);
  EXPECT_EQ(done.outcome->text(), "hello");
  EXPECT_EQ(done.report.model->name, "small");
  EXPECT_EQ(done.report.retries, 0);
  EXPECT_FALSE(done.report.fallback);
  EXPECT_THAT(done.report.hops, IsEmpty());
  ASSERT_EQ(calls_of("north"), 1U);
  EXPECT_EQ(vendors_["north"].calls()[0].request.model, "small");
  EXPECT_FALSE(vendors_["north"].calls()[0].request.stream);
  EXPECT_EQ(vendors_["north"].calls()[0].request_id, "req_test");
}

// ---- an organisation's own keys

std::shared_ptr<const identity::OwnKeys::Keys> own_keys_of(const std::string& vendor) {
  return std::make_shared<const identity::OwnKeys::Keys>(
      identity::OwnKeys::Keys{{vendor, Secret("sk-own-of-" + vendor)}});
}

TEST_F(DispatcherTest, AnOrganisationsKeyGoesToItsVendorAndToNoOther) {
  vendors_["north"].fail(server_error());
  vendors_["north"].fail(server_error());
  vendors_["north"].fail(server_error());
  vendors_["east"].answer("from the east");
  own_keys_ = own_keys_of("north");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(vendors_["north"].calls()[0].api_key.reveal(), "sk-own-of-north");
  EXPECT_TRUE(vendors_["east"].calls()[0].api_key.empty());
}

TEST_F(DispatcherTest, TheCallsOwnKeyCountsMoreThanItsOrganisations) {
  vendors_["north"].answer("hello");
  own_keys_ = own_keys_of("north");
  context_.api_key = Secret("sk-of-the-call");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(vendors_["north"].calls()[0].api_key.reveal(), "sk-of-the-call");
}

TEST_F(DispatcherTest, AnOrganisationsKeyMakesUpForAMissingOneOfThePlatform) {
  vendors_.take_key("north");
  vendors_["north"].answer("hello");
  own_keys_ = own_keys_of("north");
  EXPECT_TRUE(chat().outcome);
}

TEST_F(DispatcherTest, ARefusedKeyOfAnOrganisationIsItsOwnAffair) {
  breaker_failures(1);
  own_keys_ = own_keys_of("north");
  for (int i = 0; i < 3; ++i) {
    vendors_["north"].fail(refused_key());
    const auto done = chat();
    ASSERT_FALSE(done.outcome);
    EXPECT_EQ(done.outcome.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(done.outcome.error().reason, "configuration_error");
    EXPECT_THAT(done.outcome.error().message, HasSubstr("north refused the key"));
    EXPECT_THAT(done.outcome.error().message, HasSubstr("/providers/keys"));
    EXPECT_EQ(done.outcome.error().message.find("sk-own"), std::string::npos);
  }
  EXPECT_EQ(calls_of("east"), 0U) << "another vendor would be paid by the platform";
  EXPECT_EQ(state("north"), Breaker::State::kClosed);
  own_keys_ = nullptr;
  vendors_["north"].answer("on the platform's key");
  EXPECT_TRUE(chat().outcome);
}

TEST_F(DispatcherTest, AsksTheSameVendorAgainAfterALimitOrAServerFault) {
  for (const Error& passing : {rate_limit(), server_error(), timeout_error()}) {
    SCOPED_TRACE(passing.message);
    vendors_["north"].fail(passing);
    vendors_["north"].answer("hello");
    const auto done = chat();
    ASSERT_TRUE(done.outcome);
    EXPECT_EQ(done.report.model->provider, "north");
    EXPECT_EQ(done.report.retries, 1);
    EXPECT_FALSE(done.report.fallback);
    EXPECT_THAT(done.report.hops, ElementsAre("north/small: " + passing.message));
  }
  EXPECT_THAT(retried_, ElementsAre("north", "north", "north"));
}

TEST_F(DispatcherTest, GoesToTheNextModelAfterItsAttempts) {
  options_.retry.max_attempts = 2;
  vendors_["north"].fail(server_error());
  vendors_["north"].fail(server_error());
  vendors_["east"].answer("from the east");
  const auto done = chat();
  ASSERT_TRUE(done.outcome);
  EXPECT_EQ(done.outcome->text(), "from the east");
  EXPECT_EQ(calls_of("north"), 2U);
  EXPECT_EQ(done.report.model->name, "mid");
  EXPECT_TRUE(done.report.fallback);
  EXPECT_EQ(done.report.retries, 2) << "two calls beyond the first";
  EXPECT_EQ(vendors_["east"].calls()[0].request.model, "mid");
  EXPECT_THAT(fell_back_, ElementsAre("north>east"));
}

TEST_F(DispatcherTest, NeverCallsMoreThanAttemptsTimesModels) {
  breaker_failures(100);
  for (const char* vendor : {"north", "east"}) {
    for (int i = 0; i < 10; ++i) vendors_[vendor].fail(server_error());
  }
  const auto done = chat();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(vendors_.calls(), 6U) << "3 attempts on each of 2 models";
  EXPECT_EQ(done.outcome.error().code, Errc::kUnavailable);
  EXPECT_EQ(done.outcome.error().reason, "service_unavailable");
  EXPECT_EQ(done.outcome.error().retry_after, 30s);
  EXPECT_THAT(done.outcome.error().message, HasSubstr("north/small: overloaded"));
  EXPECT_THAT(done.outcome.error().message, HasSubstr("east/mid: overloaded"));
}

TEST_F(DispatcherTest, WaitsAsLongAsTheVendorAsked) {
  vendors_["north"].fail(rate_limit(30ms));
  vendors_["north"].answer("hello");
  const auto started = std::chrono::steady_clock::now();
  ASSERT_TRUE(chat().outcome);
  EXPECT_GE(std::chrono::steady_clock::now() - started, 30ms);
  EXPECT_EQ(calls_of("north"), 2U);
}

TEST_F(DispatcherTest, LetsAnotherModelAnswerRatherThanWaitLong) {
  vendors_["north"].fail(rate_limit(5s));
  vendors_["east"].answer("from the east");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(DispatcherTest, DoesNotWaitPastTheDeadline) {
  vendors_["east"].fail(rate_limit(60s));
  context_.deadline = clock_.steady_now() + 10s;
  const auto done = chat({"mid"});
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kRateLimited);
  EXPECT_EQ(done.outcome.error().retry_after, 60s) << "so that the client learns how long to wait";
  EXPECT_EQ(calls_of("east"), 1U);
}

TEST_F(DispatcherTest, PassesTheCallersFaultsOnWithoutTryingAnything) {
  for (const Errc code : {Errc::kInvalidArgument, Errc::kTooLarge, Errc::kForbidden}) {
    SCOPED_TRACE(to_string(code));
    Error fault = bad_request();
    fault.code = code;
    vendors_["north"].fail(fault);
    const auto done = chat();
    ASSERT_FALSE(done.outcome);
    EXPECT_EQ(done.outcome.error().code, code);
    EXPECT_EQ(done.outcome.error().message, "temperature is too high");
  }
  EXPECT_EQ(calls_of("north"), 3U);
  EXPECT_EQ(calls_of("east"), 0U);
  EXPECT_EQ(state("north"), Breaker::State::kClosed) << "the vendor did nothing wrong";
}

TEST_F(DispatcherTest, GoesOnAtOnceWhenTheVendorRefusesTheKey) {
  vendors_["north"].fail(refused_key());
  vendors_["east"].answer("from the east");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(calls_of("north"), 1U);
  EXPECT_THAT(failed_, IsEmpty()) << "credentials say nothing about a vendor's health";
}

TEST_F(DispatcherTest, SkipsAVendorWithoutAKey) {
  vendors_.take_key("north");
  vendors_["east"].answer("from the east");
  const auto done = chat();
  ASSERT_TRUE(done.outcome);
  EXPECT_TRUE(done.report.fallback);
  EXPECT_EQ(calls_of("north"), 0U);
  EXPECT_THAT(done.report.hops, ElementsAre("north/small: no key configured"));
}

TEST_F(DispatcherTest, UsesTheCallersOwnKeyWhereThePlatformHasNone) {
  vendors_.take_key("north");
  vendors_["north"].answer("hello");
  context_.api_key = Secret("sk-own");
  ASSERT_TRUE(chat().outcome);
  EXPECT_TRUE(vendors_["north"].calls()[0].own_key);
}

TEST_F(DispatcherTest, SaysWhatIsMissingWhenNoVendorHasAKey) {
  vendors_.take_key("north");
  vendors_.take_key("east");
  const auto done = chat();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kUnavailable);
  EXPECT_THAT(done.outcome.error().message, HasSubstr("no vendor key is configured"));
  EXPECT_THAT(done.outcome.error().message, HasSubstr("provider_api_key"));
}

TEST_F(DispatcherTest, IsRateLimitedOnlyWhenEveryVendorIs) {
  options_.retry.max_attempts = 1;
  vendors_["north"].fail(rate_limit(20s));
  vendors_["east"].fail(rate_limit(7s));
  auto done = chat();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kRateLimited);
  EXPECT_EQ(done.outcome.error().retry_after, 7s) << "the first that may answer again";

  vendors_["north"].fail(rate_limit(20s));
  vendors_["east"].fail(server_error());
  done = chat();
  EXPECT_EQ(done.outcome.error().code, Errc::kUnavailable);
}

TEST_F(DispatcherTest, StartsAChainOnlyForItsTriggers) {
  options_.retry.max_attempts = 1;
  Plan plan = plan_of({"small", "mid", "big"});
  plan.attempts[1].triggers = {Trigger::kTimeout};
  plan.attempts[2].triggers = {Trigger::kRateLimit};
  vendors_["north"].fail(rate_limit());
  vendors_["south"].answer("from the south");
  const auto done = chat(plan);
  ASSERT_TRUE(done.outcome);
  EXPECT_EQ(calls_of("east"), 0U);
  EXPECT_EQ(done.report.model->name, "big");
}

TEST_F(DispatcherTest, EndsWhereNoTriggerLeadsOn) {
  options_.retry.max_attempts = 1;
  Plan plan = plan_of({"small", "mid"});
  plan.attempts[1].triggers = {Trigger::kTimeout};
  vendors_["north"].fail(server_error());
  ASSERT_FALSE(chat(plan).outcome);
  EXPECT_EQ(calls_of("east"), 0U);
}

// ---- breakers

TEST_F(DispatcherTest, LeavesAVendorAloneAfterFailuresInARow) {
  for (int i = 0; i < 3; ++i) vendors_["north"].fail(server_error());
  vendors_["east"].answer("one");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(state("north"), Breaker::State::kOpen);
  EXPECT_THAT(failed_, ElementsAre("north", "north", "north"));

  vendors_["east"].answer("two");
  const auto done = chat();
  ASSERT_TRUE(done.outcome);
  EXPECT_EQ(calls_of("north"), 3U) << "not asked while its breaker is open";
  EXPECT_TRUE(done.report.fallback);
  EXPECT_THAT(done.report.hops, ElementsAre("north/small: circuit open"));
}

TEST_F(DispatcherTest, TriesAVendorAgainAfterItsRest) {
  breaker("north").failed(clock_.steady_now());
  breaker("north").failed(clock_.steady_now());
  breaker("north").failed(clock_.steady_now());
  clock_.advance(60s);
  vendors_["north"].answer("back again");
  const auto done = chat();
  ASSERT_TRUE(done.outcome);
  EXPECT_EQ(done.outcome->text(), "back again");
  EXPECT_EQ(state("north"), Breaker::State::kClosed);
}

TEST_F(DispatcherTest, StopsRetryingWhenItsOwnFailuresOpenTheBreaker) {
  breaker("north").failed(clock_.steady_now());
  breaker("north").failed(clock_.steady_now());
  vendors_["north"].fail(server_error());
  vendors_["east"].answer("from the east");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(DispatcherTest, DoesNotHoldLimitsAgainstAVendor) {
  for (int i = 0; i < 3; ++i) vendors_["north"].fail(rate_limit());
  vendors_["east"].answer("from the east");
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(state("north"), Breaker::State::kClosed);
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(DispatcherTest, SaysSoWhenEveryBreakerIsOpen) {
  for (const char* vendor : {"north", "east"}) {
    for (int i = 0; i < 3; ++i) breaker(vendor).failed(clock_.steady_now());
  }
  const auto done = chat();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kUnavailable);
  EXPECT_EQ(done.outcome.error().reason, "circuit_open");
  EXPECT_TRUE(done.outcome.error().retry_after);
  EXPECT_EQ(vendors_.calls(), 0U);
}

// ---- time

TEST_F(DispatcherTest, GivesEachAttemptItsOwnTimeWithinTheRequests) {
  options_.attempt_timeout = 30s;
  vendors_["north"].answer("one");
  vendors_["north"].answer("two");
  context_.deadline = clock_.steady_now() + 120s;
  ASSERT_TRUE(chat().outcome);
  context_.deadline = clock_.steady_now() + 5s;
  ASSERT_TRUE(chat().outcome);
  EXPECT_EQ(vendors_["north"].calls()[0].deadline, clock_.steady_now() + 30s);
  EXPECT_EQ(vendors_["north"].calls()[1].deadline, clock_.steady_now() + 5s);
}

TEST_F(DispatcherTest, EndsInATimeoutWhenTheRequestsTimeIsOver) {
  context_.deadline = clock_.steady_now() + 10s;
  vendors_["north"].on_call = [this] { clock_.advance(11s); };
  vendors_["north"].fail(timeout_error());
  const auto done = chat();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kTimeout);
  EXPECT_EQ(vendors_.calls(), 1U) << "no time is left for anybody else";
}

// ---- clients that leave

TEST_F(DispatcherTest, CancelsTheVendorCallWhenTheClientLeaves) {
  vendors_["north"].answer("never read");
  vendors_["north"].hold();
  auto pending = start_chat(plan_of({"small", "mid"}));
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  pending->leave();
  const auto done = pending->get();
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code, Errc::kCancelled);
  EXPECT_TRUE(vendors_["north"].calls()[0].cancelled);
  EXPECT_EQ(calls_of("east"), 0U);
  EXPECT_EQ(state("north"), Breaker::State::kClosed);
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(DispatcherTest, GivesTheProbeOfAClientThatLeftToTheNextOne) {
  for (int i = 0; i < 3; ++i) breaker("north").failed(clock_.steady_now());
  clock_.advance(60s);
  vendors_["north"].answer("never read");
  vendors_["north"].hold();
  auto pending = start_chat(plan_of({"small"}));
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  pending->leave();
  ASSERT_FALSE(pending->get().outcome);
  vendors_["north"].answer("back again");
  EXPECT_TRUE(chat({"small"}).outcome);
}

TEST_F(DispatcherTest, WakesFromAPauseWhenTheClientLeaves) {
  options_.max_pause_before_failover = 1h;
  vendors_["north"].fail(rate_limit(10min));
  auto pending = start_chat(plan_of({"small", "mid"}));
  ASSERT_TRUE(loops_.until([&] { return retried_.size() == 1; }));
  pending->leave();
  EXPECT_EQ(pending->get().outcome.error().code, Errc::kCancelled);
  EXPECT_EQ(vendors_.calls(), 1U);
}

// ---- embeddings

class ScriptedEmbedder final : public llm::Embedder {
 public:
  Task<llm::EmbeddingResponse> embed(const llm::EmbeddingRequest&,
                                     const llm::CallContext&) override {
    ++calls;
    if (errors.empty())
      co_return llm::EmbeddingResponse{.model = "e", .vectors = {{1}}, .usage = {}};
    Error error = std::move(errors.front());
    errors.erase(errors.begin());
    co_return std::unexpected(std::move(error));
  }
  std::vector<Error> errors;
  int calls = 0;
};

TEST_F(DispatcherTest, RetriesEmbeddingsOnTheirVendorOnly) {
  ScriptedEmbedder embedder;
  embedder.errors = {server_error(), rate_limit()};
  EXPECT_TRUE(embed(embedder));
  EXPECT_EQ(embedder.calls, 3);

  embedder.errors = {bad_request()};
  embedder.calls = 0;
  EXPECT_EQ(embed(embedder).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(embedder.calls, 1);
}

TEST_F(DispatcherTest, RefusesEmbeddingsWhileTheBreakerIsOpen) {
  ScriptedEmbedder embedder;
  embedder.errors = {server_error(), server_error(), server_error()};
  EXPECT_EQ(embed(embedder).error().code, Errc::kUnavailable);
  EXPECT_EQ(embed(embedder).error().reason, "circuit_open");
  EXPECT_EQ(embedder.calls, 3);
}

}  // namespace
}  // namespace asahi::gateway
