#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/sql/database.h"

namespace asahi::sql::testing {

/// What contract tests run over: `INSTANTIATE_TEST_SUITE_P(Engines, MyTest,
/// ValuesIn(all_engines()), engine_name)`.
enum class Engine { kSqliteFile, kSqliteMemory, kPostgres, kPgBouncer };

std::vector<Engine> all_engines();
/// "sqlite_file", …
std::string to_string(Engine engine);
inline std::ostream& operator<<(std::ostream& out, Engine engine) {
  return out << to_string(engine);
}
inline const auto engine_name = [](const auto& info) { return to_string(info.param); };

class PostgresServer;

/// An empty database of its own on a real engine; removed on destruction.
class TestDatabase {
 public:
  /// Errors: not_found when a program is missing: skip the test with that text.
  static Result<std::unique_ptr<TestDatabase>> make(Engine engine);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  /// Options with the URL and data directory filled in.
  const DatabaseOptions& options() const { return options_; }

 private:
  TestDatabase() = default;
  DatabaseOptions options_;
  std::string folder_;
  PostgresServer* server_ = nullptr;
  std::string name_;  ///< on the server
};

}  // namespace asahi::sql::testing
