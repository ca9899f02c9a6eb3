#include "storage/sql/testing/test_database.h"

#include <filesystem>

#include "storage/sql/testing/child_process.h"
#include "storage/sql/testing/pgbouncer.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::sql::testing {
namespace {

/// The test program's PgBouncer, in front of its shared server.
Result<PgBouncer*> shared_pgbouncer(const PostgresServer& server) {
  static const auto bouncer = PgBouncer::launch(server.port());
  if (!bouncer) return std::unexpected(bouncer.error());
  return bouncer->get();
}

}  // namespace

std::vector<Engine> all_engines() {
  return {Engine::kSqliteFile, Engine::kSqliteMemory, Engine::kPostgres, Engine::kPgBouncer};
}

std::string to_string(Engine engine) {
  switch (engine) {
    case Engine::kSqliteFile:
      return "sqlite_file";
    case Engine::kSqliteMemory:
      return "sqlite_memory";
    case Engine::kPostgres:
      return "postgres";
    case Engine::kPgBouncer:
      return "pgbouncer";
  }
  return "unknown";
}

Result<std::unique_ptr<TestDatabase>> TestDatabase::make(Engine engine) {
  std::unique_ptr<TestDatabase> database(new TestDatabase);  // NOLINT: private constructor
  if (engine == Engine::kSqliteMemory) {
    database->options_.url = "sqlite://:memory:";
    return database;
  }
  if (engine == Engine::kSqliteFile) {
    ASAHI_TRY(database->folder_, make_folder("asahi-sqlite-"));
    database->options_.url = "sqlite:///test.db";
    database->options_.data_dir = database->folder_;
    return database;
  }
  ASAHI_TRY(auto* server, PostgresServer::shared());
  ASAHI_TRY(database->name_, server->create_database());
  database->server_ = server;
  database->options_.url = server->url(database->name_);
  if (engine == Engine::kPgBouncer) {
    ASAHI_TRY(auto* bouncer, shared_pgbouncer(*server));
    database->options_.url = bouncer->url(database->name_);
  }
  return database;
}

TestDatabase::~TestDatabase() {
  if (server_ != nullptr) server_->drop_database(name_);
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace asahi::sql::testing
