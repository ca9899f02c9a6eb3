// Processes that are killed at any moment, and several that write one chain.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "base/ids.h"
#include "identity/audit/testing/audit_fixture.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::kKey;
using testing::make_entry;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The child: records and appends as fast as it can, and says on its standard output which appends
/// were acknowledged. Runs only as started by the tests below.
TEST(AuditChild, DISABLED_WritesUntilItIsKilled) {
  const std::string url = variable("ASAHI_AUDIT_URL");
  const int limit = std::atoi(variable("ASAHI_AUDIT_COUNT").c_str());
  const std::string name = variable("ASAHI_AUDIT_NAME");
  ASSERT_FALSE(url.empty());
  auto database = sql::open_database({.url = url, .data_dir = variable("ASAHI_AUDIT_DATA")});
  ASSERT_TRUE(database);
  auto log = open_audit_log({.spool_dir = variable("ASAHI_AUDIT_SPOOL"), .head_key = kKey},
                            **database, system_clock());
  ASSERT_TRUE(log);
  net::LoopPool loops{1};
  loops.start();
  for (int i = 0; i < limit; ++i) {
    (*log)->record(make_entry("acme", "record", {{"child", name}, {"n", i}}));
    if (i % 4 != 0) continue;
    auto id = net::run_sync<Result<std::string>>(
        loops.at(0), [&] { return (*log)->append(make_entry("acme", "append")); });
    ASSERT_TRUE(id) << id.error().message;
    const std::string line = *id + "\n";
    // Descriptor 3: standard output belongs to the test framework.
    ASSERT_EQ(::write(3, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  ASSERT_TRUE((*log)->flush(60s));
  log->reset();
  database->reset();
}

class AuditCrash : public testing::AuditFixture {
 protected:
  struct Child {
    pid_t process = 0;
    int acknowledged = -1;  ///< descriptor to read entry ids from
  };

  void SetUp() override {
    AuditFixture::SetUp();
    log_.reset();
  }

  Child start(const std::string& name, int count) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const std::vector<std::string> environment = {"ASAHI_AUDIT_URL=" + place_->options().url,
                                                  "ASAHI_AUDIT_DATA=" + place_->options().data_dir,
                                                  "ASAHI_AUDIT_SPOOL=" + spool_.path(),
                                                  "ASAHI_AUDIT_NAME=" + name,
                                                  "ASAHI_AUDIT_COUNT=" + std::to_string(count),
                                                  "PATH=" + variable("PATH"),
                                                  "ASAN_OPTIONS=" + variable("ASAN_OPTIONS")};
    std::vector<char*> variables;
    for (const auto& text : environment) variables.push_back(const_cast<char*>(text.c_str()));
    variables.push_back(nullptr);
    char program[] = "/proc/self/exe";
    char filter[] = "--gtest_filter=AuditChild.*";
    char disabled[] = "--gtest_also_run_disabled_tests";
    char brief[] = "--gtest_brief=1";
    char* arguments[] = {program, filter, disabled, brief, nullptr};
    Child child;
    child.process = ::fork();
    if (child.process == 0) {
      // Between fork and exec only what is safe in a process that had threads.
      if (::dup2(ends[1], 3) < 0) ::_exit(126);
      if (ends[1] == 3) ::fcntl(3, F_SETFD, 0);
      ::execve(program, arguments, variables.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    child.acknowledged = ends[0];
    return child;
  }
  static void wait_for_first(const Child& child) {
    pollfd ready{.fd = child.acknowledged, .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ready, 1, 30'000), 1);
  }
  static std::vector<std::string> acknowledged(const Child& child) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(child.acknowledged, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(child.acknowledged);
    std::vector<std::string> ids;
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      ids.push_back(text.substr(at, end - at));
    }
    return ids;
  }
  std::unique_ptr<AuditLog> reopen() {
    auto opened = open_audit_log({.spool_dir = spool_.path(), .head_key = kKey}, *db_, clock_);
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  void expect_whole() {
    const auto checked = verify_audit_chain(*db_, kKey, "acme");
    ASSERT_TRUE(checked) << checked.error().message;
    ASSERT_TRUE(checked->valid) << checked->problem << " at " << checked->first_bad_entry;
  }
};

TEST_P(AuditCrash, EveryAcknowledgedEntryIsThereAndTheChainVerifies) {
  const int rounds = variable("ASAHI_LONG_TESTS") == "1" ? 200 : 30;
  std::mt19937 random(static_cast<unsigned>(random_u64()));
  std::size_t kept = 0;
  for (int round = 0; round < rounds; ++round) {
    const Child child = start(std::to_string(round), 1'000'000);
    // From before it has opened anything (some rounds) to some hundred entries.
    if (random() % 4 != 0) wait_for_first(child);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 200));
    ASSERT_EQ(::kill(child.process, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child.process, &status, 0), child.process);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    const auto ids = acknowledged(child);
    kept += ids.size();
    {
      auto log = reopen();
      ASSERT_TRUE(log->flush(30s));
    }
    ASSERT_NO_FATAL_FAILURE(expect_whole());
    const auto rows = sql("SELECT entry_id FROM audit_entries WHERE action = 'append'");
    std::set<std::string> stored;
    for (std::size_t i = 0; i < rows.size(); ++i) stored.insert(rows.text(i, "entry_id"));
    for (const auto& id : ids) ASSERT_TRUE(stored.contains(id)) << "round " << round;
    // Records may end early, but none is lost in between, doubled or out of order.
    const auto records =
        sql("SELECT details FROM audit_entries WHERE action = 'record'"
            " ORDER BY seq");
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < records.size(); ++i) {
      const auto details = parse_json(records.text(i, "details"));
      ASSERT_TRUE(details);
      if (details->at("child").as_string() != std::to_string(round)) continue;
      ASSERT_EQ(details->at("n").as_int64(), expected);
      ++expected;
    }
  }
  RecordProperty("acknowledged", static_cast<int>(kept));
  EXPECT_GT(kept, 0);
}

TEST_P(AuditCrash, SeveralProcessesWriteOneChain) {
  constexpr int kProcesses = 3;
  constexpr int kEach = 400;
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(start(std::to_string(i), kEach));
  for (const auto& child : children) {
    acknowledged(child);
    int status = 0;
    ASSERT_EQ(::waitpid(child.process, &status, 0), child.process);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  expect_whole();
  const auto rows = sql("SELECT count(*) AS n, max(seq) AS last FROM audit_entries");
  EXPECT_EQ(rows.integer(0, "n"), kProcesses * (kEach + kEach / 4));
  EXPECT_EQ(rows.integer(0, "last"), rows.integer(0, "n"));
}

INSTANTIATE_TEST_SUITE_P(Engines, AuditCrash,
                         ::testing::Values(sql::testing::Engine::kSqliteFile,
                                           sql::testing::Engine::kPostgres),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
