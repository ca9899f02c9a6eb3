#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace asahi::sql::testing {

/// A real PostgreSQL for tests: its own cluster in a temporary folder, a free TCP port on
/// 127.0.0.1, no fsync. It is stopped and its folder removed on destruction; the kernel kills it
/// when the test dies first. Run by root it becomes the user `postgres` or `nobody`, since
/// PostgreSQL refuses root.
///
/// Share one server (`shared()`), and give each test a database of its own (`create_database()`);
/// a test that stops or restarts its server launches one for itself. Launch it from the main
/// thread: the kernel's promise holds for the thread that did.
class PostgresServer {
 public:
  /// Errors: not_found when the programs are missing (skip the test with that text), internal when
  /// the server does not come up.
  /// `settings`: "name=value" each, on top of those for tests.
  static Result<std::unique_ptr<PostgresServer>> launch(std::vector<std::string> settings = {});
  /// The server of the whole CTest run (postgres_fixture.cc), whose port stands in the file that
  /// ASAHI_TEST_POSTGRES names; where there is none the test program's own, launched at the first
  /// call.
  static Result<PostgresServer*> shared();

  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// Returns when the server answers.
  Result<void> start();
  /// Fast shutdown; returns when the process is gone. Does nothing when stopped.
  void stop();
  Result<void> restart();

  int port() const { return port_; }
  std::string url(const std::string& database = "postgres") const;
  /// Makes a fresh database and returns its name.
  Result<std::string> create_database();
  /// Ends who is connected to it and removes it.
  void drop_database(const std::string& name);

 private:
  PostgresServer() = default;
  Result<void> initialise();
  /// Somebody else's server.
  static std::unique_ptr<PostgresServer> attach(const std::string& port_file);

  std::string programs_;  ///< folder of initdb and postgres
  std::string folder_;
  std::vector<std::string> settings_;
  int port_ = 0;
  pid_t process_ = 0;
  int databases_ = 0;
};

}  // namespace asahi::sql::testing
