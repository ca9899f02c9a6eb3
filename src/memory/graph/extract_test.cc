#include "memory/graph/extract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "memory/graph/graph.h"

namespace asahi::memory::graph {
namespace {

Time at(std::string_view date) { return parse_rfc3339(std::string(date) + "T00:00:00Z").value(); }
const Time kSaid = at("2023-06-15") + std::chrono::hours{14};

Memory memory(std::string content, std::string metadata = "{}") {
  Memory out;
  out.key = {"acme", "buddy-1", "chat 7"};
  out.content = std::move(content);
  out.metadata = std::move(metadata);
  out.timestamp = kSaid;
  return out;
}

/// "from -type-> to" of all facts.
std::vector<std::string> facts(const Statement& statement) {
  std::vector<std::string> out;
  for (const StatedFact& fact : statement.facts)
    out.push_back(fact.from + " -" + fact.type + "-> " + fact.to);
  std::ranges::sort(out);
  return out;
}
using List = std::vector<std::string>;

/// The same of one sentence.
List read(std::string_view sentence) {
  List out;
  for (const Phrase& phrase : phrases(sentence, kSaid)) {
    std::string text = phrase.from + " -" + phrase.type + "-> " + phrase.to;
    if (phrase.since) text += " " + format_date(*phrase.since);
    out.push_back(text);
  }
  return out;
}

TEST(Extract, MetadataSaysWhoWorkedOnWhat) {
  const Statement out = extract(
      memory("Hello.", R"({"user_id":"ana@x.example","project":"Web Shop","tags":["caching"]})"),
      kSaid);
  EXPECT_EQ(facts(out), (List{"project:Web-Shop -mentioned-> concept:caching",
                              "system:buddy-1 -contains-> project:Web-Shop",
                              "user:ana@x.example -worked_on-> project:Web-Shop"}));
  EXPECT_EQ(out.source, (Source{"buddy-1", "chat 7"}));
  EXPECT_EQ(out.facts[0].valid_from, kSaid);
  const auto shop = std::ranges::find(out.entities, "project:Web-Shop", &StatedEntity::id);
  ASSERT_NE(shop, out.entities.end());
  EXPECT_EQ(shop->properties, R"({"name":"Web Shop"})");
}

TEST(Extract, AMemoryWithoutMetadataStillNamesItsSystem) {
  for (const char* metadata :
       {"{}", "[]", "no json", "", R"({"user_id":7,"tags":"x","project":""})"}) {
    const Statement out = extract(memory("Hello.", metadata), kSaid);
    ASSERT_GE(out.entities.size(), 1U);
    EXPECT_EQ(out.entities[0].id, "system:buddy-1");
  }
}

TEST(Extract, ErrorsAndFilesAreKnownByTheirForm) {
  const Statement out =
      extract(memory("Opening `src/net/http.cc` raised ConnectionResetError. See config.yaml, "
                     "not e.g. or 3.14 or https://a.example/x.html.",
                     R"({"project":"gw","user_id":"ana","tags":["fixed"]})"),
              kSaid);
  const List all = facts(out);
  for (const char* expected :
       {"project:gw -mentioned-> file:src-net-http.cc",
        "project:gw -mentioned-> error:ConnectionResetError",
        "project:gw -mentioned-> file:config.yaml", "user:ana -fixed-> error:ConnectionResetError"})
    EXPECT_NE(std::ranges::find(all, expected), all.end()) << expected;
  for (const std::string& fact : all) EXPECT_EQ(fact.find("3.14"), std::string::npos);
}

TEST(Extract, TagsThatStandTogetherAreRelated) {
  const Statement out = extract(memory("x", R"({"tags":["Redis","Cache","redis"]})"), kSaid);
  const List all = facts(out);
  EXPECT_EQ(std::ranges::count(all, "concept:cache -related_to-> concept:redis"), 2)
      << "stated twice, learned once";
  Graph graph;
  EXPECT_TRUE(graph.learn(out, kSaid));
}

TEST(Extract, ANearDuplicateIsSimilarToItsOriginal) {
  Memory one = memory("x");
  one.near_duplicate_of = Key{"acme", "buddy-2", "chat 1"};
  EXPECT_EQ(facts(extract(one, kSaid)),
            (List{"memory:buddy-1-chat-7 -similar_to-> memory:buddy-2-chat-1"}));
}

TEST(Extract, FactsOfTheTextCarryTheirSentence) {
  const Statement out = extract(
      memory("Good news! Ana Ruiz is the CEO of Acme Labs since March 2023. We had cake."), kSaid);
  ASSERT_EQ(facts(out), (List{"concept:ana-ruiz -ceo_of-> concept:acme-labs"}));
  EXPECT_EQ(out.facts[0].evidence, "Ana Ruiz is the CEO of Acme Labs since March 2023.");
  EXPECT_EQ(out.facts[0].valid_from, at("2023-03-01"));
  EXPECT_EQ(out.facts[0].exclusive, Exclusive::kOneOrigin);
}

TEST(Extract, WhoSpeaksIsWhoISays) {
  EXPECT_EQ(
      facts(extract(memory("I moved to Berlin on 3 May.", R"({"user_id":"ana"})"), kSaid)),
      (List{"user:ana -located_in-> concept:berlin", "user:ana -worked_with-> system:buddy-1"}));
  EXPECT_TRUE(facts(extract(memory("I moved to Berlin."), kSaid)).empty()) << "nobody knows who";
  EXPECT_EQ(facts(extract(memory("Melanie: I moved to Berlin.\nBob: I live in Rome."), kSaid)),
            (List{"concept:bob -located_in-> concept:rome",
                  "concept:melanie -located_in-> concept:berlin"}));
  EXPECT_TRUE(facts(extract(memory("Assistant: I live in Rome."), kSaid)).empty());
}

TEST(Extract, TheSameTextGivesTheSameStatement) {
  const Memory one =
      memory("Bob moved to Rome. I own Acme.", R"({"user_id":"u","tags":["a","b"]})");
  EXPECT_EQ(extract(one, kSaid), extract(one, kSaid));
  const Statement early = extract(one, kSaid - std::chrono::hours{1});
  ASSERT_FALSE(early.facts.empty());
  EXPECT_EQ(early.facts[0].valid_from, kSaid - std::chrono::hours{1})
      << "a clock ahead of ours states nothing of the future";
}

TEST(Phrases, StateWhatTheySay) {
  EXPECT_EQ(read("Bob moved to New York on May 3, 2023."),
            (List{"Bob -located_in-> New York 2023-05-03"}));
  EXPECT_EQ(read("Dr Ana van Dyke now works at Bank of Lisbon."),
            (List{"Dr Ana van Dyke -works_at-> Bank of Lisbon"}));
  EXPECT_EQ(read("Maria joined Globex on 2022-11-01."),
            (List{"Maria -works_at-> Globex 2022-11-01"}));
  EXPECT_EQ(read("The Billing service depends on Redis."), List{})
      << "a name of two kinds of words";
  EXPECT_EQ(read("Billing depends on `redis`."), (List{"Billing -depends_on-> redis"}));
  EXPECT_EQ(read("Lisbon is the capital of Portugal."), (List{"Lisbon -capital_of-> Portugal"}));
  EXPECT_EQ(read("Ana is a member of the Board."), (List{"Ana -member_of-> Board"}));
  EXPECT_EQ(read("Ana became CTO of Acme in 2021."), (List{"Ana -cto_of-> Acme 2021-01-01"}));
  EXPECT_EQ(read("Tom reports to Ana."), (List{"Tom -reports_to-> Ana"}));
  EXPECT_EQ(read("I live in Rome."), (List{"I -located_in-> Rome"}));
}

TEST(Phrases, RatherStateNothingThanGuess) {
  for (const char* sentence : {"Did Bob move to Rome?",
                               "Bob never moved to Rome.",
                               "Bob didn't join Acme.",
                               "Bob may have moved to Rome.",
                               "If Bob moved to Rome we would know.",
                               "Bob plans to move to Rome.",
                               "He moved to Rome.",
                               "She is the CEO of Acme.",
                               "Someone moved to Rome.",
                               "Bob moved to a new flat.",
                               "Bob moved to the left.",
                               "Ana is one of Bob's friends.",
                               "This is the end of Acme.",
                               "Bob wants Ana to work at Acme.",
                               "Bob's sister moved to Rome.",
                               "Yesterday moved to Rome.",
                               "Bob moved.",
                               "moved to Rome",
                               "Bob thinks Ana works at Acme.",
                               "Bob, who is the head of nothing.",
                               "Ana is the kind of Person I like.",
                               "Bob joined the call."})
    EXPECT_EQ(read(sentence), List{}) << sentence;
}

TEST(Dates, AreFoundAsPeopleWriteThem) {
  const auto date = [](std::string_view text) {
    const auto found = find_date(text, kSaid);
    return found ? format_date(*found) : std::string();
  };
  EXPECT_EQ(date("on 2023-05-03 at noon"), "2023-05-03");
  EXPECT_EQ(date("2023-05-03T10:00:00Z"), "2023-05-03");
  EXPECT_EQ(date("on May 3rd, 2022."), "2022-05-03");
  EXPECT_EQ(date("on 3 May 2022"), "2022-05-03");
  EXPECT_EQ(date("the 21st of December 2020"), "2020-12-21");
  EXPECT_EQ(date("since Sept 2022"), "2022-09-01");
  EXPECT_EQ(date("on 3 May"), "2023-05-03");
  EXPECT_EQ(date("on Dec 24"), "2022-12-24") << "the last one, not one half a year ahead";
  EXPECT_EQ(date("on July 1"), "2023-07-01") << "soon";
  EXPECT_EQ(date("yesterday"), "2023-06-14");
  EXPECT_EQ(date("today!"), "2023-06-15");
  EXPECT_EQ(date("in 2019"), "2019-01-01");
  for (const char* none : {"", "February 30, 2023", "2023-13-01", "12 people", "I may go",
                           "in 12345", "version 2019", "march on"})
    EXPECT_EQ(date(none), "") << none;
}

TEST(Extract, AnythingItGivesCanBeLearned) {
  std::mt19937 random(21);
  const std::string_view pieces[] = {
      "Bob ",  "moved to ", "Rome", ". ",    "is the CEO of ", "I ", "東京",     "\xFF", "`x.cc`",
      "Ana: ", "on May 3 ", "\n",   "Acme ", "works at ",      ": ", "IOError ", "- ",   "'s "};
  for (int round = 0; round < 300; ++round) {
    std::string text, tag;
    for (unsigned n = random() % 60; n > 0; --n) text += pieces[random() % std::size(pieces)];
    for (unsigned n = random() % 20; n > 0; --n) tag += static_cast<char>(' ' + 3 + random() % 50);
    std::erase(tag, '\\');
    Memory one = memory(text, R"({"user_id":")" + tag + R"(","tags":[")" + tag + R"(","東京"]})");
    Graph graph;
    const auto learned = graph.learn(extract(one, kSaid), kSaid);
    ASSERT_TRUE(learned) << learned.error().message << text;
  }
}

}  // namespace
}  // namespace asahi::memory::graph
