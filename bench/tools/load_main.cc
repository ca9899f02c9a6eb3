#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "load.h"
#include "wire.h"

namespace asahi::bench {
namespace {

bool is_ready(std::uint16_t port, const std::string& path) {
  const int fd = connect_local(port);
  if (fd < 0) return false;
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
  char status[12] = {};
  const bool sent = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(request.size());
  const bool ready = sent && ::recv(fd, status, sizeof status, MSG_WAITALL) == sizeof status &&
                     std::string_view(status, sizeof status) == "HTTP/1.1 200";
  ::close(fd);
  return ready;
}

/// Milliseconds from exec to the first 200 of `path`; the process is ended afterwards.
int measure_start(std::uint16_t port, const std::string& path, std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::int64_t begin = now_ns();
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  bool ready = false;
  while (!(ready = is_ready(port, path)) && now_ns() - begin < 30'000'000'000) ::usleep(500);
  const double milliseconds = static_cast<double>(now_ns() - begin) / 1e6;
  ::kill(child, SIGTERM);
  int status = 0;
  ::waitpid(child, &status, 0);
  fmt::print("{{\"ready\":{},\"ready_ms\":{:.1f},\"clean_exit\":{}}}\n", ready, milliseconds,
             WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return ready ? 0 : 1;
}

int main_checked(int argc, char** argv) {
  CLI::App app(
      "Load generator: one thread, one JSON object on stdout. Closed loop unless --rate is given.");
  LoadOptions load;
  std::vector<std::string> start;
  std::string ready_path = "/health/ready";
  app.add_option("--port", load.port, "port on 127.0.0.1")->required();
  app.add_option("--path", load.path, "path that takes OpenAI chat requests")
      ->capture_default_str();
  app.add_option("--key", load.key, "credential, sent as bearer")->capture_default_str();
  app.add_option("--header", load.headers, "\"Name: value\", repeatable");
  app.add_option("--model", load.model, "model asked for")->capture_default_str();
  app.add_option("--connections", load.connections, "connections, each with one request at a time")
      ->capture_default_str();
  app.add_option("--seconds", load.seconds, "measured time")->capture_default_str();
  app.add_option("--warmup", load.warmup_seconds, "time before that")->capture_default_str();
  app.add_option("--requests", load.requests, "stop after so many requests instead");
  app.add_option("--rate", load.rate, "open loop: requests a second, due at even intervals");
  app.add_option("--repeat-percent", load.repeat_percent, "share of prompts that repeat")
      ->capture_default_str();
  app.add_option("--pool", load.pool, "number of different prompts that repeat")
      ->capture_default_str();
  app.add_option("--pool-name", load.pool_name, "another name, other prompts; up to 14 characters")
      ->capture_default_str();
  app.add_option("--chunks", load.chunks,
                 "stream answers of so many content chunks and check each");
  app.add_option("--first-us", load.first_us, "upstream's pause before the first chunk");
  app.add_option("--pause-us", load.pause_us, "upstream's pause between chunks");
  app.add_option("--watch-pid", load.watch_pid, "report the CPU time of this process");
  app.add_option(
      "command", start,
      "after --: measure instead how long this command takes until --ready-path answers 200");
  app.add_option("--ready-path", ready_path)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!start.empty()) return measure_start(load.port, ready_path, std::move(start));
  if (load.pool == 0 || load.connections == 0)
    throw CLI::ValidationError("--pool and --connections must be at least 1");
  const LoadReport report = run_load(load);
  fmt::print("{}\n", to_json(report));
  return report.errors == 0 ? 0 : 1;
}

}  // namespace
}  // namespace asahi::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  try {
    return asahi::bench::main_checked(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_load: {}\n", e.what());
    return 2;
  }
}
