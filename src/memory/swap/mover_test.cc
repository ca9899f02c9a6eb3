// The hot tier goes over to another backend while it is asked: the own log in two folders, one of
// which fails as it is told.
#include "memory/swap/mover.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <tuple>

#include "memory/dedup/minhash.h"
#include "memory/hot/testing/samples.h"
#include "memory/swap/testing/moving_tier.h"

namespace asahi::memory::swap {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Outcome = UpsertOutcome;

Clock::Time start() { return parse_rfc3339("2026-11-22T10:00:00Z").value(); }

Memory memory(const std::string& system, const std::string& id, const std::string& text,
              int hour = 0) {
  Memory out;
  out.key = {"org", system, id};
  out.content = text;
  out.content_hash = sha256(text);
  out.embedding = hot_testing::direction(std::hash<std::string>{}(text), 3);
  out.embedding_model = "m";
  out.fingerprint = dedup::fingerprint(text);
  out.timestamp = start() + std::chrono::hours(hour);
  out.uploaded_at = out.timestamp;
  out.metadata = fmt::format(R"({{"project":"{}"}})", system);
  return out;
}

/// What a side holds, opened by itself.
using Contents = std::map<Key, std::pair<Memory, bool>>;
Contents contents(const Place& place) {
  HotOptions options;
  options.engine.folder = place.path;
  const auto store = HotStore::open(std::move(options)).value();
  Contents out;
  std::uint64_t at = 0;
  while (true) {
    hot::WrittenPage page = store->engine().written_since(at, 1000);
    if (page.upto == at) return out;
    at = page.upto;
    for (hot::Written& row : page.rows) {
      const Key key = row.memory.key;
      out.emplace(key, std::pair(std::move(row.memory), row.duplicate));
    }
  }
}

class HotMove : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(sql::Migrator(*database_, migrations()).upgrade());
    ASSERT_TRUE(tier_.open());
  }
  std::vector<Outcome> upsert(std::vector<Memory> memories) {
    auto done = on_.wait<std::vector<Outcome>>(
        [&]() { return tier_.store().upsert_batch(std::move(memories), {}); });
    EXPECT_TRUE(done) << done.error().message;
    return done.value_or(std::vector<Outcome>{});
  }
  void fill(int memories, const std::string& system = "agent") {
    for (int i = 0; i < memories; ++i) {
      // Every fifth says what another one says.
      const std::string text =
          fmt::format("{} says number {}", i % 5 == 4 ? "all" : system, i % 5 == 4 ? i % 3 : i);
      upsert({memory(system, fmt::format("{}", i), text, i)});
    }
  }
  std::string text_of(const std::string& system, const std::string& id) {
    const std::vector<Key> keys{{"org", system, id}};
    auto got =
        on_.wait<std::vector<std::optional<Memory>>>([&]() { return tier_.store().get(keys); });
    EXPECT_TRUE(got) << got.error().message;
    return got && got->front() ? got->front()->content : "";
  }
  std::uint64_t erase(const std::string& system, const std::string& id) {
    const std::vector<Key> keys{{"org", system, id}};
    return on_.wait<std::uint64_t>([&]() { return tier_.store().delete_batch(keys); }).value();
  }
  std::size_t found() {
    StoreQuery query;
    query.tenant = "org";
    query.limit = 1000;
    return on_.wait<StorePage>([&]() { return tier_.store().search(query); }).value().hits.size();
  }
  /// One after the other: a folder is opened by one.
  void expect_both_the_same() {
    tier_.close();
    const Contents old = contents(tier_.old_place()), now = contents(tier_.new_place());
    EXPECT_EQ(old.size(), now.size());
    for (const auto& [key, row] : old) {
      const auto other = now.find(key);
      ASSERT_NE(other, now.end()) << key.conversation_id << " is missing";
      EXPECT_EQ(other->second.first, row.first) << key.conversation_id;
      EXPECT_EQ(other->second.second, row.second) << key.conversation_id << " repeats another";
    }
  }

  const hot_testing::TemporaryFolder folder_;
  ManualClock clock_{start()};
  memory::testing::OnLoop on_;
  std::unique_ptr<sql::Database> database_ =
      sql::open_database({.url = "sqlite://:memory:"}).value();
  testing::MovingTier tier_{on_, *database_, clock_, folder_.path()};
};

TEST_F(HotMove, TakesEverythingAlongAndIsWhereItWentAtTheNextStart) {
  fill(60);
  const std::size_t before = found();
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new()) << tier_.reason();
  EXPECT_EQ(tier_.phase(), "window");
  EXPECT_EQ(found(), before);
  EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
  const auto done = tier_.finish();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->at("backend").at("path").as_string(), tier_.new_place().path);
  upsert({memory("agent", "later", "only the new one knows")});
  // The settings name the old folder still.
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(text_of("agent", "later"), "only the new one knows");
  EXPECT_EQ(found(), before + 1);
  tier_.close();
  EXPECT_EQ(contents(tier_.old_place()).size(), 60U);
}

TEST_F(HotMove, IsWhereItWentLastThoughTheClockStandsOrWasSetBack) {
  fill(3);
  for (int move = 0; move < 6; ++move) {
    if (move == 3) clock_.advance(-std::chrono::hours(10));
    const Place to =
        tier_.store().now()->place == tier_.old_place() ? tier_.new_place() : tier_.old_place();
    ASSERT_TRUE(tier_.begin(true));
    ASSERT_TRUE(tier_.reads_new()) << tier_.reason();
    ASSERT_TRUE(tier_.finish());
    const std::string id = fmt::format("of move {}", move);
    upsert({memory("agent", id, "said once " + id)});
    ASSERT_TRUE(tier_.open());
    ASSERT_EQ(tier_.store().now()->place, to) << "move " << move;
    EXPECT_EQ(text_of("agent", id), "said once " + id);
  }
}

TEST_F(HotMove, FollowsWhatIsWrittenEditedErasedAndAged) {
  fill(40);
  std::atomic<bool> stop{false};
  // People go on meanwhile.
  std::jthread people([&] {
    for (int i = 0; !stop; ++i) {
      upsert({memory("people", fmt::format("{}", i), fmt::format("said meanwhile {}", i % 50), i)});
      if (i % 3 == 0) erase("people", fmt::format("{}", i / 2));
      if (i % 7 == 0) {
        upsert({memory("agent", fmt::format("{}", i % 40), fmt::format("changed to {}", i),
                       1000 + i)});
      }
    }
  });
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new()) << tier_.reason();
  std::this_thread::sleep_for(20ms);
  stop = true;
  people.join();
  EXPECT_EQ(upsert({memory("agent", "39", "edited in the window", 1'000'000)}).front(),
            Outcome::kReplaced);
  EXPECT_EQ(text_of("agent", "39"), "edited in the window");
  EXPECT_EQ(erase("agent", "2"), 1U);
  EXPECT_EQ(text_of("agent", "2"), "");
  // Ageing: what it takes out with its duplicates.
  const auto due = on_.wait<std::vector<Eligible>>(
      [&]() { return tier_.store().scan_eligible({.before = start() + 20h, .limit = 5}); });
  ASSERT_EQ(due->size(), 5U);
  std::vector<std::pair<Key, Digest>> taken;
  for (const Eligible& row : *due) taken.emplace_back(row.memory.key, row.checksum);
  taken.back().second = {};  // that one stays
  EXPECT_EQ(on_.wait<std::uint64_t>([&]() { return tier_.store().delete_migrated(taken); }), 4U);
  EXPECT_EQ(on_.wait<std::uint64_t>([&]() {
    return tier_.store().delete_batch(std::vector<Key>{{"org", "people", "none"}});
  }),
            0U);
  expect_both_the_same();
}

TEST_F(HotMove, ErasesASystemOnBothSidesAndHandsOnWhatItRepeated) {
  upsert({memory("first", "1", "said twice")});
  upsert({memory("second", "1", "said twice", 1), memory("second", "2", "said once")});
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_EQ(found(), 2U);
  EXPECT_EQ(on_.wait<std::uint64_t>([&]() { return tier_.store().delete_system("org", "first"); }),
            1U);
  EXPECT_EQ(found(), 2U) << "what repeated it has a row of its own";
  EXPECT_EQ(text_of("second", "1"), "said twice");
  expect_both_the_same();
}

TEST_F(HotMove, FollowsNewVectorsAndKeepsWhatRepeatsTheirRows) {
  fill(10);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  const std::size_t before = found();
  const auto due = on_.wait<std::vector<Eligible>>(
      [&]() { return tier_.store().scan_eligible({.limit = 100, .without_model = "better"}); });
  ASSERT_EQ(due->size(), before);
  std::vector<NewVector> vectors;
  for (const Eligible& row : *due) {
    vectors.push_back({.key = row.memory.key,
                       .checksum = row.checksum,
                       .embedding = hot_testing::direction(vectors.size(), 3),
                       .model = "better"});
  }
  EXPECT_EQ(
      on_.wait<std::uint64_t>([&]() { return tier_.store().replace_vectors(vectors); }).value(),
      before);
  EXPECT_EQ(found(), before);
  EXPECT_EQ(text_of("agent", "4"), "all says number 1");
  expect_both_the_same();
}

TEST_F(HotMove, GoesOnAfterARestartInEveryPhase) {
  fill(80);
  tier_.failures = 1'000'000;
  ASSERT_TRUE(tier_.open());
  ASSERT_TRUE(tier_.begin());
  // In the middle of copying: the new side stops there.
  tier_.faults->writes = true;
  ASSERT_TRUE(tier_.open());
  EXPECT_NE(tier_.phase(), "aborted");
  EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
  erase("agent", "7");
  tier_.faults->writes = false;
  ASSERT_TRUE(tier_.open());
  ASSERT_TRUE(tier_.reads_new()) << tier_.reason();
  upsert({memory("agent", "in the window", "both have it")});
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(tier_.phase(), "window");
  EXPECT_EQ(text_of("agent", "in the window"), "both have it") << "before it is in step";
  ASSERT_TRUE(tier_.reads_new()) << tier_.reason();
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
  EXPECT_EQ(text_of("agent", "7"), "");
  expect_both_the_same();
}

TEST_F(HotMove, FindsWhatOnlyOneSideHasAfterACrash) {
  fill(30);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  tier_.close();
  // As if the process had ended between the two sides.
  for (const auto& [place, id, erased] :
       {std::tuple(tier_.old_place(), "7", true), std::tuple(tier_.old_place(), "new", false),
        std::tuple(tier_.new_place(), "stray", false)}) {
    HotOptions options;
    options.engine.folder = place.path;
    const auto store = HotStore::open(std::move(options)).value();
    if (erased) {
      const std::vector<Key> keys{{"org", "agent", id}};
      ASSERT_EQ(on_.wait<std::uint64_t>([&]() { return store->delete_batch(keys); }), 1U);
    } else {
      const std::vector<Memory> one{memory("agent", id, fmt::format("{} is here only", id))};
      ASSERT_TRUE(on_.wait<std::vector<Outcome>>([&]() { return store->upsert_batch(one, {}); }));
    }
  }
  ASSERT_TRUE(tier_.open());
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_EQ(text_of("agent", "7"), "");
  EXPECT_EQ(text_of("agent", "new"), "new is here only");
  EXPECT_EQ(text_of("agent", "stray"), "") << "the old side decides";
  expect_both_the_same();
}

TEST_F(HotMove, EndsWhenTheNewBackendFailsWhileItIsFilled) {
  fill(40);
  tier_.faults->calls_left = 12;  // the probe, then a page or two
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.until([&] { return tier_.phase() == "aborted"; }));
  EXPECT_THAT(tier_.reason(), HasSubstr("told to fail"));
  EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
  EXPECT_EQ(upsert({memory("agent", "after", "goes on")}).front(), Outcome::kStored);
  EXPECT_EQ(erase("agent", "after"), 1U);
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(tier_.phase(), "aborted");
  EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
}

TEST_F(HotMove, EndsCleanlyWhereverTheNewBackendStopsWorking) {
  fill(15);
  for (int calls = 0; calls < 60; calls += 3) {
    tier_.faults->calls_left = -1;
    ASSERT_TRUE(tier_.open());
    tier_.faults->calls_left = calls;
    const auto begun = tier_.begin(true);
    if (!begun) {
      EXPECT_EQ(tier_.store().now()->place, tier_.old_place());
      continue;
    }
    // Nobody sees an error, whatever phase it is in.
    const std::string id = fmt::format("call{}", calls);
    upsert({memory("people", id, "said at call " + id)});
    EXPECT_EQ(erase("agent", fmt::format("none{}", calls)), 0U);
    EXPECT_EQ(text_of("people", id), "said at call " + id);
    ASSERT_TRUE(tier_.until([&] { return tier_.phase() != "copying"; })) << calls;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
    std::ignore = tier_.revert();  // or it has done so itself
    EXPECT_EQ(text_of("people", id), "said at call " + id);
  }
}

TEST_F(HotMove, PutsReadsBackWhenTheNewBackendFailsThem) {
  fill(20);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  upsert({memory("agent", "in the window", "both have it")});
  tier_.faults->reads = true;
  EXPECT_EQ(text_of("agent", "in the window"), "both have it") << "the old side answers at once";
  EXPECT_GT(found(), 0U);
  ASSERT_TRUE(tier_.until([&] { return tier_.phase() == "reverted"; }));
  EXPECT_THAT(tier_.reason(), HasSubstr("told to fail"));
  tier_.faults->reads = false;
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(tier_.store().now()->place, tier_.old_place());
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
}

TEST_F(HotMove, ComesBackIntoStepWhenTheNewBackendWorksAgain) {
  fill(20);
  tier_.failures = 1'000;
  ASSERT_TRUE(tier_.open());
  ASSERT_TRUE(tier_.begin());
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(tier_.reads_new());
    EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
    tier_.faults->writes = true;
    EXPECT_EQ(upsert({memory("people", fmt::format("{}", i), fmt::format("said {}", i))}).front(),
              Outcome::kStored)
        << "the old side has it";
    EXPECT_EQ(text_of("people", fmt::format("{}", i)), fmt::format("said {}", i));
    tier_.faults->writes = false;
  }
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_EQ(tier_.phase(), "window");
  expect_both_the_same();
}

TEST_F(HotMove, SweepsWhatAFailedErasureLeft) {
  fill(20);
  tier_.failures = 1'000;
  ASSERT_TRUE(tier_.open());
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  tier_.faults->erasures = true;
  EXPECT_EQ(erase("agent", "7"), 1U);
  EXPECT_EQ(text_of("agent", "7"), "") << "not from a side that has it still";
  tier_.faults->erasures = false;
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_EQ(text_of("agent", "7"), "");
  expect_both_the_same();
}

TEST_F(HotMove, GoesBackOnRequestWithAllThatWasWrittenMeanwhile) {
  fill(20);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  upsert({memory("agent", "in the window", "both have it")});
  ASSERT_TRUE(tier_.revert());
  EXPECT_EQ(tier_.phase(), "reverted");
  EXPECT_EQ(tier_.reason(), "asked for");
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
  EXPECT_EQ(tier_.revert().error().code, Errc::kConflict);
  EXPECT_EQ(tier_.finish().error().code, Errc::kConflict);
}

TEST_F(HotMove, TakesABackendThatHoldsSomethingOnlyWhenToldTo) {
  fill(20);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  ASSERT_TRUE(tier_.revert());
  erase("agent", "7");
  upsert({memory("agent", "8", "changed since", 100)});
  ASSERT_TRUE(tier_.until([&] {
    const auto again = tier_.begin();
    EXPECT_FALSE(again);
    return !again && again.error().message.contains("holds");
  }));
  ASSERT_TRUE(tier_.begin(true));
  EXPECT_EQ(tier_.begin(true).error().code, Errc::kConflict) << "it moves already";
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_EQ(text_of("agent", "7"), "");
  EXPECT_EQ(text_of("agent", "8"), "changed since");
  expect_both_the_same();
}

TEST_F(HotMove, FinishesByItselfWhenTheWindowEnds) {
  fill(10);
  ASSERT_TRUE(tier_.begin(false, std::chrono::days(28)));
  ASSERT_TRUE(tier_.reads_new());
  clock_.advance(std::chrono::days(27));
  EXPECT_EQ(tier_.phase(), "window");
  clock_.advance(std::chrono::days(2));
  upsert({memory("agent", "wakes it", "and is on both")});
  ASSERT_TRUE(tier_.until([&] { return tier_.phase() == "finished"; }));
  EXPECT_EQ(tier_.store().now()->place, tier_.new_place());
  EXPECT_EQ(text_of("agent", "wakes it"), "and is on both");
}

TEST_F(HotMove, StartsOnTheOldBackendWhereTheNewOneIsAway) {
  fill(10);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  upsert({memory("agent", "in the window", "both have it")});
  tier_.close();
  tier_.cannot_open_new = true;
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(tier_.phase(), "reverted");
  EXPECT_THAT(tier_.reason(), HasSubstr("told not to open"));
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
}

TEST_F(HotMove, StartsOnTheNewBackendWhereTheOldOneIsLost) {
  fill(10);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  upsert({memory("agent", "in the window", "both have it")});
  tier_.close();
  std::filesystem::remove_all(tier_.old_place().path);
  ASSERT_TRUE(tier_.open());
  EXPECT_EQ(tier_.phase(), "finished");
  EXPECT_EQ(text_of("agent", "in the window"), "both have it");
  EXPECT_EQ(text_of("agent", "7"), "agent says number 7");
}

TEST_F(HotMove, ProbesBeforeAnything) {
  fill(5);
  tier_.faults->writes = true;
  const auto refused = tier_.begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("probe"));
  EXPECT_EQ(tier_.phase(), "");
  tier_.cannot_open_new = true;
  EXPECT_FALSE(tier_.begin());
  EXPECT_EQ(text_of("agent", "1"), "agent says number 1");
}

TEST_F(HotMove, IsToldToWhoFollowsTheTier) {
  fill(10);
  const auto feed = feed_of(tier_.store(), {&tier_.store()}, on_.loops());
  const auto place = feed->place();
  ASSERT_TRUE(place);
  ASSERT_TRUE(tier_.begin());
  ASSERT_TRUE(tier_.reads_new());
  EXPECT_TRUE(feed->after(0, 100)) << "in the window the old side's writings are followed";
  EXPECT_EQ(
      feed->present(std::vector<Key>{{"org", "agent", "1"}, {"org", "agent", "none"}}).value(),
      (std::vector<bool>{true, false}));
  ASSERT_TRUE(tier_.finish());
  EXPECT_EQ(feed->after(0, 100).error().code, Errc::kConflict);
  EXPECT_NE(feed->place()->name, place->name);
  EXPECT_EQ(feed->after(0, 100)->rows.size(), 10U);
}

}  // namespace
}  // namespace asahi::memory::swap
