#include "gateway/tokens/optimiser.h"

#include <gtest/gtest.h>

#include "gateway/config.h"
#include "gateway/testing/loop.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

llm::Message say(llm::Role role, std::string text) {
  llm::Message message{.role = role};
  message.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  return message;
}

const std::string kWordySystem =
    "Hello and welcome to the team! It is very important to note that you should always make sure "
    "to "
    "answer in a polite manner. Thank you so much for all of your help. In order to find an order, "
    "you "
    "need to ask for the number, which starts with BW followed by 8 digits. Please note that you "
    "must "
    "never share it. You should always answer in a polite manner. We are very proud of our "
    "wonderful "
    "team and our great products. In the event that somebody asks for a refund after 30 days, "
    "please "
    "make sure to say that it is not possible due to the fact that our policy does not allow it. "
    "We "
    "truly believe in people.";

llm::ChatRequest wordy() {
  llm::ChatRequest request;
  request.messages = {say(llm::Role::kSystem, kWordySystem),
                      say(llm::Role::kUser, "Where is it, in order to be precise?")};
  return request;
}

TEST(TokenOptimiser, SavesAThirdOfAWordyPromptAndTellsHow) {
  const TokenOptimiser optimiser({});
  llm::ChatRequest request = wordy();
  const OptimisationReport report = optimiser.optimise_now(request);
  EXPECT_TRUE(report.changed());
  EXPECT_GE(report.saved_percent(), 30);
  EXPECT_LT(report.saved_percent(), 50);
  EXPECT_EQ(report.risk, QualityRisk::kMedium);
  EXPECT_EQ(report.original_tokens, llm::estimate_tokens(wordy()));
  EXPECT_EQ(report.optimized_tokens, llm::estimate_tokens(request));
  EXPECT_TRUE(request.messages_changed);
  const std::string system = request.messages[0].text();
  for (const char* fact :
       {"BW", "8 digits", "must never share", "30 days", "not possible", "polite"})
    EXPECT_NE(system.find(fact), std::string::npos) << fact << " in " << system;
}

TEST(TokenOptimiser, StepsBackToTheBoundInsteadOfGivingUp) {
  // Nearly all of it is courtesy: all that could go is more than may.
  llm::ChatRequest request;
  std::string system = "Answer in German, in at most 40 words.";
  for (const char* of :
       {"your help", "your time", "your patience", "your kindness", "your trust"}) {
    system += std::string(" Thank you so much for all of ") + of + ", it is appreciated.";
    system += std::string(" In the event that it rains, in order to be safe, close ") + of + ".";
  }
  request.messages = {say(llm::Role::kSystem, system), say(llm::Role::kUser, "Hello there?")};
  for (const QualityRisk risk : {QualityRisk::kNone, QualityRisk::kLow, QualityRisk::kMedium}) {
    OptimiserOptions options;
    options.max_quality_risk = risk;
    llm::ChatRequest trimmed = request;
    const OptimisationReport report = TokenOptimiser(options).optimise_now(trimmed);
    EXPECT_TRUE(report.changed()) << to_string(risk);
    EXPECT_EQ(report.risk, risk) << report.saved_percent();
    EXPECT_NE(trimmed.messages[0].text().find("at most 40 words"), std::string::npos);
  }
}

TEST(TokenOptimiser, NeverTouchesTheQuestion) {
  const TokenOptimiser optimiser({});
  llm::ChatRequest request = wordy();
  (void)optimiser.optimise_now(request);
  EXPECT_EQ(request.messages[1].text(), "Where is it, in order to be precise?");
}

TEST(TokenOptimiser, LeavesShortRequestsAndSwitchedOffOnesAlone) {
  llm::ChatRequest request;
  request.messages = {say(llm::Role::kSystem, "Please note that you should answer."),
                      say(llm::Role::kUser, "Hi")};
  EXPECT_FALSE(TokenOptimiser({}).optimise_now(request).changed());
  EXPECT_FALSE(request.messages_changed);
  OptimiserOptions off;
  off.enabled = false;
  request = wordy();
  EXPECT_FALSE(TokenOptimiser(off).optimise_now(request).changed());
  EXPECT_EQ(request.messages[0].text(), kWordySystem);
}

TEST(TokenOptimiser, StopsAtTheRiskThatIsAllowed) {
  double last = -1;
  for (const QualityRisk risk : {QualityRisk::kNone, QualityRisk::kLow, QualityRisk::kMedium}) {
    OptimiserOptions options;
    options.max_quality_risk = risk;
    llm::ChatRequest request = wordy();
    const OptimisationReport report = TokenOptimiser(options).optimise_now(request);
    EXPECT_LE(report.risk, risk);
    EXPECT_GE(report.saved_percent(), last);
    last = report.saved_percent();
  }
}

TEST(TokenOptimiser, RisksAreByTheShareSaved) {
  EXPECT_EQ(risk_of(14.9), QualityRisk::kNone);
  EXPECT_EQ(risk_of(15), QualityRisk::kLow);
  EXPECT_EQ(risk_of(30), QualityRisk::kMedium);
  EXPECT_EQ(risk_of(50), QualityRisk::kHigh);
  EXPECT_EQ(parse_quality_risk("medium"), QualityRisk::kMedium);
  EXPECT_EQ(parse_quality_risk("much"), std::nullopt);
}

llm::ChatRequest with_examples(std::size_t count) {
  llm::ChatRequest request;
  request.messages.push_back(
      say(llm::Role::kSystem,
          "You sort reviews of kitchen machines into good and bad ones. Answer with "
          "one word, and do not explain anything at all."));
  for (std::size_t i = 0; i < count; ++i) {
    request.messages.push_back(
        say(llm::Role::kUser,
            "The machine number " + std::to_string(i) +
                " arrived on a rainy day and it did what a machine of this kind does"));
    request.messages.push_back(say(llm::Role::kAssistant, i % 2 == 0 ? "good" : "bad"));
  }
  request.messages.push_back(say(llm::Role::kUser, "The machine makes a noise that nobody likes"));
  return request;
}

TEST(TokenOptimiser, SelectsExamplesInPairsAndWithinTheRisk) {
  const TokenOptimiser optimiser({});
  llm::ChatRequest request = with_examples(12);
  const OptimisationReport report = optimiser.optimise_now(request, 12);
  ASSERT_TRUE(report.changed());
  EXPECT_LT(report.saved_percent(), 50);
  EXPECT_LT(request.messages.size(), with_examples(12).messages.size());
  bool good = false, bad = false;
  for (std::size_t i = 1; i + 1 < request.messages.size(); i += 2) {
    EXPECT_EQ(request.messages[i].role, llm::Role::kUser);
    EXPECT_EQ(request.messages[i + 1].role, llm::Role::kAssistant);
    good |= request.messages[i + 1].text() == "good";
    bad |= request.messages[i + 1].text() == "bad";
  }
  EXPECT_TRUE(good && bad);
  EXPECT_EQ(request.messages.back().text(), "The machine makes a noise that nobody likes");
}

TEST(TokenOptimiser, MessagesThatAreNoExamplesAreNotSelectedFrom) {
  llm::ChatRequest request = with_examples(12);
  (void)TokenOptimiser({}).optimise_now(request, 0);
  EXPECT_EQ(request.messages.size(), with_examples(12).messages.size());
}

/// Vectors that say which texts are alike; or nothing. As a vendor's: to be waited for.
class ScriptedEmbedder final : public llm::TextEmbedder {
 public:
  struct Log {
    int calls = 0;
    bool broken = false;
  };
  explicit ScriptedEmbedder(Log& log) : log_(log) {}

  const llm::EmbedderTraits& traits() const override { return traits_; }
  std::optional<llm::Embedded> try_embed(std::string_view) override { return std::nullopt; }
  Task<std::vector<llm::Embedded>> embed(std::vector<std::string> texts, llm::EmbedPurpose,
                                         llm::CallContext context) override {
    EXPECT_NE(context.deadline, std::chrono::steady_clock::time_point::max());
    ++log_.calls;
    if (log_.broken) co_return fail(Errc::kTimeout, "the embedder is slow");
    std::vector<llm::Embedded> all;
    for (const std::string& text : texts) {
      const bool alike = text.find("flowers") != text.npos || text.find("plants") != text.npos;
      all.push_back({std::make_shared<std::vector<float>>(alike ? std::vector<float>{1, 0}
                                                                : std::vector<float>{0, 1}),
                     &traits_});
    }
    co_return all;
  }

 private:
  Log& log_;
  llm::EmbedderTraits traits_{.tag = "scripted", .width = 2};
};

llm::ChatRequest with_document() {
  llm::ChatRequest request;
  request.messages = {
      say(llm::Role::kUser,
          "Document:\n\nThe house was built in 1920 by Ida Berg and it has seen a great many "
          "guests since "
          "those days. The garden was full of flowers and of light in the summer. The kitchen was "
          "a place "
          "of noise and of laughter for the whole street. The rent was 90 crowns a month for all "
          "of the "
          "rooms in the back.\n\nThe street was quiet in the evening and the lamps were dim and "
          "yellow. The "
          "mail came at 9 in the morning on every day of the week. The air was clear and the "
          "people were "
          "kind to each other and to strangers. The house burnt down in 1954 and was not built "
          "again. Ships "
          "could be heard in the distance on the days with fog.\n\nWhich plants grew there?")};
  return request;
}

class TokenOptimiserOnALoop : public ::testing::Test {
 protected:
  OptimisationReport run(TokenOptimiser& optimiser, llm::ChatRequest& request) {
    const llm::CallContext context;
    return loops_.wait_for([&]() -> Aw<OptimisationReport> {
      co_return co_await optimiser.optimise(request, 0, context);
    });
  }
  testing::Loops loops_;
};

TEST_F(TokenOptimiserOnALoop, ScoresByEmbeddingWhenItIsAsked) {
  ScriptedEmbedder::Log log;
  OptimiserOptions options;
  options.scoring = tokens::Scoring::kEmbedding;
  TokenOptimiser optimiser(options, std::make_unique<ScriptedEmbedder>(log));
  llm::ChatRequest request = with_document();
  const OptimisationReport report = run(optimiser, request);
  EXPECT_EQ(log.calls, 1);
  EXPECT_TRUE(report.changed());
  const std::string text = request.messages[0].text();
  EXPECT_NE(text.find("full of flowers"), std::string::npos);
  EXPECT_EQ(text.find("noise and of laughter"), std::string::npos);
  EXPECT_NE(text.find("90 crowns"), std::string::npos);
}

TEST_F(TokenOptimiserOnALoop, AnEmbedderThatFailsLeavesKeywords) {
  ScriptedEmbedder::Log log{.broken = true};
  OptimiserOptions options;
  options.scoring = tokens::Scoring::kEmbedding;
  TokenOptimiser optimiser(options, std::make_unique<ScriptedEmbedder>(log));
  llm::ChatRequest request = with_document();
  llm::ChatRequest by_keyword = with_document();
  (void)run(optimiser, request);
  (void)TokenOptimiser({}).optimise_now(by_keyword);
  EXPECT_EQ(request.messages[0].text(), by_keyword.messages[0].text());
}

TEST_F(TokenOptimiserOnALoop, TheLocalEmbedderScoresAndChoosesExamples) {
  OptimiserOptions options;
  options.scoring = tokens::Scoring::kEmbedding;
  TokenOptimiser optimiser(options, llm::make_local_embedder());
  llm::ChatRequest request = with_document();
  EXPECT_TRUE(run(optimiser, request).changed());
  const std::string text = request.messages[0].text();
  for (const char* fact : {"1920", "Ida Berg", "90 crowns", "1954", "Which plants grew there?"})
    EXPECT_NE(text.find(fact), std::string::npos) << fact;

  llm::ChatRequest pooled = with_examples(12);
  const llm::CallContext context;
  const auto report = loops_.wait_for([&]() -> Aw<OptimisationReport> {
    co_return co_await optimiser.optimise(pooled, 12, context);
  });
  EXPECT_TRUE(report.changed());
  EXPECT_LT(pooled.messages.size(), with_examples(12).messages.size());
}

TEST_F(TokenOptimiserOnALoop, LargeRequestsAreWorkedOnElsewhereWithTheSameResult) {
  OptimiserOptions options;
  options.inline_bytes = 0;
  TokenOptimiser elsewhere(options);
  llm::ChatRequest request = wordy(), here = wordy();
  const OptimisationReport report = run(elsewhere, request);
  (void)TokenOptimiser({}).optimise_now(here);
  EXPECT_TRUE(report.changed());
  EXPECT_EQ(request.messages[0].text(), here.messages[0].text());
  EXPECT_TRUE(request.messages_changed);
}

TEST(OptimiserOptions, FollowTheSettings) {
  OptimizationConfig config;
  config.scoring_method = "tfidf";
  config.max_quality_risk = "low";
  config.enabled = false;
  const OptimiserOptions options = optimiser_options(config);
  EXPECT_EQ(options.scoring, tokens::Scoring::kTfidf);
  EXPECT_EQ(options.max_quality_risk, QualityRisk::kLow);
  EXPECT_FALSE(options.enabled);
}

}  // namespace
}  // namespace asahi::gateway
