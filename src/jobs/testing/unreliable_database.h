#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "storage/sql/database.h"

namespace asahi::jobs::testing {

/// A database that a test takes away and gives back. Thread-safe.
class UnreliableDatabase final : public sql::Database {
 public:
  explicit UnreliableDatabase(sql::Database& inner) : inner_(inner) {}

  /// From now on statements whose text contains `part` fail, `times` of them.
  void fail_next(std::string part, int times) {
    part_ = std::move(part);
    left_ = times;
  }
  void recover() { left_ = 0; }
  int failures() const { return failures_; }

  sql::Dialect dialect() const override { return inner_.dialect(); }
  Task<sql::Rows> query(sql::Statement statement) override {
    // At once, without a suspension: as a full queue does.
    if (fails(statement.sql)) co_return away();
    co_return co_await inner_.query(std::move(statement));
  }
  Task<std::vector<sql::Rows>> batch(std::vector<sql::Statement> statements) override {
    if (fails(statements.front().sql)) co_return away();
    co_return co_await inner_.batch(std::move(statements));
  }
  Task<void> transaction(std::function<Result<void>(sql::Session&)> body) override {
    return inner_.transaction(std::move(body));
  }
  Result<sql::Rows> query_blocking(sql::Statement statement) override {
    return inner_.query_blocking(std::move(statement));
  }
  Result<void> transaction_blocking(std::function<Result<void>(sql::Session&)> body) override {
    return inner_.transaction_blocking(std::move(body));
  }
  Task<void> ping() override { return inner_.ping(); }

 private:
  bool fails(const std::string& sql) {
    if (left_ <= 0 || !sql.contains(part_)) return false;
    --left_;
    ++failures_;
    return true;
  }
  static std::unexpected<Error> away() { return fail(Errc::kUnavailable, "the database is away"); }

  sql::Database& inner_;
  std::string part_;  ///< set before left_ and unchanged while it is above 0
  std::atomic<int> left_ = 0;
  std::atomic<int> failures_ = 0;
};

}  // namespace asahi::jobs::testing
