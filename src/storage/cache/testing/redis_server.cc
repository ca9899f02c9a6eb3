#include "storage/cache/testing/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace asahi::cache_testing {
namespace {

constexpr std::chrono::seconds kPatience{15};
constexpr std::chrono::milliseconds kPoll{5};

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

template <class Done>
void wait_until(const std::string& what, Done done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("waited in vain for " + what);
    }
    std::this_thread::sleep_for(kPoll);
  }
}

cache::Reply ask(std::uint16_t port, const std::vector<std::string>& args) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("redis-server does not accept connections");
  }
  std::string wire;
  const std::vector<std::string_view> views(args.begin(), args.end());
  cache::append_command(wire, views);
  for (std::size_t at = 0; at < wire.size();) {
    const ssize_t sent = ::send(fd.get(), wire.data() + at, wire.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("redis-server went away");
    at += static_cast<std::size_t>(sent);
  }
  cache::RespParser parser;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) throw std::runtime_error("redis-server went away");
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    auto reply = parser.parse(bytes);
    if (!reply) throw std::runtime_error(reply.error().message);
    if (*reply) return std::move(**reply);
  }
}

bool answers(std::uint16_t port) {
  try {
    const cache::Reply reply = ask(port, {"PING"});
    return reply.text == "PONG" || reply.text.starts_with("NOAUTH");
  } catch (const std::runtime_error&) {
    return false;
  }
}

}  // namespace

bool redis_available() {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/redis-server").c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::uint16_t free_port() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

RedisServer::RedisServer(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "asahi-redis-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  try {
    // Another program may take the port in between: then another port.
    for (int attempt = 0; process_ < 0; ++attempt) {
      port_ = free_port();
      try {
        start();
      } catch (const std::runtime_error&) {
        if (attempt == 4) throw;
      }
    }
  } catch (...) {
    std::filesystem::remove_all(folder_);
    throw;
  }
}

RedisServer::~RedisServer() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RedisServer::start() {
  std::vector<std::string> args{"redis-server",
                                "--bind",
                                "127.0.0.1",
                                "--port",
                                std::to_string(port_),
                                "--dir",
                                folder_,
                                "--unixsocket",
                                folder_ + "/redis.sock",
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                "--daemonize",
                                "no",
                                "--enable-debug-command",
                                "yes"};
  args.insert(args.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const std::string log = folder_ + "/log";

  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("fork failed");
  if (process_ == 0) {
    // Between fork and exec only what is safe in a program with threads.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  try {
    wait_until("redis-server", [this] {
      int status = 0;
      if (::waitpid(process_, &status, WNOHANG) == process_) {
        process_ = -1;
        throw std::runtime_error("redis-server ended at once");
      }
      return answers(port_);
    });
  } catch (...) {
    stop();
    throw;
  }
}

void RedisServer::stop() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

cache::Reply RedisServer::command(const std::vector<std::string>& args) const {
  return ask(port_, args);
}

RedisCluster::RedisCluster() {
  constexpr std::size_t kNodes = 3;
  for (std::size_t i = 0; i < kNodes; ++i) {
    nodes_.push_back(std::make_unique<RedisServer>(std::vector<std::string>{
        "--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port()),
        "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"}));
  }
  for (std::size_t i = 0; i < kNodes; ++i) {
    nodes_[i]->command({"CLUSTER", "ADDSLOTSRANGE", std::to_string(i * 16'384 / kNodes),
                        std::to_string((i + 1) * 16'384 / kNodes - 1)});
    // Without an epoch of its own each, two nodes would have to argue about it first.
    nodes_[i]->command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
  }
  for (std::size_t i = 1; i < kNodes; ++i) {
    const std::string bus = nodes_[i]->command({"CONFIG", "GET", "cluster-port"}).items[1].text;
    nodes_[0]->command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes_[i]->port()), bus});
  }
  wait_until("the Redis cluster", [this] {
    for (const auto& node : nodes_) {
      const std::string info = node->command({"CLUSTER", "INFO"}).text;
      if (!info.contains("cluster_state:ok") || !info.contains("cluster_slots_ok:16384")) {
        return false;
      }
    }
    return true;
  });
}

std::string RedisCluster::id_of(std::size_t index) const {
  return nodes_[index]->command({"CLUSTER", "MYID"}).text;
}

void RedisCluster::move_slot(std::uint16_t slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot);
  nodes_[to]->command({"CLUSTER", "SETSLOT", number, "IMPORTING", id_of(from)});
  nodes_[from]->command({"CLUSTER", "SETSLOT", number, "MIGRATING", id_of(to)});
  const auto keys = nodes_[from]->command({"CLUSTER", "GETKEYSINSLOT", number, "1000"});
  for (const auto& key : keys.items) {
    nodes_[from]->command(
        {"MIGRATE", "127.0.0.1", std::to_string(nodes_[to]->port()), key.text, "0", "5000"});
  }
  nodes_[to]->command({"CLUSTER", "SETSLOT", number, "NODE", id_of(to)});
  nodes_[from]->command({"CLUSTER", "SETSLOT", number, "NODE", id_of(to)});
}

}  // namespace asahi::cache_testing
