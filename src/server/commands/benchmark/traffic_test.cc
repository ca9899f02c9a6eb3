#include "server/commands/benchmark/traffic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "server/commands/benchmark/oracle.h"

namespace asahi::server::benchmark {
namespace {

llm::ChatRequest as_call(std::string_view system, std::span<const std::string_view> history,
                         std::string_view prompt) {
  llm::ChatRequest request;
  const auto add = [&](llm::Role role, std::string_view text) {
    llm::Message message{.role = role};
    message.parts.emplace_back(llm::TextPart{.text = std::string(text), .cache_control = {}});
    request.messages.push_back(std::move(message));
  };
  if (!system.empty()) add(llm::Role::kSystem, system);
  for (std::size_t i = 0; i < history.size() && !history[i].empty(); ++i)
    add(i % 2 == 0 ? llm::Role::kUser : llm::Role::kAssistant, history[i]);
  add(llm::Role::kUser, prompt);
  return request;
}

TEST(BenchmarkQueries, HoldsEveryKindAndNoRequestTwice) {
  std::set<std::string> seen;
  std::map<Category, int> kinds;
  for (const Topic& topic : topics()) {
    ++kinds[topic.category];
    ASSERT_GT(topic.wording_count(), 0U);
    for (std::size_t i = 0; i < topic.wording_count(); ++i) {
      std::string whole(topic.system);
      for (const std::string_view turn : topic.history) whole.append("\n").append(turn);
      EXPECT_TRUE(seen.insert(whole + "\n" + topic.prompt(i)).second) << topic.prompt(i);
    }
  }
  EXPECT_EQ(kinds.size(), kCategories);
  EXPECT_GE(topics().size(), 250U);
  double shares = 0;
  for (std::size_t i = 0; i < kCategories; ++i) shares += category_share(static_cast<Category>(i));
  EXPECT_NEAR(shares, 1, 1e-9);
}

TEST(BenchmarkQueries, LookAlikesComeInFamiliesOfTwoOrMore) {
  std::map<std::string_view, int> families;
  for (const Topic& topic : look_alike_topics()) ++families[topic.family];
  for (const auto& [family, members] : families) EXPECT_GE(members, 2) << family;
}

TEST(BenchmarkTraffic, IsTheSameForTheSameSeed) {
  const auto order = [](std::uint64_t seed) {
    std::vector<std::string> prompts;
    for (const Request& request : plan_traffic({.requests = 80, .seed = seed}))
      prompts.push_back(prompt_of(request));
    return prompts;
  };
  EXPECT_EQ(order(3), order(3));
  EXPECT_NE(order(3), order(4));
}

TEST(BenchmarkTraffic, HoldsTheShareOfRepeats) {
  for (const double share : {0.0, 0.3, 0.6, 0.95}) {
    const auto traffic = plan_traffic({.requests = 200, .repeats = share});
    ASSERT_EQ(traffic.size(), 200U);
    const auto fresh = std::ranges::count(traffic, Novelty::kNew, &Request::novelty);
    EXPECT_EQ(fresh, 200 - std::lround(200 * share)) << share;
  }
}

TEST(BenchmarkTraffic, RewordsTheShareOfRepeatsThatWasAskedFor) {
  const auto reworded = [](double share) {
    const auto traffic = plan_traffic({.requests = 200, .repeats = 0.3, .reworded = share});
    return std::ranges::count(traffic, Novelty::kReworded, &Request::novelty);
  };
  EXPECT_EQ(reworded(0), 0);
  EXPECT_NEAR(static_cast<double>(reworded(0.5)), 30, 8);
  EXPECT_GT(reworded(1), 50);
}

TEST(BenchmarkTraffic, CallsNewRepeatedAndRewordedByWhatCameBefore) {
  std::set<std::size_t> topics_seen;
  std::set<std::pair<std::size_t, std::size_t>> seen;
  std::set<Novelty> kinds;
  for (const Request& request : plan_traffic({.requests = 250, .repeats = 0.5})) {
    const bool known_topic = !topics_seen.insert(request.topic).second;
    const bool known = !seen.emplace(request.topic, request.wording).second;
    EXPECT_EQ(request.novelty, known         ? Novelty::kRepeated
                               : known_topic ? Novelty::kReworded
                                             : Novelty::kNew);
    kinds.insert(request.novelty);
  }
  EXPECT_EQ(kinds.size(), 3U);
}

TEST(BenchmarkTraffic, KeepsTheMixOfASmallSample) {
  std::map<Category, int> kinds;
  const auto traffic = plan_traffic({.requests = 100, .repeats = 0});
  for (const Request& request : traffic) ++kinds[topics()[request.topic].category];
  for (std::size_t i = 0; i < kCategories; ++i) {
    const auto category = static_cast<Category>(i);
    EXPECT_NEAR(kinds[category], 100 * category_share(category), 1.01) << to_string(category);
  }
}

TEST(BenchmarkTraffic, RepeatsMoreWhenTheSetIsUsedUp) {
  const auto traffic = plan_traffic({.requests = 1'000, .repeats = 0.1});
  EXPECT_EQ(std::ranges::count(traffic, Novelty::kNew, &Request::novelty), std::ssize(topics()));
  EXPECT_TRUE(plan_traffic({.requests = 0}).empty());
  EXPECT_EQ(plan_traffic({.requests = 1, .repeats = 0.95}).front().novelty, Novelty::kNew);
}

TEST(BenchmarkTraffic, OfManyRequestsIsPlannedAtOnce) {
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(plan_traffic({.requests = 100'000, .repeats = 0.95}).size(), 100'000U);
  // Quadratic work would take minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
}

TEST(BenchmarkTraffic, BodiesCarrySystemPromptAndHistory) {
  for (std::size_t id = 0; id < topics().size(); ++id) {
    const json::object body = body_of({.topic = id});
    EXPECT_EQ(body.contains("system_prompt"), topics()[id].category == Category::kAssistants);
    EXPECT_EQ(body.contains("history"), topics()[id].category == Category::kConversations);
  }
}

TEST(BenchmarkOracle, AnswersEveryTopicForItselfInEveryWording) {
  const Oracle oracle;
  std::set<std::string> answers;
  for (const Topic& topic : topics()) {
    const std::string first = oracle.answer(as_call(topic.system, topic.history, topic.prompt(0)));
    ASSERT_FALSE(first.empty()) << topic.prompt(0);
    EXPECT_TRUE(answers.insert(first).second) << topic.prompt(0);
    for (std::size_t i = 1; i < topic.wording_count(); ++i)
      EXPECT_EQ(oracle.answer(as_call(topic.system, topic.history, topic.prompt(i))), first);
  }
}

TEST(BenchmarkOracle, KnowsATopicWhoseContextWasTrimmed) {
  const Oracle oracle;
  for (const Topic& topic : topics()) {
    if (topic.system.empty() && topic.document.empty()) continue;
    const std::string whole = oracle.answer(as_call(topic.system, topic.history, topic.prompt(0)));
    std::string prompt = topic.prompt(0);
    if (!topic.document.empty()) prompt.resize(prompt.size() - topic.document.size() / 2);
    const std::string_view system = topic.system.substr(topic.system.size() / 2);
    EXPECT_EQ(oracle.answer(as_call(system, topic.history, prompt)), whole) << topic.prompt(0);
  }
}

TEST(BenchmarkOracle, LeavesOtherPromptsToTheMock) {
  EXPECT_EQ(Oracle().answer(as_call({}, {}, "What is the capital of Atlantis?")), "");
  EXPECT_EQ(Oracle().answer(llm::ChatRequest{}), "");
}

}  // namespace
}  // namespace asahi::server::benchmark
