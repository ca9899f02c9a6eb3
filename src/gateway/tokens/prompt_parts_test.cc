#include "gateway/tokens/prompt_parts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace asahi::gateway::tokens {
namespace {

using Kind = Part::Kind;
using Care = Part::Care;

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += i % 10 == 9 ? "it goes. " : "the sun shines ";
  return text + "here.";
}

llm::Message say(llm::Role role, std::string text) {
  llm::Message message{.role = role};
  message.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  return message;
}

std::string text_of(std::string_view prompt, Kind kind) {
  std::string text;
  for (const Part& part : parts_of_prompt(prompt)) {
    if (part.kind == kind) text += prompt.substr(part.begin, part.end - part.begin);
  }
  return text;
}

TEST(PromptParts, CoverThePromptWithoutGaps) {
  const std::string prompt =
      "Here is a text:\n\n" + words(40) + "\n\n" + words(40) + "\n\nWhat does it say?\n";
  std::size_t at = 0;
  for (const Part& part : parts_of_prompt(prompt)) {
    EXPECT_EQ(part.begin, at);
    at = part.end;
  }
  EXPECT_EQ(at, prompt.size());
}

TEST(PromptParts, ShortPromptsAreAllQuestion) {
  EXPECT_EQ(text_of("Some text here.\n\nWhat is it?", Kind::kQuery),
            "Some text here.\n\nWhat is it?");
}

TEST(PromptParts, ALongParagraphAloneIsTheUsersOwnQuestion) {
  const std::string prompt = words(200);
  EXPECT_EQ(text_of(prompt, Kind::kQuery), prompt);
}

TEST(PromptParts, TheQuestionIsFoundBehindAndInFrontOfTheDocument) {
  const std::string document = words(60) + "\n\n" + words(60);
  EXPECT_EQ(text_of("Document:\n\n" + document + "\n\nWhat does it say of ships?", Kind::kDocument),
            document + "\n\n");
  EXPECT_EQ(text_of("What does this say of ships?\n\nArticle:\n\n" + document, Kind::kDocument),
            document);
}

TEST(PromptParts, ParagraphsThatAskAreNeverPartOfADocument) {
  const std::string prompt = "Text:\n\n" + words(60) + "\n\nIs it so? " + words(40) + "\n\n" +
                             words(60) + "\n\nWhat is it about?";
  EXPECT_NE(text_of(prompt, Kind::kQuery).find("Is it so?"), std::string::npos);
}

TEST(PromptParts, CodeIsPartOfTheQuestion) {
  const std::string prompt = "Text:\n\n" + words(60) + "\n\n```\nx\n\ny\n```\n\nWhat does it do?";
  EXPECT_NE(text_of(prompt, Kind::kQuery).find("x\n\ny"), std::string::npos);
}

TEST(TaskOf, TellsWhetherEveryWordCounts) {
  EXPECT_EQ(task_of("Translate this into French."), Task::kWording);
  EXPECT_EQ(task_of("What is the sentiment?"), Task::kWording);
  EXPECT_EQ(task_of("Summarize the report."), Task::kDigest);
  EXPECT_EQ(task_of("Which of all these is best?"), Task::kDigest);
  EXPECT_EQ(task_of("When was it built?"), Task::kAnswer);
}

llm::ChatRequest conversation() {
  llm::ChatRequest request;
  request.messages = {
      say(llm::Role::kSystem, "Be brief."),     say(llm::Role::kUser, "one"),
      say(llm::Role::kAssistant, "answer one"), say(llm::Role::kUser, "two"),
      say(llm::Role::kAssistant, "answer two"), say(llm::Role::kUser, "When was it built?")};
  return request;
}

std::vector<std::size_t> touched(const llm::ChatRequest& request, PartOptions options = {}) {
  std::vector<std::size_t> messages;
  for (const Part& part : parts_of(request, options).parts) messages.push_back(part.message);
  return messages;
}

TEST(RequestParts, EverythingButTheQuestionMayBeTouched) {
  EXPECT_EQ(touched(conversation()), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(parts_of(conversation(), {}).query, "When was it built?\n");
}

TEST(RequestParts, OnlyEarlierAnswersMayLoseWhatIsIrrelevant) {
  const RequestParts found = parts_of(conversation(), {.max_history_turns = 1});
  EXPECT_EQ(found.parts[2].care, Care::kFull);  // answer one
  EXPECT_TRUE(found.parts[2].old);
  EXPECT_EQ(found.parts[1].care, Care::kLight);  // what the user said
  EXPECT_EQ(found.parts[4].care, Care::kLight);  // the latest answer
}

TEST(RequestParts, NothingUpToACacheBreakpointIsTouched) {
  llm::ChatRequest request = conversation();
  std::get<llm::TextPart>(request.messages[2].parts[0]).cache_control =
      json::value{{"type", "ephemeral"}};
  EXPECT_EQ(touched(request), (std::vector<std::size_t>{3, 4}));
}

TEST(RequestParts, ToolCallsResultsMediaAndNamedMessagesAreNotTouched) {
  llm::ChatRequest request = conversation();
  request.messages[2].parts.emplace_back(
      llm::ToolCallPart{.id = "1", .name = "f", .arguments = "{}"});
  request.messages.insert(
      request.messages.begin() + 3,
      llm::Message{.role = llm::Role::kTool,
                   .parts = {llm::ToolResultPart{.tool_call_id = "1", .text = "it rains"}}});
  request.messages[1].name = "example_user";
  request.messages[4].parts.emplace_back(llm::ImagePart{.url = "https://a.example/b.png"});
  EXPECT_EQ(touched(request), (std::vector<std::size_t>{0, 5}));
}

TEST(RequestParts, WhatFollowsTheQuestionIsNotTouched) {
  llm::ChatRequest request = conversation();
  request.messages.push_back(say(llm::Role::kAssistant, "It was built"));
  EXPECT_EQ(touched(request), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(RequestParts, AConversationWithoutAUserHasNoParts) {
  llm::ChatRequest request;
  request.messages = {say(llm::Role::kSystem, "Be brief.")};
  EXPECT_TRUE(parts_of(request, {}).parts.empty());
}

TEST(RequestParts, WordingTasksLeaveTheConversationAlone) {
  llm::ChatRequest request = conversation();
  request.messages.back() = say(llm::Role::kUser, "Rewrite your last answer.");
  EXPECT_EQ(touched(request), (std::vector<std::size_t>{0}));
}

TEST(RequestParts, ExamplesAreAPoolOfTheirOwn) {
  const RequestParts found = parts_of(conversation(), {.max_history_turns = 5, .examples = 2});
  EXPECT_EQ(found.examples, 2U);
  EXPECT_EQ(found.first_example, 1U);
  EXPECT_EQ(found.parts.size(), 1U);
}

}  // namespace
}  // namespace asahi::gateway::tokens
