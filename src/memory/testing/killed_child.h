#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace asahi::memory::testing {

/// What a child that will be killed was told, and how it tells what it does. A child is this test
/// program again, running one disabled test.
class DoomedChild {
 public:
  /// Nothing where the test was not started by `kill_child`.
  static std::optional<DoomedChild> here() {
    const char* const folder = std::getenv("ASAHI_CRASH_FOLDER");
    const char* const from = std::getenv("ASAHI_CRASH_FROM");
    const char* const pipe = std::getenv("ASAHI_CRASH_PIPE");
    if (folder == nullptr || from == nullptr || pipe == nullptr) return std::nullopt;
    return DoomedChild(folder, std::strtoull(from, nullptr, 10), std::atoi(pipe));
  }

  const std::string& folder() const { return folder_; }
  /// The first step to run.
  std::uint64_t from() const { return from_; }

  struct Told {
    char what;
    std::uint64_t number;
  };
  void ready() const { tell('r', 0); }
  /// A step is about to begin.
  void asks(std::uint64_t step) const { tell('i', step); }
  /// It is acknowledged: it must survive.
  void acknowledges(std::uint64_t step) const { tell('a', step); }
  void moved(std::uint64_t rows) const { tell('m', rows); }

 private:
  DoomedChild(std::string folder, std::uint64_t from, int out)
      : folder_(std::move(folder)), from_(from), out_(out) {}
  void tell(char what, std::uint64_t number) const {
    const Told told{what, number};
    if (::write(out_, &told, sizeof(told)) != sizeof(told)) ::_exit(1);
  }

  std::string folder_;
  std::uint64_t from_;
  int out_;
};

/// What a child had told when it was killed.
struct KilledChild {
  std::uint64_t asked;         ///< one past the last step that began
  std::uint64_t acknowledged;  ///< one past the last step that was acknowledged
  std::uint64_t moved = 0;     ///< rows
};

/// How often a crash test kills: 200 times, 1,000 with ASAHI_LONG_TESTS=1.
inline int kills() {
  const char* const long_form = std::getenv("ASAHI_LONG_TESTS");
  return long_form != nullptr && *long_form == '1' ? 1'000 : 200;
}

/// Starts the disabled test `name` ("Suite.DISABLED_Child") in a process of its own over `folder`
/// and kills it after `pause`: counted from when it is ready or, without `wait_ready`, from its
/// start. Nothing, and a failure of the test that calls, where it ended by itself.
inline std::optional<KilledChild> kill_child(const std::string& name, const std::string& folder,
                                             std::uint64_t from, bool wait_ready,
                                             std::chrono::microseconds pause) {
  const auto failed = [](const std::string& why) -> std::optional<KilledChild> {
    ADD_FAILURE() << why;
    return std::nullopt;
  };
  int ends[2];
  if (::pipe2(ends, 0) != 0) return failed("no pipe");
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  std::vector<std::string> environment;
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  environment.push_back("ASAHI_CRASH_FOLDER=" + folder);
  environment.push_back("ASAHI_CRASH_FROM=" + std::to_string(from));
  environment.push_back("ASAHI_CRASH_PIPE=" + std::to_string(ends[1]));
  std::vector<char*> variables;
  for (std::string& each : environment) variables.push_back(each.data());
  variables.push_back(nullptr);
  std::string program = "memory_test", filter = "--gtest_filter=" + name,
              disabled = "--gtest_also_run_disabled_tests", quiet = "--gtest_brief=1";
  char* const arguments[] = {program.data(), filter.data(), disabled.data(), quiet.data(), nullptr};
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(null, 1);
    ::execve("/proc/self/exe", arguments, variables.data());
    ::_exit(127);
  }
  ::close(null);
  ::close(ends[1]);
  DoomedChild::Told told{};
  const auto next = [&] { return ::read(ends[0], &told, sizeof(told)) == sizeof(told); };
  const bool ready = child > 0 && (!wait_ready || (next() && told.what == 'r'));
  if (ready) std::this_thread::sleep_for(pause);
  int status = 0;
  if (child > 0) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  KilledChild report{from, from};
  while (next()) {
    if (told.what == 'i') report.asked = told.number + 1;
    if (told.what == 'a') report.acknowledged = told.number + 1;
    if (told.what == 'm') report.moved += told.number;
  }
  ::close(ends[0]);
  if (child < 0) return failed("the child could not be started");
  if (!WIFSIGNALED(status))
    return failed("the child ended by itself: " + std::to_string(WEXITSTATUS(status)));
  if (!ready) return failed("the child did not become ready");
  return report;
}

}  // namespace asahi::memory::testing
