#include "storage/sql/testing/pgvector_server.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "storage/sql/testing/child_process.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::sql::testing {
namespace {

using namespace std::chrono_literals;

/// In the PostgreSQL that tests start.
bool installed() {
  for (const char* major : {"15", "16", "17", "18"}) {
    const auto file = fmt::format("/usr/share/postgresql/{}/extension/vector.control", major);
    if (std::filesystem::exists(file)) return true;
  }
  return false;
}

}  // namespace

Result<std::string> PgVectorServer::url() {
  static PgVectorServer server;
  return server.url_;
}

PgVectorServer::~PgVectorServer() {
  if (process_ > 0) ::kill(process_, SIGKILL);
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

Result<std::string> PgVectorServer::find() {
  if (const char* const given = std::getenv("ASAHI_TEST_PGVECTOR_URL")) return given;
  if (installed()) {
    ASAHI_TRY(const auto real, PostgresServer::shared());
    ASAHI_TRY(const auto name, real->create_database());
    return real->url(name);
  }
  ASAHI_TRY(folder_, make_folder("asahi_pgvector"));
  const int port = free_port();
  const std::string log = folder_ + "/log";
  process_ = spawn({"/usr/bin/env", "node", ASAHI_PGVECTOR_SERVER, std::to_string(port)}, log,
                   Account::kOwn);
  const auto deadline = std::chrono::steady_clock::now() + 180s;
  std::string said;
  while (std::chrono::steady_clock::now() < deadline) {
    said = tail_of(log);
    if (said.find("ready") != std::string::npos) {
      return fmt::format("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", port);
    }
    if (::waitpid(process_, nullptr, WNOHANG) != 0) break;
    std::this_thread::sleep_for(50ms);
  }
  return fail(Errc::kNotFound,
              "no pgvector here: neither in this machine's PostgreSQL nor from npm "
              "(@electric-sql/pglite-pgvector of tests/e2e): " +
                  said.substr(0, 300));
}

}  // namespace asahi::sql::testing
