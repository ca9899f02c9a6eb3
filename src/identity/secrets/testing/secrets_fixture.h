#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/cipher.h"
#include "base/clock.h"
#include "identity/secrets/live.h"
#include "identity/secrets/migrations.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::identity::testing {

/// The schema of the stored secrets on a real engine, a loop to call from, and a clock that stands
/// still. Keys are named by a digit and derived in few rounds.
class SecretsFixture : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(secrets_migrations())) return;
    loops_.start();
    set_ring("1");
  }
  void TearDown() override {
    close_database();  // before the loops that its answers go to
  }

  /// "32": key 3 encrypts, key 2 is previous.
  static KeyRing ring_of(std::string_view digits) {
    std::vector<Secret> keys;
    for (const char digit : digits) keys.emplace_back(std::string(64, digit));
    return KeyRing::make(keys, {.pbkdf2_iterations = 1'000}).value();
  }
  void set_ring(std::string_view digits) { ring_.set(ring_of(digits)); }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  /// A failure fails the test.
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }
  sql::Rows rows(std::string sql, std::vector<sql::Value> params = {}) {
    auto outcome = db_->query_blocking({std::move(sql), std::move(params)});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? std::move(*outcome) : sql::Rows();
  }

  ManualClock clock_;
  net::LoopPool loops_{2};
  Live<KeyRing> ring_;
};

}  // namespace asahi::identity::testing
