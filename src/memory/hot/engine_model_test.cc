// The hot tier beside plain maps: random changes, starts in between, and the process killed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <deque>
#include <thread>

#include "memory/hot/engine.h"
#include "memory/hot/testing/oracle.h"

namespace asahi::memory::hot {
namespace {

using namespace hot_testing;  // NOLINT: all of it is for these tests

std::unique_ptr<Engine> open_small(const std::string& folder) {
  auto engine = Engine::open(small_engine(folder));
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
struct Told {
  char what;
  std::uint64_t number;
};

/// Runs steps, up to four at once, until it is killed. Started by the test below.
TEST(HotTierCrash, DISABLED_Child) {
  const char* const folder = std::getenv("ASAHI_HOT_CRASH_FOLDER");
  const char* const from = std::getenv("ASAHI_HOT_CRASH_FROM");
  const char* const pipe = std::getenv("ASAHI_HOT_CRASH_PIPE");
  if (folder == nullptr || from == nullptr || pipe == nullptr) GTEST_SKIP() << "only as a child";
  const int out = std::atoi(pipe);
  const auto tell = [out](char what, std::uint64_t number) {
    const Told told{what, number};
    if (::write(out, &told, sizeof(told)) != sizeof(told)) ::_exit(1);
  };
  const auto engine = open_small(folder);
  if (engine == nullptr) ::_exit(2);
  tell('r', 0);
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  const auto wait_below = [&](std::size_t most) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return under_way < most; });
  };
  const auto ended = [&](std::uint64_t number, bool well) {
    if (!well) ::_exit(3);
    tell('a', number);
    const std::lock_guard lock(mutex);
    --under_way;
    changed.notify_all();
  };
  for (std::uint64_t number = std::strtoull(from, nullptr, 10);; ++number) {
    Step step = any_step(5, number);
    wait_below(step.kind == Step::Kind::kAge ? 1 : 4);
    tell('i', number);
    if (step.kind == Step::Kind::kAge) {
      if (!run_step(*engine, step)) ::_exit(4);
      tell('a', number);
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

pid_t start_child(const std::string& folder, std::uint64_t from, int out) {
  std::vector<std::string> environment;
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  environment.push_back("ASAHI_HOT_CRASH_FOLDER=" + folder);
  environment.push_back("ASAHI_HOT_CRASH_FROM=" + std::to_string(from));
  environment.push_back("ASAHI_HOT_CRASH_PIPE=" + std::to_string(out));
  std::vector<char*> variables;
  for (std::string& each : environment) variables.push_back(each.data());
  variables.push_back(nullptr);
  std::string name = "memory_test", filter = "--gtest_filter=HotTierCrash.DISABLED_Child",
              disabled = "--gtest_also_run_disabled_tests", quiet = "--gtest_brief=1";
  char* const arguments[] = {name.data(), filter.data(), disabled.data(), quiet.data(), nullptr};
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(null, 1);
    ::execve("/proc/self/exe", arguments, variables.data());
    ::_exit(127);
  }
  ::close(null);
  return child;
}

/// 200 kills; ASAHI_LONG_TESTS=1: 1,000.
TEST(HotTierCrash, LosesNothingAcknowledgedAndBringsNothingBack) {
  const char* const long_form = std::getenv("ASAHI_LONG_TESTS");
  const int kills = long_form != nullptr && *long_form == '1' ? 1000 : 200;
  const TemporaryFolder folder;
  std::mt19937_64 random(99);
  Oracle oracle;
  std::uint64_t next = 0, torn = 0;
  for (int kill = 0; kill < kills; ++kill) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, 0), 0);
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    const pid_t child = start_child(folder.path(), next, ends[1]);
    ASSERT_GT(child, 0);
    ::close(ends[1]);
    Told told{};
    // From its start on, sometimes before it is ready.
    if (random() % 8 != 0) {
      ASSERT_EQ(::read(ends[0], &told, sizeof(told)), static_cast<ssize_t>(sizeof(told)));
      ASSERT_EQ(told.what, 'r');
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    std::uint64_t asked = next, acknowledged = next;
    while (::read(ends[0], &told, sizeof(told)) == static_cast<ssize_t>(sizeof(told))) {
      if (told.what == 'i') asked = told.number + 1;
      if (told.what == 'a') acknowledged = told.number + 1;
    }
    ::close(ends[0]);
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
  RecordProperty("steps", std::to_string(next));
  RecordProperty("torn_tails", std::to_string(torn));
  EXPECT_GT(next, static_cast<std::uint64_t>(kills));
}

}  // namespace
}  // namespace asahi::memory::hot
