#include "gateway/tokens/phrases.h"

#include <gtest/gtest.h>

#include "gateway/tokens/facts.h"
#include "gateway/tokens/phrase_list.h"

namespace asahi::gateway::tokens {
namespace {

TEST(Phrases, WordyOnesBecomeShort) {
  EXPECT_EQ(shorten_phrases("We do this in order to help."), "We do this to help.");
  EXPECT_EQ(shorten_phrases("It failed due to the fact that it rained."),
            "It failed because it rained.");
  EXPECT_EQ(shorten_phrases("In the event that it fails, stop."), "If it fails, stop.");
}

TEST(Phrases, OpeningsThatSayNothingGoAndTheNextWordBegins) {
  EXPECT_EQ(shorten_phrases("Please note that it is important to remember that cats sleep."),
            "Cats sleep.");
  EXPECT_EQ(shorten_phrases("You should make sure to answer in German."), "Answer in German.");
  EXPECT_EQ(shorten_phrases("As a matter of fact, the door is open."), "The door is open.");
}

TEST(Phrases, IntensifiersGoUnlessTheyAreNegated) {
  EXPECT_EQ(shorten_phrases("It is very good."), "It is good.");
  EXPECT_EQ(shorten_phrases("It is not very good."), "It is not very good.");
  EXPECT_EQ(shorten_phrases("This isn't really done."), "This isn't really done.");
}

TEST(Phrases, NegationsAndLimitsStay) {
  EXPECT_EQ(shorten_phrases("Please make sure that you do not share it."), "Do not share it.");
  EXPECT_EQ(shorten_phrases("You should never ever say it."), "Never say it.");
  EXPECT_EQ(shorten_phrases("Please make sure to always ask."), "Always ask.");
}

TEST(Phrases, QuotationsAndCodeAreLeftAlone) {
  EXPECT_EQ(shorten_phrases("Say \"in order to  win\" in order to win."),
            "Say \"in order to  win\" to win.");
  EXPECT_EQ(shorten_phrases("Run `in order to` in order to win."), "Run `in order to` to win.");
}

TEST(Phrases, APhraseDoesNotReachOverAComma) {
  EXPECT_EQ(shorten_phrases("We go in, order to go."), "We go in, order to go.");
}

TEST(Phrases, TheCommasOfWhatGoesGoWithIt) {
  EXPECT_EQ(shorten_phrases("We are, of course, ready."), "We are ready.");
  EXPECT_EQ(shorten_phrases("Furthermore, the door is open."), "The door is open.");
  EXPECT_EQ(shorten_phrases("Clearly state the answer."), "Clearly state the answer.");
}

TEST(Phrases, BlanksInARunBecomeOne) { EXPECT_EQ(shorten_phrases("a  b    c d"), "a b c d"); }

TEST(Phrases, ListMarkersAreNoWords) {
  EXPECT_EQ(shorten_phrases("- Please make sure to answer."), "- Answer.");
  EXPECT_EQ(shorten_phrases("2. You should answer."), "2. Answer.");
}

TEST(Phrases, NoRuleLosesAFact) {
  // The check after every sentence would undo it, so such a rule would only cost time.
  std::string_view list = kPhraseList;
  std::size_t rules = 0;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\n'), list.size());
    std::string_view line = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (line.empty()) continue;
    ++rules;
    if (std::string_view("^~&!").find(line[0]) != std::string_view::npos) line.remove_prefix(1);
    const std::size_t arrow = std::min(line.find(" =>"), line.size());
    std::vector<Fact> before, after;
    const std::string wordy = "the " + std::string(line.substr(0, arrow));
    const std::string plain =
        "the " + std::string(line.substr(arrow == line.size() ? arrow : arrow + 3));
    find_facts(wordy, before);
    find_facts(plain, after);
    for (const Fact& fact : before) {
      EXPECT_TRUE(std::ranges::any_of(after, [&](const Fact& f) { return f.hash == fact.hash; }))
          << line << " loses " << fact.text;
    }
  }
  EXPECT_GT(rules, 600U);
}

TEST(Phrases, RelativeClausesLoseWhatSaysNothing) {
  EXPECT_EQ(shorten_phrases("Check the bills which are sent to us by customers."),
            "Check the bills sent to us by customers.");
  EXPECT_EQ(shorten_phrases("Name the tools that they use."), "Name the tools they use.");
  // Not where the word before needs them.
  for (const char* whole :
       {"He said that was done by hand.", "The box in which you keep it is red.",
        "It was Ann who was asked for help.", "All that was found in it is red.",
        "Ask the guest who is tired."})
    EXPECT_EQ(shorten_phrases(whole), whole);
}

TEST(Phrases, AnnouncementsOfARepeatGo) {
  EXPECT_EQ(shorten_phrases("I repeat, do not share it."), "Do not share it.");
  EXPECT_EQ(shorten_phrases("Once again, do not share it."), "Do not share it.");
}

TEST(Filler, IsCourtesyAndSelfPraise) {
  for (const char* sentence :
       {"Thank you so much for your support!", "I hope you are having a great day.",
        "We are very proud of our team.", "Great question!", "Let me know if you need more.",
        "We truly believe in people.", "Please don't hesitate to ask.", "You've got this!",
        "Your attention to this matter is greatly appreciated."})
    EXPECT_TRUE(is_filler(sentence)) << sentence;
  for (const char* sentence : {"Sure footing matters in the mountains.", "The door is open.",
                               "Answer in German.", "Welcome emails go out daily."})
    EXPECT_FALSE(is_filler(sentence)) << sentence;
}

TEST(Instructions, AreVerbsInFrontAndModals) {
  for (const char* sentence :
       {"Answer in short sentences.", "You should be polite.", "When asked, explain the rule.",
        "- Use simple words.", "Please be brief.", "You are a pirate.", "Make sure it works."})
    EXPECT_TRUE(is_instruction(sentence)) << sentence;
  for (const char* sentence : {"The sun was shining.", "People like the garden."})
    EXPECT_FALSE(is_instruction(sentence)) << sentence;
}

}  // namespace
}  // namespace asahi::gateway::tokens
