// The hot tier beside plain maps: random changes, starts in between, and the process killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <fstream>
#include <thread>

#include "base/hash.h"
#include "memory/hot/engine.h"
#include "memory/hot/testing/oracle.h"
#include "memory/testing/killed_child.h"

namespace asahi::memory::hot {
namespace {

using namespace hot_testing;  // NOLINT: all of it is for these tests

/// How many keys the folder's files may be written with, and the last of them is the one of now; in
/// a file beside it, so that a child knows. 0: in the clear.
std::string keys_file(const std::string& folder) { return folder + ".keys"; }

std::unique_ptr<Engine> open_small(const std::string& folder) {
  EngineOptions options = small_engine(folder);
  int keys = 0;
  if (std::ifstream(keys_file(folder)) >> keys && keys > 0) {
    options.log.key = sha256("key " + std::to_string(keys));
    for (int i = 1; i < keys; ++i)
      options.log.previous_keys.push_back(sha256("key " + std::to_string(i)));
  }
  auto engine = Engine::open(options);
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

/// The step's answer; ageing is two calls.
Result<void> run_step(Engine& engine, const Step& step) {
  const auto plain = [](const auto& result) -> Result<void> {
    if (!result) return std::unexpected(result.error());
    return {};
  };
  switch (step.kind) {
    case Step::Kind::kUpsert:
      return plain(upsert(engine, step.memories));
    case Step::Kind::kErase:
      return plain(erase(engine, step.keys));
    case Step::Kind::kEraseSystem:
      return plain(erase_system(engine, step.system));
    case Step::Kind::kAge: {
      ASAHI_TRY(const auto rows, eligible(engine, seconds(1'000'000'000), step.count));
      std::vector<std::pair<Key, Digest>> sums;
      for (const Eligible& row : rows) sums.emplace_back(row.memory.key, row.checksum);
      return plain(erase_migrated(engine, sums));
    }
  }
  return {};
}

void search_agrees(const Engine& engine, Oracle& oracle, std::uint64_t number) {
  if (oracle.rows().empty()) return;
  const auto& rows = oracle.rows();
  const Memory& wanted =
      std::next(rows.begin(), static_cast<std::ptrdiff_t>(number % rows.size()))->second.memory;
  StoreQuery query;
  query.tenant = "acme";
  query.text = wanted.content;
  query.mode = SearchMode::kKeyword;
  const auto by_words = engine.search(query);
  ASSERT_TRUE(by_words);
  ASSERT_FALSE(by_words->hits.empty()) << wanted.content;
  ASSERT_EQ(by_words->hits[0].text, wanted.content);
  query.mode = SearchMode::kSemantic;
  query.embedding = wanted.embedding;
  query.embedding_model = "m";
  const auto by_vector = engine.search(query);
  ASSERT_TRUE(by_vector);
  ASSERT_FALSE(by_vector->hits.empty());
  ASSERT_EQ(by_vector->hits[0].text, wanted.content);
}

TEST(HotTierModel, AgreesWithPlainMapsThroughRandomChangesAndStarts) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const TemporaryFolder folder;
    Oracle oracle;
    auto engine = open_small(folder.path());
    for (std::uint64_t number = 0; number < 400; ++number) {
      const Step step = any_step(seed, number);
      if (step.kind == Step::Kind::kUpsert) {
        const auto outcomes = upsert(*engine, step.memories);
        ASSERT_TRUE(outcomes);
        for (std::size_t i = 0; i < step.memories.size(); ++i) {
          ASSERT_EQ((*outcomes)[i], oracle.upsert(step.memories[i])) << number << " " << i;
        }
      } else if (step.kind == Step::Kind::kErase) {
        ASSERT_EQ(erase(*engine, step.keys), oracle.erase(step.keys)) << number;
      } else {
        ASSERT_TRUE(run_step(*engine, step));
        oracle.apply(step);
      }
      ASSERT_EQ(oracle.difference(*engine), "") << "seed " << seed << " step " << number;
      search_agrees(*engine, oracle, number);
      if (number % 2 == 0) continue;
      engine.reset();
      engine = open_small(folder.path());
      ASSERT_EQ(oracle.difference(*engine), "") << "after a start, seed " << seed << " " << number;
    }
    engine->wait_until_compact();
    EXPECT_GT(engine->engine_stats().opened.records, 0U);
  }
}

TEST(HotTierModel, AgreesAfterAnyWriteThatTheDiskRefused) {
  class Unreliable final : public Disk {
   public:
    bool write_at(int file, std::string_view bytes, std::uint64_t offset) override {
      if (random() % 4 != 0) return Disk::write_at(file, bytes, offset);
      Disk::write_at(file, bytes.substr(0, random() % bytes.size()), offset);
      errno = ENOSPC;
      return false;
    }
    std::uint64_t random() {
      const std::lock_guard lock(mutex_);
      return engine_();
    }

   private:
    std::mutex mutex_;
    std::mt19937_64 engine_{7};
  };
  const TemporaryFolder folder;
  Unreliable disk;
  EngineOptions options = small_engine(folder.path());
  options.log.disk = &disk;
  Oracle oracle;
  std::size_t refused = 0;
  std::unique_ptr<Engine> engine;
  for (std::uint64_t number = 0; number < 500; ++number) {
    while (engine == nullptr) {
      if (auto opened = Engine::open(options)) engine = std::move(*opened);
    }
    const Step step = any_step(11, number);
    if (step.kind == Step::Kind::kAge) continue;  // half of it may be done
    if (run_step(*engine, step)) {
      oracle.apply(step);
    } else {
      ++refused;
    }
    ASSERT_EQ(oracle.difference(*engine), "") << number;
    if (number % 10 == 9) engine.reset();
  }
  EXPECT_GT(refused, 50U);
}

// ---- The process killed -------------------------------------------------------------------------

/// What the child tells: 'i' when it asks for a step, 'a' when the store acknowledged it.

/// Runs steps, up to four at once, until it is killed. Started by the test below.
TEST(HotTierCrash, DISABLED_Child) {
  const auto child = testing::DoomedChild::here();
  if (!child) GTEST_SKIP() << "only as a child";
  const auto engine = open_small(child->folder());
  if (engine == nullptr) ::_exit(2);
  child->ready();
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  const auto wait_below = [&](std::size_t most) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return under_way < most; });
  };
  const auto ended = [&](std::uint64_t number, bool well) {
    if (!well) ::_exit(3);
    child->acknowledges(number);
    const std::lock_guard lock(mutex);
    --under_way;
    changed.notify_all();
  };
  for (std::uint64_t number = child->from();; ++number) {
    Step step = any_step(5, number);
    wait_below(step.kind == Step::Kind::kAge ? 1 : 4);
    child->asks(number);
    if (step.kind == Step::Kind::kAge) {
      if (!run_step(*engine, step)) ::_exit(4);
      child->acknowledges(number);
      continue;
    }
    {
      const std::lock_guard lock(mutex);
      ++under_way;
    }
    const auto done = [&, number](const auto& answer) { ended(number, answer.has_value()); };
    if (step.kind == Step::Kind::kUpsert) engine->upsert(std::move(step.memories), {}, done);
    if (step.kind == Step::Kind::kErase) engine->erase(std::move(step.keys), done);
    if (step.kind == Step::Kind::kEraseSystem) engine->erase_system("acme", step.system, done);
  }
}

/// `exchanged`: how many kills a key serves, the clear before the first included; 0: never a key.
void survive_kills(int kills, int exchanged) {
  const TemporaryFolder folder;
  struct KeysFile {
    const std::string path;
    ~KeysFile() { std::remove(path.c_str()); }
  } const keys{keys_file(folder.path())};
  std::mt19937_64 random(99);
  Oracle oracle;
  std::uint64_t next = 0, torn = 0;
  for (int kill = 0; kill < kills; ++kill) {
    if (exchanged > 0) std::ofstream(keys.path) << kill / exchanged;
    // From its start on, sometimes before it is ready.
    const bool wait_ready = random() % 8 != 0;
    const auto child =
        testing::kill_child("HotTierCrash.DISABLED_Child", folder.path(), next, wait_ready,
                            std::chrono::microseconds(random() % 60'000));
    ASSERT_TRUE(child) << "kill " << kill;
    const std::uint64_t asked = child->asked, acknowledged = child->acknowledged;
    for (; next < acknowledged; ++next) oracle.apply(any_step(5, next));
    // What was asked for and not acknowledged may be there, in the order in which it was asked.
    const auto engine = open_small(folder.path());
    ASSERT_TRUE(engine) << "kill " << kill;
    torn += engine->engine_stats().opened.torn_bytes > 0 ? 1 : 0;
    std::string difference = oracle.difference(*engine);
    while (!difference.empty() && next < asked) {
      oracle.apply(any_step(5, next++));
      difference = oracle.difference(*engine);
    }
    ASSERT_EQ(difference, "") << "kill " << kill << ", acknowledged " << acknowledged << ", asked "
                              << asked;
    next = asked;
    // From a checkpoint that may be older than the log, or cut where the process ended.
    if (kill % 4 == 0) search_agrees(*engine, oracle, random());
    if (kill % 16 == 0) engine->wait_until_compact();
  }
  ::testing::Test::RecordProperty("steps", std::to_string(next));
  ::testing::Test::RecordProperty("torn_tails", std::to_string(torn));
  EXPECT_GT(next, static_cast<std::uint64_t>(kills));
}

TEST(HotTierCrash, LosesNothingAcknowledgedAndBringsNothingBack) {
  survive_kills(testing::kills(), 0);
}

TEST(HotTierCrash, NorWhileFilesAreEncryptedAnewUnderKeysThatChange) {
  survive_kills(std::max(12, testing::kills() / 4), 3);
}

}  // namespace
}  // namespace asahi::memory::hot
