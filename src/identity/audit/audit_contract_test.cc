// What the audit log promises, on every engine.

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>
#include <thread>

#include "base/hash.h"
#include "identity/audit/chain.h"
#include "identity/audit/cli.h"
#include "identity/audit/spool.h"
#include "identity/audit/testing/audit_fixture.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kKey;
using testing::make_entry;
using ::testing::SizeIs;

class AuditContract : public testing::AuditFixture {
 protected:
  static std::vector<std::string> actions(const std::vector<StoredAuditEntry>& entries) {
    std::vector<std::string> all;
    for (const auto& entry : entries) all.push_back(entry.action);
    return all;
  }
};

TEST_P(AuditContract, AnEntryComesBackAsItWasGiven) {
  AuditEntry entry = make_entry("acme", "policy.update",
                                {{"before", {{"b", 1.5}, {"a", nullptr}}}, {"text", "朝 \" '"}});
  entry.result = "denied";
  entry.data_classification = "confidential";
  const std::string id = append(entry);
  const auto stored = query({.org_id = "acme"});
  ASSERT_THAT(stored, SizeIs(1));
  EXPECT_EQ(stored[0].entry_id, id);
  EXPECT_EQ(stored[0].seq, 1);
  EXPECT_EQ(stored[0].prev_hash, "");
  EXPECT_EQ(stored[0].timestamp, clock_.now());
  EXPECT_EQ(stored[0].user_id, "ada");
  EXPECT_EQ(stored[0].action, "policy.update");
  EXPECT_EQ(stored[0].resource, "policy/1");
  EXPECT_EQ(canonical_json(stored[0].details), canonical_json(entry.details));
  EXPECT_EQ(stored[0].ip_address, "10.0.0.1");
  EXPECT_EQ(stored[0].user_agent, "curl/8");
  EXPECT_EQ(stored[0].result, "denied");
  EXPECT_EQ(stored[0].data_classification, "confidential");
}

TEST_P(AuditContract, EachEntryCarriesTheHashOfTheOneBefore) {
  for (const char* action : {"one", "two", "three"}) append(make_entry("acme", action));
  const auto rows =
      sql("SELECT " + std::string(audit::kRowColumns) + " FROM audit_entries ORDER BY seq");
  ASSERT_EQ(rows.size(), 3);
  EXPECT_TRUE(rows.is_null(0, "prev_hash"));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto row = audit::read_row(rows, i, db_->dialect());
    EXPECT_EQ(row.seq, static_cast<std::int64_t>(i) + 1);
    const std::string hash = to_hex(sha256(audit::canonical_row(row)));
    EXPECT_EQ(
        i < 2 ? rows.text(i + 1, "prev_hash") : sql("SELECT hash FROM audit_heads").text(0, "hash"),
        hash);
  }
  const auto checked = verify("acme");
  EXPECT_TRUE(checked.valid);
  EXPECT_EQ(checked.checked, 3);
  EXPECT_EQ(checked.problem, "");
}

TEST_P(AuditContract, OrganisationsHaveChainsOfTheirOwn) {
  for (int i = 0; i < 30; ++i) log_->record(make_entry("org_" + std::to_string(i % 3), "x"));
  ASSERT_TRUE(log_->flush(10s));
  for (const char* org : {"org_0", "org_1", "org_2"}) {
    EXPECT_EQ(query({.org_id = org}).front().seq, 10);
    EXPECT_EQ(verify(org).checked, 10);
    EXPECT_TRUE(verify(org).valid);
  }
  EXPECT_TRUE(verify("nobody").valid);
  EXPECT_EQ(verify("nobody").checked, 0);
}

TEST_P(AuditContract, RecordsAndAppendsKeepTheirOrder) {
  for (int i = 0; i < 40; i += 2) {
    log_->record(make_entry("acme", std::to_string(i)));
    append(make_entry("acme", std::to_string(i + 1)));
  }
  auto stored = query({.org_id = "acme"});
  std::ranges::reverse(stored);
  ASSERT_THAT(stored, SizeIs(40));
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(stored[static_cast<std::size_t>(i)].action, std::to_string(i));
}

TEST_P(AuditContract, QueriesAreNewestFirstAndFiltered) {
  const auto start = clock_.now();
  for (int i = 0; i < 10; ++i) {
    AuditEntry entry = make_entry("acme", i % 2 == 0 ? "even" : "odd", {{"i", i}});
    entry.user_id = i < 5 ? "ada" : "bob";
    append(entry);
    clock_.advance(1s);
  }
  append(make_entry("other", "even"));
  const auto numbers = [&](AuditFilter filter) {
    std::vector<std::int64_t> all;
    for (const auto& entry : query(filter)) all.push_back(entry.details.at("i").as_int64());
    return all;
  };
  EXPECT_THAT(numbers({.org_id = "acme"}), ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  EXPECT_THAT(numbers({.org_id = "acme", .action = "odd"}), ElementsAre(9, 7, 5, 3, 1));
  EXPECT_THAT(numbers({.org_id = "acme", .action = "odd", .user_id = "bob"}), ElementsAre(9, 7, 5));
  EXPECT_THAT(numbers({.org_id = "acme", .start = start + 2s, .end = start + 4s}),
              ElementsAre(4, 3, 2));
  EXPECT_THAT(numbers({.org_id = "acme", .limit = 2, .offset = 3}), ElementsAre(6, 5));
  EXPECT_THAT(numbers({.org_id = "acme", .limit = 2, .before_seq = 4}), ElementsAre(2, 1));
  EXPECT_THAT(numbers({.org_id = "acme", .action = "' OR 1=1 --"}), IsEmpty());
  for (const std::int64_t limit : {0, 501, -1}) {
    auto refused = attempt<std::vector<StoredAuditEntry>>(
        [&] { return log_->query({.org_id = "acme", .limit = limit}); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "limit");
  }
}

TEST_P(AuditContract, RowsCanNeitherBeChangedNorDeleted) {
  fill("acme", 3);
  for (const char* text :
       {"UPDATE audit_entries SET action = 'x'", "UPDATE audit_entries SET prev_hash = NULL",
        "DELETE FROM audit_entries", "DELETE FROM audit_entries WHERE seq = 3",
        "UPDATE audit_heads SET seq = 1", "DELETE FROM audit_heads",
        "INSERT INTO audit_entries (entry_id, org_id, user_id, action, resource, seq)"
        " VALUES ('x', 'acme', 'u', 'a', 'r', 2)"}) {
    EXPECT_FALSE(db_->query_blocking({text, {}})) << text;
  }
  if (is_postgres()) {
    EXPECT_FALSE(db_->query_blocking({"TRUNCATE audit_entries", {}}));
    EXPECT_FALSE(db_->query_blocking({"TRUNCATE audit_heads", {}}));
  } else {
    EXPECT_FALSE(db_->query_blocking(
        {"INSERT OR REPLACE INTO audit_entries (id, entry_id, org_id, user_id, action, resource,"
         " seq) SELECT id, entry_id, org_id, user_id, 'forged', resource, seq FROM audit_entries",
         {}}));
    EXPECT_FALSE(
        db_->query_blocking({"UPDATE OR REPLACE audit_entries SET seq = 1 WHERE seq = 2", {}}));
  }
  EXPECT_EQ(verify("acme").checked, 3);
  EXPECT_TRUE(verify("acme").valid);
}

TEST_P(AuditContract, TrimmingLeavesAnAnchorThatTheRestVerifiesFrom) {
  fill("acme", 5);
  clock_.advance(1h);
  const auto border = clock_.now();
  fill("acme", 4);
  fill("other", 2);
  EXPECT_EQ(get<std::int64_t>([&] { return log_->trim("acme", border); }), 5);
  EXPECT_EQ(get<std::int64_t>([&] { return log_->trim("acme", border); }), 0);
  EXPECT_EQ(query({.org_id = "acme"}).back().seq, 6);
  auto checked = verify("acme");
  EXPECT_TRUE(checked.valid) << checked.problem;
  EXPECT_EQ(checked.checked, 4);
  EXPECT_TRUE(verify("other").valid);
  EXPECT_EQ(sql("SELECT entries FROM audit_anchors").integer(0, "entries"), 5);
  EXPECT_FALSE(db_->query_blocking({"DELETE FROM audit_anchors", {}}));
  EXPECT_FALSE(db_->query_blocking({"UPDATE audit_anchors SET seq = 8", {}}));
  EXPECT_FALSE(db_->query_blocking({"DELETE FROM audit_entries WHERE org_id = 'acme'", {}}));
  // Everything may go, and the chain goes on.
  clock_.advance(1h);
  EXPECT_EQ(get<std::int64_t>([&] { return log_->trim("acme", clock_.now()); }), 4);
  EXPECT_TRUE(verify("acme").valid);
  append(make_entry("acme", "after"));
  EXPECT_EQ(query({.org_id = "acme"})[0].seq, 10);
  checked = verify("acme");
  EXPECT_TRUE(checked.valid) << checked.problem;
  EXPECT_EQ(checked.checked, 1);
}

TEST_P(AuditContract, NumbersInDetailsComeBackFromTheDatabaseAsTheyWereHashed) {
  std::mt19937_64 random(7);
  json::array numbers;
  for (int i = 0; i < 1'500; ++i) {
    const double magnitude = std::pow(10, static_cast<double>(random() % 44) - 22);
    numbers.emplace_back(static_cast<double>(random()) / 1e19 * magnitude);
  }
  append(make_entry("acme", "numbers", {{"n", numbers}, {"u", UINT64_MAX}, {"i", INT64_MIN}}));
  append(make_entry("acme", "next"));
  EXPECT_TRUE(verify("acme").valid);
}

TEST_P(AuditContract, OddTextsAreStoredAndVerify) {
  AuditEntry entry = make_entry(std::string("acme\xff"), std::string("a\0b", 3));
  entry.user_id = std::string(400, 'u');
  entry.details = {{"", "\x01 \\ \u2028"}, {std::string("k\0", 2), "\xc3"}};
  entry.ip_address = "";
  append(entry);
  append(entry);
  const auto checked = verify("acme\uFFFD");
  EXPECT_TRUE(checked.valid) << checked.problem;
  EXPECT_EQ(checked.checked, 2);
}

TEST_P(AuditContract, EntriesWithoutAnOrganisationAreRefused) {
  EXPECT_FALSE(log_->record(make_entry("", "x")));
  EXPECT_FALSE(log_->record(make_entry(std::string(256, 'o'), "x")));
  EXPECT_EQ(log_->dropped(), 2);
  auto refused = attempt<std::string>([&] { return log_->append(make_entry("", "x")); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
}

TEST_P(AuditContract, SeveralWritersMakeOneChainWithoutGaps) {
  constexpr int kWriters = 4;
  constexpr int kEach = 150;
  std::vector<std::unique_ptr<sql::Database>> databases;
  std::vector<std::unique_ptr<AuditLog>> logs;
  for (int i = 0; i < kWriters; ++i) {
    // Memory databases cannot be shared by two connections.
    const bool shared = GetParam() == sql::testing::Engine::kSqliteMemory;
    databases.push_back(shared ? nullptr : open_again());
    logs.push_back(open_log(shared ? *db_ : *databases.back()));
  }
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) {
        logs[static_cast<std::size_t>(w)]->record(
            make_entry(i % 5 == 0 ? "other" : "acme", "w", {{"writer", w}, {"i", i}}));
        if (i % 10 == 0) std::this_thread::yield();
      }
      EXPECT_TRUE(logs[static_cast<std::size_t>(w)]->flush(60s));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& [org, count] : {std::pair{"acme", 480}, std::pair{"other", 120}}) {
    const auto checked = verify(org);
    EXPECT_TRUE(checked.valid) << checked.problem << " at " << checked.first_bad_entry;
    EXPECT_EQ(checked.checked, count);
  }
  // Each writer's entries stand in the order they were recorded in.
  std::array<std::int64_t, kWriters> last{};
  last.fill(1'000);
  for (const auto& entry : query({.org_id = "acme", .limit = 480})) {
    auto& before = last[static_cast<std::size_t>(entry.details.at("writer").as_int64())];
    EXPECT_LT(entry.details.at("i").as_int64(), before);
    before = entry.details.at("i").as_int64();
  }
  logs.clear();
}

TEST_P(AuditContract, ARestartStoresWhatWasLeftInTheSpoolOnce) {
  fill("acme", 3);
  // A process that stored its entries and was killed before it took note.
  auto spool = audit::Spool::create(spool_.path(), 1 << 20);
  ASSERT_TRUE(spool);
  const auto rows =
      sql("SELECT " + std::string(audit::kRowColumns) + " FROM audit_entries ORDER BY seq");
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    payloads.push_back(audit::encode_pending(audit::read_row(rows, i, db_->dialect())));
  }
  payloads.push_back(
      audit::encode_pending(audit::chain_row(make_entry("acme", "left"), clock_.now())));
  ASSERT_TRUE((*spool)->append(payloads));
  spool->reset();
  for (int restart = 0; restart < 2; ++restart) {
    log_.reset();
    log_ = open_log(*db_);
    ASSERT_TRUE(log_->flush(10s));
    EXPECT_THAT(actions(query({.org_id = "acme"})),
                ElementsAre("left", "action.2", "action.1", "action.0"));
    EXPECT_TRUE(verify("acme").valid);
  }
  log_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(spool_.path()));
}

TEST_P(AuditContract, WhatWasRecordedBeforeTheEndIsStoredByTheNextStart) {
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 50; ++i) log_->record(make_entry("acme", "x", {{"n", round * 50 + i}}));
    log_.reset();
    log_ = open_log(*db_);
  }
  ASSERT_TRUE(log_->flush(10s));
  const auto stored = query({.org_id = "acme", .limit = 500});
  ASSERT_THAT(stored, SizeIs(250));
  for (std::size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(stored[i].details.at("n").as_int64(), 249 - static_cast<std::int64_t>(i));
  }
  EXPECT_TRUE(verify("acme").valid);
}

TEST_P(AuditContract, AHeadWrittenWithoutTheKeyIsToldFromASignedOne) {
  log_.reset();
  log_ = open_log(*db_, {.spool_dir = spool_.path()});
  fill("acme", 3);
  EXPECT_TRUE(verify("acme").valid);
  log_.reset();
  log_ = open_log(*db_);
  fill("acme", 1);
  EXPECT_EQ(verify("acme").problem, "head unsigned");
}

TEST_P(AuditContract, TheCommandTellsWhetherAChainIsWhole) {
  fill("acme", 3);
  std::ostringstream out;
  EXPECT_EQ(run_audit_verify(*db_, kKey, "acme", out), 0);
  EXPECT_THAT(out.str(), HasSubstr("is whole: 3 entries"));
  EXPECT_EQ(run_audit_verify(*db_, "another key", "acme", out), 1);
  EXPECT_THAT(out.str(), HasSubstr("BROKEN, found among the first 3 entries: head forged"));
}

TEST_P(AuditContract, TheMigrationGoesDownAndUpAgain) {
  fill("acme", 3);
  log_.reset();
  sql::Migrator migrator(*db_, testing::audit_schema());
  auto down = migrator.downgrade(1);
  ASSERT_TRUE(down) << down.error().message;
  sql("DELETE FROM audit_entries WHERE action = 'action.1'");
  auto up = migrator.upgrade();
  ASSERT_TRUE(up) << up.error().message;
  log_ = open_log(*db_);
  EXPECT_EQ(verify("acme").problem, "head missing");  // what was never chained does not verify
}

INSTANTIATE_TEST_SUITE_P(Engines, AuditContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
