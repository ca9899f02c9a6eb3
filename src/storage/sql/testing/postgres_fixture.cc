// One PostgreSQL for a whole CTest run: starting one for each test takes longer than most tests.
//
//   postgres_fixture start FILE    launches it in the background; its port is in FILE when this
//   ends postgres_fixture stop FILE     ends it
//
// Where PostgreSQL is not installed both do nothing: the tests say what is missing. The server goes
// with CTest, however that ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "storage/sql/testing/postgres_server.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPause = 50ms;
constexpr auto kLongestStart = 60s;

/// Serves until FILE or CTest is gone.
int serve(const std::string& file, pid_t ctest) {
  const auto server = asahi::sql::testing::PostgresServer::launch();
  // Written beside and renamed: nobody reads half a number.
  std::ofstream(file + ".new") << (server ? (*server)->port() : 0) << '\n';
  std::error_code ignored;
  fs::rename(file + ".new", file, ignored);
  if (!server) return 0;
  while (fs::exists(file, ignored) && ::kill(ctest, 0) == 0) std::this_thread::sleep_for(kPause);
  fs::remove(file, ignored);
  return 0;
}

int start(const std::string& file) {
  std::error_code ignored;
  fs::remove(file, ignored);
  fs::create_directories(fs::path(file).parent_path(), ignored);
  const pid_t ctest = ::getppid();
  const pid_t child = ::fork();
  if (child < 0) return 0;
  if (child == 0) {
    // CTest waits for the end of everything that holds its pipes.
    const int nothing = ::open("/dev/null", O_RDWR);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing, stream);
    ::setsid();
    // Only a child of the second generation outlives this program without becoming a zombie.
    if (::fork() != 0) ::_exit(0);
    ::_exit(serve(file, ctest));
  }
  ::waitpid(child, nullptr, 0);
  const auto deadline = std::chrono::steady_clock::now() + kLongestStart;
  while (!fs::exists(file, ignored) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(kPause);
  return 0;
}

int stop(const std::string& file) {
  std::error_code ignored;
  fs::remove(file, ignored);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc == 3 ? argv[1] : "";
  if (verb == "start") return start(argv[2]);
  if (verb == "stop") return stop(argv[2]);
  std::fputs("postgres_fixture start|stop FILE\n", stderr);
  return 2;
}
