// What background re-encryption promises, on every engine.
#include "identity/secrets/reencryptor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/secrets/provider_keys.h"
#include "identity/secrets/testing/secrets_fixture.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;

class ReencryptorContract : public testing::SecretsFixture {
 protected:
  void SetUp() override {
    SecretsFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto made = db_->query_blocking(
        {"CREATE TABLE sso_secrets (number INTEGER PRIMARY KEY, org TEXT NOT NULL, sealed TEXT)",
         {}});
    ASSERT_TRUE(made) << made.error().message;
    work_ = open();
  }
  void TearDown() override {
    work_.reset();
    SecretsFixture::TearDown();
  }

  static EncryptedColumn sso_column() {
    return {.table = "sso_secrets",
            .id_column = "number",
            .column = "sealed",
            .context_columns = {"org"},
            .context = [](const std::vector<std::string>& row) { return "sso/" + row[0]; }};
  }
  std::unique_ptr<Reencryptor> open() {
    return std::make_unique<Reencryptor>(
        *db_, ring_, std::vector<EncryptedColumn>{provider_keys_column(), sso_column()});
  }
  void add_keys(int count) {
    ProviderKeys keys(*db_, ring_, clock_, nullptr, {});
    for (int i = 0; i < count; ++i) {
      get<ProviderKey>([&] {
        return keys.put(fmt::format("org{}", i), "openai", Secret(fmt::format("sk-key-{}", i)),
                        "u");
      });
    }
  }
  void add_sso(int number, const std::string& plain) {
    rows("INSERT INTO sso_secrets VALUES (?, 'acme', ?)",
         {std::int64_t{number}, ring_.get()->encrypt(plain, "sso/acme")});
  }
  Reencryptor::Count step(std::size_t limit) {
    return get<Reencryptor::Count>([&] { return work_->step(limit); });
  }
  /// How many values there are that not even one key of `digits` reads.
  int unreadable_with(std::string_view digits) {
    const KeyRing keys = ring_of(digits);
    int bad = 0;
    const auto vendor = rows("SELECT org_id, ciphertext FROM provider_keys WHERE active");
    for (std::size_t i = 0; i < vendor.size(); ++i) {
      bad += keys.decrypt(vendor.text(i, "ciphertext"),
                          "provider_keys/" + vendor.text(i, "org_id") + "/openai")
                     .has_value()
                 ? 0
                 : 1;
    }
    const auto sso = rows("SELECT sealed FROM sso_secrets WHERE sealed <> ''");
    for (std::size_t i = 0; i < sso.size(); ++i) {
      bad += keys.decrypt(sso.text(i, "sealed"), "sso/acme").has_value() ? 0 : 1;
    }
    return bad;
  }

  std::unique_ptr<Reencryptor> work_;
};

TEST_P(ReencryptorContract, RewritesEveryStaleValueOfEveryTableInSteps) {
  add_keys(7);
  add_sso(1, "one");
  add_sso(2, "two");
  set_ring("21");
  EXPECT_EQ(unreadable_with("2"), 9);
  int steps = 0;
  std::int64_t renewed = 0;
  for (bool done = false; !done && steps < 20; ++steps) {
    const auto count = step(4);
    EXPECT_LE(count.renewed, 4);
    EXPECT_EQ(unreadable_with("21"), 0);  // readable at every moment
    renewed += count.renewed;
    done = count.done;
  }
  EXPECT_EQ(renewed, 9);
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(unreadable_with("2"), 0);
  EXPECT_EQ(rows("SELECT number FROM sso_secrets WHERE number = 2").size(), 1U);
}

TEST_P(ReencryptorContract, ASecondPassFindsNothingToDo) {
  add_keys(3);
  set_ring("21");
  EXPECT_EQ(step(100).renewed, 3);
  const auto before =
      rows("SELECT ciphertext FROM provider_keys ORDER BY id").text(0, "ciphertext");
  const auto count = step(100);
  EXPECT_EQ(count.renewed + count.changed + count.unreadable, 0);
  EXPECT_TRUE(count.done);
  EXPECT_EQ(rows("SELECT ciphertext FROM provider_keys ORDER BY id").text(0, "ciphertext"), before);
}

TEST_P(ReencryptorContract, AfterACrashTheNextProcessDoesTheRest) {
  add_keys(6);
  set_ring("21");
  EXPECT_FALSE(step(4).done);
  work_ = open();
  const auto count = step(100);
  EXPECT_EQ(count.renewed, 2);
  EXPECT_TRUE(count.done);
}

TEST_P(ReencryptorContract, LeavesAndCountsWhatItCannotReadAndGoesOn) {
  add_sso(1, "one");
  add_sso(2, "two");
  add_sso(3, "three");
  rows("UPDATE sso_secrets SET sealed = 'no value' WHERE number = 1");
  rows("UPDATE sso_secrets SET org = 'moved' WHERE number = 2");
  rows("INSERT INTO sso_secrets VALUES (4, 'acme', ''), (5, 'acme', NULL)");
  set_ring("21");
  std::int64_t renewed = 0, unreadable = 0;
  int steps = 0;
  for (bool done = false; !done && steps < 20; ++steps) {
    const auto count = step(1);
    renewed += count.renewed;
    unreadable += count.unreadable;
    done = count.done;
  }
  EXPECT_LT(steps, 20);
  EXPECT_EQ(renewed, 1);
  EXPECT_EQ(unreadable, 2);
  EXPECT_EQ(rows("SELECT sealed FROM sso_secrets WHERE number = 1").text(0, "sealed"), "no value");
}

TEST_P(ReencryptorContract, AValueThatOthersChangeMeanwhileKeepsTheirs) {
  add_sso(1, "old");
  set_ring("21");
  const std::string theirs = ring_.get()->encrypt("new", "sso/acme");
  // Between reading and writing: the context is made just there.
  EncryptedColumn column = sso_column();
  column.context = [&](const std::vector<std::string>& row) {
    std::thread([&] { rows("UPDATE sso_secrets SET sealed = ?", {theirs}); }).join();
    return "sso/" + row[0];
  };
  work_ = std::make_unique<Reencryptor>(*db_, ring_, std::vector{column});
  const auto count = step(10);
  EXPECT_EQ(count.changed, 1);
  EXPECT_EQ(count.renewed, 0);
  EXPECT_EQ(rows("SELECT sealed FROM sso_secrets").text(0, "sealed"), theirs);
}

TEST_P(ReencryptorContract, BeginsAnewWhenTheKeyChangesInTheMiddle) {
  add_sso(1, "one");
  add_sso(2, "two");
  set_ring("21");
  EXPECT_EQ(step(1).renewed, 1);
  set_ring("321");
  EXPECT_EQ(step(10).renewed, 2);
  EXPECT_EQ(unreadable_with("3"), 0);
}

TEST_P(ReencryptorContract, HasNothingToDoWithoutAKey) {
  add_sso(1, "one");
  Live<KeyRing> none;
  Reencryptor idle(*db_, none, {sso_column()});
  const auto count = get<Reencryptor::Count>([&] { return idle.step(10); });
  EXPECT_TRUE(count.done);
  EXPECT_EQ(count.unreadable, 0);
}

TEST_P(ReencryptorContract, RunsToTheEndOrToItsCancellation) {
  add_keys(5);
  set_ring("21");
  const auto total =
      get<Reencryptor::Count>([&] { return work_->run(loops_.at(0), 2, 1ms, nullptr); });
  EXPECT_EQ(total.renewed, 5);
  EXPECT_TRUE(total.done);
  set_ring("32");
  const auto stopped = attempt<Reencryptor::Count>([&]() -> Task<Reencryptor::Count> {
    CancelSource cancel;
    cancel.cancel();
    co_return co_await work_->run(loops_.at(0), 2, 1h, &cancel);
  });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::kCancelled);
}

TEST_P(ReencryptorContract, TellsWhenTheDatabaseFailsAndGoesOnLater) {
  add_sso(1, "one");
  set_ring("21");
  rows("ALTER TABLE sso_secrets RENAME TO hidden");
  EXPECT_FALSE(attempt<Reencryptor::Count>([&] { return work_->step(10); }));
  rows("ALTER TABLE hidden RENAME TO sso_secrets");
  EXPECT_EQ(step(10).renewed, 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, ReencryptorContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
