#include "memory/rank/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace asahi::memory::rank {
namespace {

using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Not;

constexpr Clock::Time kStart{std::chrono::sys_days(std::chrono::year(2023) / 5 / 8)};

/// A small memory store: rows of sessions, a day apart.
class Talk {
 public:
  std::uint32_t say(int session, std::string_view speaker, std::string_view text) {
    const std::uint32_t document = next_++;
    const std::string name = std::to_string(session), id = std::to_string(document);
    EXPECT_TRUE(index.put(document, text));
    Placement placement;
    placement.scope = "s";
    placement.session = name;
    placement.speaker = speaker;
    placement.timestamp = kStart + std::chrono::days(session);
    placement.id = id;
    conversations.put(document, placement, text, index.length(document));
    return document;
  }
  /// Rows that have nothing to do with the question.
  void fill(int session) {
    for (int i = 0; i < 6; ++i) say(session, i % 2 == 0 ? "Jo" : "Mel", "weather rain sunny cloud");
  }
  std::vector<Ranked> ask(std::string_view question, std::size_t limit = 10,
                          const text::SearchOptions& search = {},
                          const EvidenceOptions& options = {}) const {
    return rank_conversation(read_question(question, kStart + std::chrono::days(100)), index,
                             conversations, search, limit, options);
  }

  text::Index index;
  Conversations conversations;

 private:
  std::uint32_t next_ = 0;
};

std::vector<std::uint32_t> order(const std::vector<Ranked>& ranked) {
  std::vector<std::uint32_t> out;
  for (const Ranked& one : ranked) out.push_back(one.document);
  return out;
}

TEST(Evidence, FindsTheAnswerBehindTheQuestionThatHoldsTheWords) {
  Talk talk;
  talk.fill(1);
  talk.say(1, "Jo", "Which instrument do you play in the orchestra?");
  const auto answer = talk.say(1, "Mel", "Oboe, since school.");
  talk.fill(2);
  const auto ranked = talk.ask("What instrument does Mel play in the orchestra?");
  ASSERT_THAT(order(ranked), Contains(answer));
  EXPECT_EQ(ranked.front().document, answer);
  EXPECT_EQ(ranked.front().keyword_rank, 0);
  EXPECT_EQ(ranked.front().own_terms & ranked.front().nearby_terms, 0U);
  EXPECT_NE(ranked.front().nearby_terms, 0U);
}

TEST(Evidence, NeighboursInOtherSessionsDoNotCount) {
  Talk talk;
  const auto last = talk.say(1, "Jo", "orchestra oboe");
  const auto other = talk.say(2, "Mel", "nothing");
  EXPECT_THAT(order(talk.ask("orchestra")), Contains(last));
  EXPECT_THAT(order(talk.ask("orchestra")), Not(Contains(other)));
}

TEST(Evidence, PrefersTheSpeakerWhoIsNamed) {
  Talk talk;
  talk.say(1, "Jo", "I adopted a puppy named Rex");
  talk.fill(2);
  const auto wanted = talk.say(3, "Mel", "I adopted a puppy named Max");
  const auto ranked = talk.ask("Which puppy has Mel adopted?");
  EXPECT_EQ(ranked.front().document, wanted);
  EXPECT_TRUE(ranked.front().named_speaker);
  EXPECT_FALSE(talk.ask("Which puppy have Mel and Jo adopted?").front().named_speaker)
      << "all are named: that tells nothing";
}

TEST(Evidence, PrefersTheTimeThatIsNamed) {
  Talk talk;
  talk.say(1, "Jo", "we went climbing");
  talk.fill(10);
  const auto wanted = talk.say(40, "Jo", "we went climbing");
  const auto ranked = talk.ask("Where did we go climbing in June 2023?");
  EXPECT_EQ(ranked.front().document, wanted);
  EXPECT_TRUE(ranked.front().named_time);
}

TEST(Evidence, PrefersTheEndOfTimeThatIsAskedFor) {
  Talk talk;
  const auto first = talk.say(1, "Jo", "we went climbing");
  talk.fill(10);
  const auto latest = talk.say(40, "Jo", "we went climbing");
  EXPECT_EQ(talk.ask("What was our first climbing trip?").front().document, first);
  EXPECT_EQ(talk.ask("What was our latest climbing trip?").front().document, latest);
  EXPECT_EQ(talk.ask("climbing").front().document, latest) << "later first among equals";
}

TEST(Evidence, PrefersStatementsThatTellATimeWhenAskedWhen) {
  Talk talk;
  talk.say(1, "Jo", "the marathon went really well");
  talk.fill(2);
  const auto wanted = talk.say(0, "Jo", "the marathon went well yesterday");
  EXPECT_EQ(talk.ask("When was the marathon?").front().document, wanted);
}

TEST(Evidence, NeighboursPassTheFilterToo) {
  Talk talk;
  talk.say(1, "Jo", "Which instrument do you play?");
  const auto answer = talk.say(1, "Mel", "The oboe.");
  text::SearchOptions search;
  search.admits = [&](std::uint32_t document) { return document != answer; };
  EXPECT_THAT(order(talk.ask("instrument", 10, search)), Not(Contains(answer)));
  const std::uint64_t allowed[] = {1};
  text::SearchOptions bits;
  bits.allowed = allowed;
  EXPECT_THAT(order(talk.ask("instrument", 10, bits)), Each(0U));
}

TEST(Evidence, RanksDocumentsWithoutAPlace) {
  Talk talk;
  ASSERT_TRUE(talk.index.put(0, "lonely words"));
  ASSERT_TRUE(talk.index.put(1, "other lonely words of more length here"));
  EXPECT_EQ(order(talk.ask("lonely words")), (std::vector<std::uint32_t>{0, 1}));
}

TEST(Evidence, AnswersNothingWithNothing) {
  Talk talk;
  EXPECT_THAT(talk.ask("anything"), IsEmpty());
  talk.fill(1);
  EXPECT_THAT(talk.ask(""), IsEmpty());
  EXPECT_THAT(talk.ask("oboe"), IsEmpty());
}

TEST(Evidence, NamesEachDocumentOnceBestFirst) {
  std::mt19937 random(4);
  Talk talk;
  for (int i = 0; i < 400; ++i) {
    std::string text;
    for (int word = 0; word < 8; ++word) text += "w" + std::to_string(random() % 60) + "x ";
    talk.say(static_cast<int>(random() % 20), random() % 2 == 0 ? "Jo" : "Mel", text);
  }
  for (int round = 0; round < 50; ++round) {
    const auto ranked = talk.ask("w" + std::to_string(random() % 60) + "x w3x Jo", 30);
    auto documents = order(ranked);
    for (std::size_t i = 1; i < ranked.size(); ++i) EXPECT_GE(ranked[i - 1].score, ranked[i].score);
    std::ranges::sort(documents);
    EXPECT_EQ(std::ranges::adjacent_find(documents), documents.end());
    EXPECT_LE(documents.size(), 30U);
  }
}

}  // namespace
}  // namespace asahi::memory::rank
