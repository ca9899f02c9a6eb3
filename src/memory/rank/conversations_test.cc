#include "memory/rank/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory::rank {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Clock::Time kMorning{std::chrono::seconds(1'700'000'000)};

Placement placed(std::string_view scope, std::string_view session, std::string_view id,
                 std::chrono::minutes after = {}) {
  Placement out;
  out.scope = scope;
  out.session = session;
  out.timestamp = kMorning + after;
  out.id = id;
  return out;
}

std::vector<std::uint32_t> order(const Conversations& conversations, std::uint32_t document) {
  std::vector<std::uint32_t> out;
  for (const auto& entry : conversations.session_of(conversations.facts(document)))
    out.push_back(entry.document);
  return out;
}

TEST(Conversations, OrdersASessionByTimeThenByTheNumbersOfIds) {
  Conversations conversations;
  conversations.put(0, placed("s", "1", "D1:10"), "c", 1);
  conversations.put(1, placed("s", "1", "D1:9"), "b", 1);
  conversations.put(2, placed("s", "1", "D1:11", std::chrono::minutes(-1)), "a", 1);
  EXPECT_THAT(order(conversations, 0), ElementsAre(2, 1, 0));
}

TEST(Conversations, TurnsGoBeforeIds) {
  Conversations conversations;
  Placement first = placed("s", "1", "z9");
  first.turn = 1;
  Placement second = placed("s", "1", "a1");
  second.turn = 2;
  conversations.put(0, second, "b", 1);
  conversations.put(1, first, "a", 1);
  EXPECT_THAT(order(conversations, 0), ElementsAre(1, 0));
}

TEST(Conversations, KeepsSystemsAndSessionsApart) {
  Conversations conversations;
  conversations.put(0, placed("s", "1", "1"), "x", 1);
  conversations.put(1, placed("s", "2", "2"), "x", 1);
  conversations.put(2, placed("t", "1", "3"), "x", 1);
  EXPECT_THAT(order(conversations, 0), ElementsAre(0));
  EXPECT_THAT(order(conversations, 2), ElementsAre(2));
}

TEST(Conversations, WithoutSessionsTheHourPartsTalks) {
  Conversations conversations;
  conversations.put(0, placed("s", "", "1"), "x", 1);
  conversations.put(1, placed("s", "", "2", std::chrono::minutes(30)), "x", 1);
  conversations.put(2, placed("s", "", "3", std::chrono::minutes(95)), "x", 1);
  const auto facts = conversations.facts(0);
  const auto entries = conversations.session_of(facts);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_TRUE(Conversations::near(facts, entries[0], entries[1]));
  EXPECT_FALSE(Conversations::near(facts, entries[1], entries[2]));
}

TEST(Conversations, ForgetsErasedAndReplacedOnes) {
  Conversations conversations;
  conversations.put(0, placed("s", "1", "1"), "x", 1);
  conversations.put(1, placed("s", "1", "2"), "x", 1);
  conversations.put(0, placed("s", "2", "1"), "x", 1);
  EXPECT_THAT(order(conversations, 1), ElementsAre(1));
  EXPECT_TRUE(conversations.erase(1));
  EXPECT_FALSE(conversations.erase(1));
  EXPECT_FALSE(conversations.erase(77));
  EXPECT_EQ(conversations.facts(1).group, Conversations::Facts::kNone);
  conversations.put(2, placed("s", "1", "3"), "x", 1);
  EXPECT_THAT(order(conversations, 2), ElementsAre(2));
}

TEST(Conversations, KnowsSpeakersQuestionsAndTimes) {
  Conversations conversations;
  Placement placement = placed("s", "1", "1");
  placement.speaker = "Zoë";
  conversations.put(0, placement, "I went there yesterday. You too? [a photo of a dog]", 1);
  conversations.put(1, placed("s", "1", "2"), "Zoe: Fine.", 1);
  const auto zero = conversations.facts(0), one = conversations.facts(1);
  EXPECT_TRUE(zero.asks);
  EXPECT_TRUE(zero.tells_time);
  EXPECT_FALSE(one.asks);
  EXPECT_FALSE(one.tells_time);
  EXPECT_EQ(zero.speaker, one.speaker);
  EXPECT_THAT(conversations.speaker_words(zero.speaker), ElementsAre("zoe"));
}

TEST(Conversations, SurviveASnapshot) {
  Conversations conversations;
  Placement placement = placed("s", "1", "1");
  placement.speaker = "Zoë van Dam";
  conversations.put(4, placement, "You too?", 2);
  conversations.put(2, placed("s", "1", "2"), "Yes, yesterday.", 2);
  conversations.put(3, placed("t", "", "1"), "x", 1);
  conversations.put(9, placed("u", "", "1"), "x", 1);
  conversations.erase(9);
  const std::string bytes = conversations.snapshot();
  auto copy = Conversations::restore(bytes);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_THAT(order(*copy, 2), ElementsAre(4, 2));
  EXPECT_THAT(copy->speaker_words(copy->facts(4).speaker), ElementsAre("zoe", "van", "dam"));
  EXPECT_EQ(copy->facts(2).speaker, Conversations::Facts::kNone);
  EXPECT_TRUE(copy->facts(4).asks);
  EXPECT_TRUE(copy->facts(2).tells_time);
  EXPECT_FALSE(copy->facts(3).by_session);
  EXPECT_EQ(copy->facts(9).group, Conversations::Facts::kNone);
  copy->put(5, placed("s", "1", "3"), "x", 1);
  EXPECT_THAT(order(*copy, 5), ElementsAre(4, 2, 5));
  EXPECT_TRUE(Conversations::restore(Conversations().snapshot()));
  EXPECT_EQ(Conversations::restore(bytes, 4).error().code, Errc::kCorrupt);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(Conversations::restore(changed));
    EXPECT_FALSE(Conversations::restore(std::string_view(bytes).substr(0, i)));
  }
}

TEST(SpokenBy, TakesNamesOnly) {
  EXPECT_EQ(spoken_by("Caroline: hello"), "Caroline");
  EXPECT_EQ(spoken_by("Jean-Luc Picard: hello"), "Jean-Luc Picard");
  EXPECT_EQ(spoken_by("see https://x.org: it works"), "");
  EXPECT_EQ(spoken_by("This is a rather long remark: yes"), "");
  EXPECT_EQ(spoken_by(": no"), "");
}

TEST(ReadPlacement, ReadsWhatIsThere) {
  const auto placement =
      read_placement(R"({"session": 3, "speaker": "Mel", "turn": 7, "tags": ["x"]})");
  EXPECT_EQ(placement.session, "3");
  EXPECT_EQ(placement.speaker, "Mel");
  EXPECT_EQ(placement.turn, 7U);
  EXPECT_EQ(read_placement(R"({"session_id": "a", "role": "user"})").speaker, "user");
  for (const std::string_view bad : {"", "{", "[]", R"({"turn": -1})", R"({"turn": "x"})"}) {
    EXPECT_THAT(read_placement(bad).session, IsEmpty());
    EXPECT_FALSE(read_placement(bad).turn);
  }
}

}  // namespace
}  // namespace asahi::memory::rank
