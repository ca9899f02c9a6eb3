#include "storage/sql/testing/postgres_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace asahi::sql::testing {
namespace {

namespace fs = std::filesystem;

/// The newest installation below /usr/lib/postgresql, or what PATH offers; empty when there is none.
std::string find_programs() {
  std::vector<std::string> folders;
  const char* path = std::getenv("PATH");
  const std::string list = path == nullptr ? "" : path;
  for (std::size_t from = 0; from <= list.size();) {
    const auto end = std::min(list.find(':', from), list.size());
    folders.push_back(list.substr(from, end - from));
    from = end + 1;
  }
  std::error_code ignored;
  int newest = 0;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version <= newest) continue;
    newest = version;
    folders.push_back((entry.path() / "bin").string());
  }
  std::string found;
  for (const auto& folder : folders) {
    if (fs::exists(folder + "/initdb", ignored) && fs::exists(folder + "/postgres", ignored)) found = folder;
  }
  return found;
}

/// The account that the server runs as when the test runs as root; null otherwise.
const passwd* server_account() {
  if (geteuid() != 0) return nullptr;
  const passwd* account = getpwnam("postgres");
  return account != nullptr ? account : getpwnam("nobody");
}

int free_port() {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  int port = 0;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(descriptor);
  return port;
}

/// Starts a program as the server's account, its output in `log`; 0 when it cannot fork.
pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  // Everything that allocates happens before fork: the child of a process with threads must not.
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const passwd* account = server_account();
  const uid_t user = account == nullptr ? 0 : account->pw_uid;
  const gid_t group = account == nullptr ? 0 : account->pw_gid;
  char language[] = "LC_ALL=C";
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {language, path, nullptr};
  const pid_t parent = getpid();
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t child = fork();
  if (child == 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (account != nullptr &&
        (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0)) {
      _exit(126);
    }
    // After setuid, which clears it. SIGQUIT is the server's immediate shutdown, children included.
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent) _exit(125);
    execve(arguments[0], arguments.data(), environment);
    _exit(127);
  }
  close(output);
  return std::max(child, 0);
}

std::string tail_of(const std::string& file) {
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.size() > 2'000 ? text.substr(text.size() - 2'000) : text;
}

/// Runs SQL on a fresh connection; false when the server does not answer or refuses.
bool run_once(const std::string& url, const char* sql) {
  PGconn* connection = PQconnectdb(url.c_str());
  PGresult* result = PQexec(connection, sql);
  const auto status = PQresultStatus(result);
  PQclear(result);
  PQfinish(connection);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

}  // namespace

Result<std::unique_ptr<PostgresServer>> PostgresServer::launch() {
  std::unique_ptr<PostgresServer> server(new PostgresServer);  // NOLINT: private constructor
  server->programs_ = find_programs();
  if (server->programs_.empty()) {
    return fail(Errc::kNotFound,
                "initdb and postgres are neither on PATH nor in /usr/lib/postgresql; install "
                "postgresql-15 to run this test");
  }
  if (auto ok = server->initialise(); !ok) return std::unexpected(ok.error());
  if (auto ok = server->start(); !ok) return std::unexpected(ok.error());
  return server;
}

Result<PostgresServer*> PostgresServer::shared() {
  static const auto server = launch();
  if (!server) return std::unexpected(server.error());
  return server->get();
}

Result<void> PostgresServer::initialise() {
  std::string name = (fs::temp_directory_path() / "asahi-postgres-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return fail(Errc::kInternal, "no temporary folder can be made");
  folder_ = name;
  if (const passwd* account = server_account(); account != nullptr) {
    if (chown(folder_.c_str(), account->pw_uid, account->pw_gid) != 0) {
      return fail(Errc::kInternal, "the temporary folder cannot be given to " + std::string(account->pw_name));
    }
  }
  const std::string log = folder_ + "/initdb.log";
  const pid_t child = spawn({programs_ + "/initdb", "-D", folder_ + "/data", "-U", "asahi", "--auth=trust",
                             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"},
                            log);
  int status = -1;
  if (child == 0 || waitpid(child, &status, 0) != child || status != 0) {
    return fail(Errc::kInternal, "initdb failed: " + tail_of(log));
  }
  port_ = free_port();
  return {};
}

Result<void> PostgresServer::start() {
  if (process_ != 0) return {};
  const std::string log = folder_ + "/server.log";
  process_ = spawn(
      {programs_ + "/postgres", "-D", folder_ + "/data", "-p", std::to_string(port_), "-k", folder_, "-c",
       "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60",
       "-c", "shared_buffers=16MB", "-c", "timezone=Asia/Tokyo", "-c", "max_prepared_transactions=0"},
      log);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (process_ != 0 && std::chrono::steady_clock::now() < deadline) {
    if (run_once(url(), "SELECT 1")) return {};
    if (waitpid(process_, nullptr, WNOHANG) == process_) process_ = 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  stop();
  return fail(Errc::kInternal, "PostgreSQL did not start: " + tail_of(log));
}

void PostgresServer::stop() {
  if (process_ == 0) return;
  kill(process_, SIGINT);
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

Result<void> PostgresServer::restart() {
  stop();
  return start();
}

std::string PostgresServer::url(const std::string& database) const {
  return fmt::format("postgres://asahi@127.0.0.1:{}/{}?sslmode=disable", port_, database);
}

Result<std::string> PostgresServer::create_database() {
  const std::string name = "test_" + std::to_string(++databases_);
  if (!run_once(url(), ("CREATE DATABASE " + name + " TEMPLATE template0").c_str())) {
    return fail(Errc::kInternal, "CREATE DATABASE failed; is the server stopped?");
  }
  return url(name);
}

PostgresServer::~PostgresServer() {
  stop();
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace asahi::sql::testing
