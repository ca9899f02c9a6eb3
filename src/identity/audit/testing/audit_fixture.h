#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "identity/audit/audit.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/testing/child_process.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::identity::testing {

/// The table as the gateway's migration 101 makes it.
inline std::vector<sql::Migration> audit_schema() {
  std::vector<sql::Migration> all = audit_migrations();
  all.push_back(
      {.version = 101,
       .name = "audit_entries",
       .up = {.sqlite = R"sql(
CREATE TABLE audit_entries (
  id INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL UNIQUE,
  timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  org_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  details TEXT NOT NULL DEFAULT '{}',
  ip_address TEXT,
  user_agent TEXT,
  result TEXT NOT NULL DEFAULT 'success',
  data_classification TEXT NOT NULL DEFAULT 'internal',
  prev_hash TEXT
);
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
CREATE INDEX idx_audit_timestamp ON audit_entries (timestamp);
)sql",
              .postgres = R"sql(
CREATE TABLE audit_entries (
  id BIGSERIAL PRIMARY KEY,
  entry_id VARCHAR(32) NOT NULL UNIQUE,
  timestamp TIMESTAMPTZ NOT NULL DEFAULT now(),
  org_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  action VARCHAR(100) NOT NULL,
  resource VARCHAR(255) NOT NULL,
  details JSONB NOT NULL DEFAULT '{}',
  ip_address VARCHAR(45),
  user_agent TEXT,
  result VARCHAR(20) NOT NULL DEFAULT 'success',
  data_classification VARCHAR(20) NOT NULL DEFAULT 'internal',
  prev_hash VARCHAR(64)
);
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
CREATE INDEX idx_audit_timestamp ON audit_entries (timestamp);
)sql"},
       .down = {.sqlite = "DROP TABLE audit_entries", .postgres = "DROP TABLE audit_entries"}});
  return all;
}

inline constexpr const char* kKey = "a key for heads";

/// A folder that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& prefix)
      : path_(sql::testing::make_folder(prefix).value_or("")) {}
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline AuditEntry make_entry(std::string org, std::string action, json::object details = {}) {
  AuditEntry entry;
  entry.org_id = std::move(org);
  entry.user_id = "ada";
  entry.action = std::move(action);
  entry.resource = "policy/1";
  entry.details = std::move(details);
  entry.ip_address = "10.0.0.1";
  entry.user_agent = "curl/8";
  return entry;
}

/// The log with its schema on a real engine, a loop to call it from, a clock that stands still.
class AuditFixture : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(audit_schema())) return;
    loops_.start();
    log_ = open_log(*db_);
  }

  void TearDown() override {
    log_.reset();
    close_database();
  }

  /// Another's connection to the same rows.
  std::unique_ptr<sql::Database> open_again() {
    auto opened = sql::open_database(place_->options());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  AuditOptions options() const { return {.spool_dir = spool_.path(), .head_key = kKey}; }
  std::unique_ptr<AuditLog> open_log(sql::Database& database) {
    return open_log(database, options());
  }
  std::unique_ptr<AuditLog> open_log(sql::Database& database, const AuditOptions& options) {
    auto opened = open_audit_log(options, database, clock_);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? std::move(*outcome) : T{};
  }
  std::string append(AuditEntry entry) {
    return get<std::string>([&] { return log_->append(entry); });
  }
  /// Entries of one organisation, in one batch.
  void fill(const std::string& org, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(log_->record(make_entry(org, "action." + std::to_string(i), {{"n", i}})));
    }
    EXPECT_TRUE(log_->flush(std::chrono::seconds(10)));
  }
  std::vector<StoredAuditEntry> query(AuditFilter filter) {
    return get<std::vector<StoredAuditEntry>>([&] { return log_->query(filter); });
  }
  AuditVerification verify(const std::string& org) {
    return get<AuditVerification>([&] { return log_->verify(org); });
  }
  sql::Rows sql(const std::string& text, std::vector<sql::Value> params = {}) {
    auto rows = db_->query_blocking({text, std::move(params)});
    EXPECT_TRUE(rows) << text << ": " << rows.error().message;
    return rows ? std::move(*rows) : sql::Rows{};
  }
  bool is_postgres() const { return db_->dialect() == sql::Dialect::kPostgres; }

  Folder spool_{"asahi-audit-"};
  ManualClock clock_;
  net::LoopPool loops_{1};
  std::unique_ptr<AuditLog> log_;
};

}  // namespace asahi::identity::testing
