// The hot tier goes from one backend to the other and back, in a process that is killed at any
// moment: what was acknowledged is there, as it was said last, and what was erased stays away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "memory/hot/testing/samples.h"
#include "memory/swap/testing/moving_tier.h"
#include "memory/testing/killed_child.h"
#include "storage/columnar/private_folder.h"

namespace asahi::memory::swap {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBatch = 4;  ///< memories of a step

Clock::Time now() { return parse_rfc3339("2026-11-22T10:00:00Z").value(); }

/// A step of the story, which its number alone decides.
struct Step {
  std::vector<Memory> memories;
  std::vector<Key> keys;  ///< to be erased
};

Memory told_at(std::uint64_t number, std::size_t place, std::uint64_t version) {
  Memory out;
  out.key = {"acme", "agent", fmt::format("{}-{}", number, place)};
  // Now and then two say the same.
  out.content = place == 3 ? fmt::format("what {} people say", (number + version) % 7)
                           : fmt::format("{} in its version {}", out.key.conversation_id, version);
  out.content_hash = sha256(out.content);
  out.embedding = hot_testing::direction(number * 64 + place + version, 3);
  out.embedding_model = "m";
  out.timestamp = out.uploaded_at = now() + std::chrono::seconds(version);
  return out;
}

Step step_at(std::uint64_t number) {
  std::mt19937_64 random(number);
  Step out;
  const auto choice = random() % 100;
  const std::uint64_t back = 1 + random() % 60;
  if (choice < 50 || back > number) {
    for (std::size_t i = 0; i < kBatch; ++i) out.memories.push_back(told_at(number, i, 0));
  } else if (choice < 65) {
    out.memories.push_back(told_at(number - back, random() % kBatch, number));
  } else {
    for (std::size_t i = 0; i < kBatch; ++i) out.keys.push_back(told_at(number - back, i, 0).key);
  }
  return out;
}

/// The tier of a process, with its record in a file.
struct Process {
  explicit Process(const std::string& folder)
      : database(sql::open_database({.url = "sqlite:///moves.db", .data_dir = folder}).value()) {
    EXPECT_TRUE(sql::Migrator(*database, migrations()).upgrade());
    tier.emplace(on, *database, clock, folder);
  }
  ManualClock clock{now()};
  memory::testing::OnLoop on;
  std::unique_ptr<sql::Database> database;
  std::optional<testing::MovingTier> tier;
};

/// Runs steps, and moves the tier to and fro beside them, until it is killed.
TEST(HotMoveCrash, DISABLED_Child) {
  const auto child = memory::testing::DoomedChild::here();
  if (!child) GTEST_SKIP() << "only as a child";
  Process process(child->folder());
  testing::MovingTier& tier = *process.tier;
  if (!tier.open()) ::_exit(2);
  child->ready();
  std::jthread mover([&] {
    for (std::uint64_t round = 0;; ++round) {
      const std::string phase = tier.phase();
      if (phase == "window" && tier.store().reads_next()) {
        if (round % 4 == 3) {
          std::ignore = tier.revert();
        } else if (tier.finish()) {
          child->moved(1);
        }
      } else if (phase != "copying" && phase != "window") {
        std::ignore = tier.begin(true);
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  for (std::uint64_t number = child->from();; ++number) {
    child->asks(number);
    Step step = step_at(number);
    if (!step.memories.empty()) {
      const auto done = process.on.wait<std::vector<UpsertOutcome>>(
          [&]() { return tier.store().upsert_batch(step.memories, {}); });
      if (!done) ::_exit(3);
    } else {
      const auto done =
          process.on.wait<std::uint64_t>([&]() { return tier.store().delete_batch(step.keys); });
      if (!done) ::_exit(4);
    }
    child->acknowledges(number);
  }
}

/// What a key may say; an empty text: it is not there.
using Possible = std::map<Key, std::set<std::string>>;

void apply(Possible& possible, const Step& step, bool certain) {
  const auto becomes = [&](const Key& key, const std::string& text) {
    auto& texts = possible[key];
    if (texts.empty()) texts.insert("");
    if (certain) texts.clear();
    texts.insert(text);
  };
  for (const Memory& memory : step.memories) becomes(memory.key, memory.content);
  for (const Key& key : step.keys) becomes(key, "");
}

/// Asks for all keys, and holds what is told against what may be; from now on it is that.
void settle(Process& process, Possible& possible, const std::string& when) {
  std::vector<Key> keys;
  for (const auto& [key, texts] : possible) keys.push_back(key);
  const auto there = process.on.wait<std::vector<std::optional<Memory>>>(
      [&]() { return process.tier->store().get(keys); });
  ASSERT_TRUE(there) << there.error().message;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& texts = possible[keys[i]];
    const std::string text = (*there)[i] ? (*there)[i]->content : "";
    ASSERT_TRUE(texts.contains(text)) << when << ": " << keys[i].conversation_id << " says '"
                                      << text << "', not '" << *texts.begin() << "'";
    texts = {text};
  }
}

TEST(HotMoveCrash, NothingIsLostNothingComesBack) {
  const int kills = memory::testing::kills() / 8;
  std::error_code none;
  const bool shared_memory = std::filesystem::is_directory("/dev/shm", none);
  const auto folder = columnar::PrivateFolder::make(shared_memory ? "/dev/shm" : "").value();
  std::mt19937_64 random(23);
  Possible possible;
  std::uint64_t next = 0, moves = 0;
  for (int kill = 0; kill < kills; ++kill) {
    const auto child =
        memory::testing::kill_child("HotMoveCrash.DISABLED_Child", folder.path(), next, true,
                                    std::chrono::microseconds(random() % 150'000));
    ASSERT_TRUE(child) << "kill " << kill;
    moves += child->moved;
    const std::uint64_t asked = child->asked, acknowledged = child->acknowledged;
    for (; next < acknowledged; ++next) apply(possible, step_at(next), true);
    for (; next < asked; ++next) apply(possible, step_at(next), false);
    Process process(folder.path());
    ASSERT_TRUE(process.tier->open());
    settle(process, possible, fmt::format("kill {} at the start", kill));
    if (::testing::Test::HasFatalFailure()) return;
    if (kill % 3 != 0) continue;  // killed again before it has come into step
    if (process.tier->phase() != "copying" && process.tier->phase() != "window")
      ASSERT_TRUE(process.tier->begin(true)) << "kill " << kill;
    ASSERT_TRUE(process.tier->until([&] {
      return process.tier->store().reads_next() || process.tier->phase() == "aborted";
    })) << process.tier->reason();
    EXPECT_NE(process.tier->phase(), "aborted") << process.tier->reason();
    settle(process, possible, fmt::format("kill {} in phase {}", kill, process.tier->phase()));
    if (::testing::Test::HasFatalFailure()) return;
    if (kill % 2 == 0) {
      const auto done = process.tier->finish();
      ASSERT_TRUE(done) << done.error().message;
      ++moves;
    } else {
      ASSERT_TRUE(process.tier->revert());
    }
    settle(process, possible, fmt::format("kill {} after the end", kill));
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(next, static_cast<std::uint64_t>(kills));
  EXPECT_GT(moves, 0U);
  RecordProperty("steps", std::to_string(next));
  RecordProperty("moves", std::to_string(moves));
}

}  // namespace
}  // namespace asahi::memory::swap
