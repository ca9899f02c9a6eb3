#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log_observer.h"

namespace asahi {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// The sink's output end is a pipe, so that a test can also refuse to read.
class LogTest : public testing::Test {
 protected:
  LogTest() {
    if (::pipe(pipe_.data()) != 0) std::abort();
  }
  ~LogTest() override {
    configure_logging({});  // flushes, and lets go of our descriptor
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  void configure(LogOptions options) {
    options.descriptor = pipe_[1];
    configure_logging(options);
  }
  std::string output() {
    flush_logging();
    return read_what_is_there();
  }
  std::string read_what_is_there() {
    ::fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
    std::string text;
    std::array<char, 4096> part;
    for (ssize_t n; (n = ::read(pipe_[0], part.data(), part.size())) > 0;)
      text.append(part.data(), std::size_t(n));
    return text;
  }
  json::object only_line() {
    const std::string text = output();
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    auto value = parse_json(text);
    EXPECT_TRUE(value) << text;
    return value ? value->as_object() : json::object{};
  }

  std::array<int, 2> pipe_{};
  Logger log_{"gateway"};
};

TEST_F(LogTest, WritesOneJsonObjectPerLineWithTypedFields) {
  configure({});
  log_.warning(
      "slow",
      {{"request_id", "req_1"}, {"ms", 12}, {"ratio", 0.5}, {"cached", true}, {"nan", NAN}});
  const json::object line = only_line();
  std::vector<std::string> keys;
  for (const auto& member : line) keys.emplace_back(member.key());
  EXPECT_THAT(keys, testing::ElementsAre("timestamp", "level", "logger", "message", "request_id",
                                         "ms", "ratio", "cached", "nan"));
  EXPECT_TRUE(parse_rfc3339(line.at("timestamp").as_string()));
  EXPECT_EQ(line.at("level"), "WARNING");
  EXPECT_EQ(line.at("logger"), "gateway");
  EXPECT_EQ(line.at("message"), "slow");
  EXPECT_EQ(line.at("ms"), 12);
  EXPECT_EQ(line.at("cached"), true);
  EXPECT_TRUE(line.at("nan").is_null());
}

TEST_F(LogTest, CannotBeMadeToForgeALine) {
  configure({});
  log_.info("a\n{\"level\":\"ERROR\"}\xff\xc0\x80", {{"key\"", "\x01\xed\xa0\x80"}});
  EXPECT_EQ(only_line().at("message"), "a\n{\"level\":\"ERROR\"}\uFFFD\uFFFD\uFFFD");
  configure({.format = LogFormat::kText});
  log_.info("first\nsecond", {{"path", "a b\r\nc"}});
  const std::string text = output();
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
  EXPECT_THAT(text, HasSubstr(R"(INFO     gateway: "first\nsecond" path="a b\r\nc")"));
}

TEST_F(LogTest, CutsWhatIsTooLong) {
  configure({});
  log_.info(std::string(100'000, 'x'));
  const json::object line = only_line();
  EXPECT_LT(line.at("message").as_string().size(), 17'000u);
  EXPECT_THAT(std::string(line.at("message").as_string()), HasSubstr("bytes cut"));
}

TEST_F(LogTest, ChangesItsLevelAtRunTime) {
  configure({.level = LogLevel::kWarning});
  log_.info("hidden");
  EXPECT_FALSE(log_.enabled(LogLevel::kInfo));
  set_log_level(LogLevel::kDebug);
  log_.debug("shown");
  EXPECT_EQ(only_line().at("message"), "shown");
}

TEST_F(LogTest, DropsAndReportsWhatASlowOutputCannotTakeWithoutBlocking) {
  configure({.queue_lines = 16});
  const std::uint64_t before = dropped_log_lines();
  const std::string big(8'000, 'x');
  for (int i = 0; i < 200; ++i) log_.info(big);  // a pipe holds 64 KiB; nobody reads
  EXPECT_GT(dropped_log_lines(), before + 100);
  std::string all;
  // Reading makes room; the writer's next batch carries the report.
  std::thread reader([&] {
    std::array<char, 65'536> part;
    for (ssize_t n; (n = ::read(pipe_[0], part.data(), part.size())) > 0;) {
      all.append(part.data(), std::size_t(n));
      if (all.ends_with("\"last\"}\n")) return;
    }
  });
  flush_logging();
  log_.info("last");
  reader.join();
  EXPECT_THAT(all, HasSubstr("log lines were dropped"));
  EXPECT_THAT(all, HasSubstr("\"dropped\":"));
}

TEST_F(LogTest, KeepsEveryLineOfManyThreadsWhole) {
  configure({.queue_lines = 100'000});
  std::string all;
  std::thread reader([&] {
    std::array<char, 65'536> part;
    for (ssize_t n; (n = ::read(pipe_[0], part.data(), part.size())) > 0;) {
      all.append(part.data(), std::size_t(n));
      if (all.ends_with("\"the end\"}\n")) return;
    }
  });
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < 4; ++t) {
      writers.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i) log_.info("line", {{"thread", t}, {"i", i}});
      });
    }
  }
  log_.info("the end");
  reader.join();
  std::size_t lines = 0;
  for (std::size_t at = 0; at < all.size(); ++lines) {
    const std::size_t end = all.find('\n', at);
    EXPECT_TRUE(parse_json(std::string_view(all).substr(at, end - at)));
    at = end + 1;
  }
  EXPECT_EQ(lines, 2'001u);
}

TEST_F(LogTest, CountsLinesOfAClosedOutputInsteadOfDying) {
  configure({});
  ::close(std::exchange(pipe_[0], ::open("/dev/null", O_RDONLY)));
  const std::uint64_t before = dropped_log_lines();
  log_.info("into the void");
  flush_logging();
  EXPECT_EQ(dropped_log_lines(), before + 1);
}

TEST_F(LogTest, GoesToStderrAsTextUntilConfigured) {
  configure({});
  std::array<int, 2> errors{};
  ASSERT_EQ(::pipe(errors.data()), 0);
  const pid_t child = ::fork();  // a child starts unconfigured
  if (child == 0) {
    ::dup2(errors[1], STDERR_FILENO);
    log_.error("early", {{"why", "bad config"}});
    flush_logging();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::array<char, 256> text{};
  ASSERT_GT(::read(errors[0], text.data(), text.size() - 1), 0);
  EXPECT_THAT(text.data(), HasSubstr("ERROR    gateway: early why=\"bad config\"\n"));
  ::close(errors[0]);
  ::close(errors[1]);
  EXPECT_EQ(output(), "");
}

TEST(RateLimited, LetsOneThroughPerIntervalAndCountsTheRest) {
  ManualClock clock;
  RateLimited limit(10s);
  EXPECT_EQ(limit.pass(clock.steady_now()), 0u);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.pass(clock.steady_now()));
  clock.advance(9'999ms);
  EXPECT_FALSE(limit.pass(clock.steady_now()));
  clock.advance(1ms);
  EXPECT_EQ(limit.pass(clock.steady_now()), 4u);
  clock.advance(10s);
  EXPECT_EQ(limit.pass(clock.steady_now()), 0u);
}

TEST_F(LogTest, ShowsLinesToAnObserverWhateverIsLogged) {
  configure({.level = LogLevel::kCritical});
  std::vector<std::string> seen;
  observe_log(LogLevel::kError, [&](LogLevel, std::string_view logger, std::string_view message,
                                    std::span<const LogField> fields) {
    seen.push_back(std::string(logger) + "|" + std::string(message) + "|" +
                   std::string(fields.front().key));
    log_.error("what it logs itself", {{"a", 1}});
  });
  log_.warning("not bad enough", {{"a", 1}});
  log_.error("bad", {{"error", "x"}});
  observe_log(LogLevel::kError, {});
  log_.error("nobody looks", {{"a", 1}});
  EXPECT_THAT(seen, testing::ElementsAre("gateway|bad|error"));
  EXPECT_EQ(output(), "") << "below the level of the log";
}

}  // namespace
}  // namespace asahi
