#include "storage/sql/testing/pgbouncer.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "storage/sql/testing/child_process.h"

namespace asahi::sql::testing {
namespace {

namespace fs = std::filesystem;

std::string find_program() {
  for (const char* path :
       {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<PgBouncer>> PgBouncer::launch(int postgres_port) {
  const std::string program = find_program();
  if (program.empty()) return fail(Errc::kNotFound, "pgbouncer is not installed");
  std::unique_ptr<PgBouncer> bouncer(new PgBouncer);  // NOLINT: private constructor
  ASAHI_TRY(bouncer->folder_, make_folder("asahi-pgbouncer-"));
  bouncer->port_ = free_port();
  const std::string config = bouncer->folder_ + "/pgbouncer.ini";
  std::ofstream(config) << fmt::format(
      "[databases]\n"
      "* = host=127.0.0.1 port={} user=asahi\n"
      "[pgbouncer]\n"
      "listen_addr = 127.0.0.1\n"
      "listen_port = {}\n"
      "unix_socket_dir =\n"
      "auth_type = any\n"
      "pool_mode = transaction\n"
      "default_pool_size = 3\n"
      "max_client_conn = 100\n",
      postgres_port, bouncer->port_);
  const std::string log = bouncer->folder_ + "/pgbouncer.log";
  bouncer->process_ = spawn({program, config}, log);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (bouncer->process_ != 0 && std::chrono::steady_clock::now() < deadline) {
    PGconn* connection = PQconnectdb(bouncer->url("postgres").c_str());
    const bool up = PQstatus(connection) == CONNECTION_OK;
    PQfinish(connection);
    if (up) return bouncer;
    if (waitpid(bouncer->process_, nullptr, WNOHANG) == bouncer->process_) bouncer->process_ = 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return fail(Errc::kInternal, "PgBouncer did not start: " + tail_of(log));
}

std::string PgBouncer::url(const std::string& database) const {
  return fmt::format("postgres://asahi@127.0.0.1:{}/{}?sslmode=disable", port_, database);
}

PgBouncer::~PgBouncer() {
  if (process_ != 0) {
    kill(process_, SIGQUIT);
    waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace asahi::sql::testing
