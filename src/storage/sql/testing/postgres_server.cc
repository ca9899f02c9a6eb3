#include "storage/sql/testing/postgres_server.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "storage/sql/testing/child_process.h"

namespace asahi::sql::testing {
namespace {

namespace fs = std::filesystem;

/// The newest installation below /usr/lib/postgresql, or what PATH offers; empty when there is
/// none.
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
    if (fs::exists(folder + "/initdb", ignored) && fs::exists(folder + "/postgres", ignored))
      found = folder;
  }
  return found;
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

Result<std::unique_ptr<PostgresServer>> PostgresServer::launch(std::vector<std::string> settings) {
  std::unique_ptr<PostgresServer> server(new PostgresServer);  // NOLINT: private constructor
  server->settings_ = std::move(settings);
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
  static const auto server = []() -> Result<std::unique_ptr<PostgresServer>> {
    if (const char* file = std::getenv("ASAHI_TEST_POSTGRES")) {
      if (auto running = attach(file)) return running;
    }
    return launch();
  }();
  if (!server) return std::unexpected(server.error());
  return server->get();
}

std::unique_ptr<PostgresServer> PostgresServer::attach(const std::string& port_file) {
  std::unique_ptr<PostgresServer> server(new PostgresServer);  // NOLINT: private constructor
  std::ifstream(port_file) >> server->port_;
  if (server->port_ == 0 || !run_once(server->url(), "SELECT 1")) return nullptr;
  return server;
}

Result<void> PostgresServer::initialise() {
  ASAHI_TRY(folder_, make_folder("asahi-postgres-"));
  // CTest runs each test as a program of its own, so the second that initdb takes is spent once per
  // machine: the finished cluster stays behind as a template, and is copied.
  struct stat status{};
  const std::string pattern = (fs::temp_directory_path() / "asahi-postgres-template").string() +
                              std::to_string(std::hash<std::string>{}(programs_));
  const uid_t owner = server_account();
  if (lstat(pattern.c_str(), &status) != 0) {
    ASAHI_TRY(const std::string fresh, make_folder("asahi-postgres-initdb-"));
    if (auto ok = run_to_end(
            {programs_ + "/initdb", "-D", fresh + "/data", "-U", "asahi", "--auth=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions", "--wal-segsize=1"},
            fresh + "/initdb.log");
        !ok) {
      return ok;
    }
    // When another test was faster its template stands there, which is as good.
    std::error_code taken;
    fs::rename(fresh, pattern, taken);
    if (taken) fs::remove_all(fresh, taken);
  }
  if (lstat(pattern.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != owner) {
    return fail(Errc::kInternal, pattern + " is not a folder of this account; remove it");
  }
  if (auto ok =
          run_to_end({"/bin/cp", "-a", pattern + "/data", folder_ + "/data"}, folder_ + "/cp.log");
      !ok) {
    return ok;
  }
  port_ = free_port();
  return {};
}

Result<void> PostgresServer::start() {
  if (process_ != 0) return {};
  const std::string log = folder_ + "/server.log";
  std::vector<std::string> command{
      programs_ + "/postgres", "-D", folder_ + "/data", "-p", std::to_string(port_), "-k", folder_};
  for (const char* setting :
       {"listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "max_connections=200",
        "shared_buffers=16MB", "timezone=Asia/Tokyo", "max_prepared_transactions=0"})
    command.insert(command.end(), {"-c", setting});
  for (const std::string& setting : settings_) command.insert(command.end(), {"-c", setting});
  process_ = spawn(command, log);
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
  const std::string name = fmt::format("test_{}_{}", getpid(), ++databases_);
  if (!run_once(url(), ("CREATE DATABASE " + name + " TEMPLATE template0").c_str())) {
    return fail(Errc::kInternal, "CREATE DATABASE failed; is the server stopped?");
  }
  return name;
}

void PostgresServer::drop_database(const std::string& name) {
  run_once(url(), ("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)").c_str());
}

PostgresServer::~PostgresServer() {
  stop();
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace asahi::sql::testing
