// Retention and the rights of data subjects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/events/event.h"
#include "gateway/governance/gdpr.h"
#include "gateway/governance/masking_audit.h"
#include "gateway/governance/retention.h"
#include "gateway/governance/testing/scene.h"
#include "gateway/testing/temp_folder.h"

namespace asahi::gateway {
namespace {

using std::chrono::days;
using ::testing::ElementsAre;

class PrivacyTest : public testing::GovernanceScene {
 protected:
  RetentionParts retention() {
    return {.policies = policies_,
            .database = *database_,
            .cache = cache_,
            .store = store_,
            .audit = audit_,
            .files = files_,
            .clock = clock_,
            .log_dir = folder_.path(),
            .node_id = "n1"};
  }
  GdprParts gdpr() {
    return {.database = *database_,
            .cache = cache_,
            .store = store_,
            .audit = audit_,
            .accounts = accounts_,
            .clock = clock_};
  }
  Result<RetentionReport> run() {
    return loops_.wait_for([&] { return run_retention(retention()); });
  }
  /// A day's file with one line per (organisation, user).
  std::string add_log(days age, std::vector<std::pair<std::string, std::string>> lines) {
    std::string content;
    for (const auto& [org, user] : lines) {
      InferenceEvent event;
      event.event_id = event.request_id = "id";
      event.timestamp = clock_.now() - age;
      event.org_id = org;
      event.user_id = user;
      append_json(content, event);
      content += '\n';
    }
    const std::string name = "events_" + format_date(clock_.now() - age) + ".jsonl";
    std::ofstream(folder_.path() + "/" + name) << content;
    return name;
  }
  void loader_stands_at(const std::string& file) {
    ASSERT_TRUE(database_->query_blocking(
        {"INSERT INTO event_log_positions (node_id, file, byte_offset) VALUES ('n1', ?, 0)",
         {file}}));
  }
  std::vector<std::string> lines_of(const std::string& file) {
    std::ifstream in(folder_.path() + "/" + file);
    std::vector<std::string> who;
    for (std::string line; std::getline(in, line);) {
      const auto event = event_from_json(line);
      who.push_back(event ? event->org_id + "/" + event->user_id : "?");
    }
    return who;
  }

  testing::TempFolder folder_;
  boost::asio::thread_pool files_{1};
};

struct Pieces final : http::BodyWriter {
  Task<void> write(std::string bytes) override {
    text += bytes;
    co_return Result<void>{};
  }
  std::string text;
};

TEST_F(PrivacyTest, DeletesWhatIsOlderThanEachOrganisationKeeps) {
  set_profile("short", R"({"retention_days":10})");
  add_event("short", "u", days(11));
  add_event("short", "u", days(9));
  add_event("usual", "u", days(366));
  add_event("usual", "u", days(300));
  add_answer("short", "old", days(11));
  add_answer("short", "young", days(9));
  add_answer("usual", "kept", days(11));
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  const json::object shown = report_json(*report);
  EXPECT_EQ(shown.at("events"), 2);
  EXPECT_EQ(shown.at("cache_entries"), 1);
  EXPECT_EQ(shown.at("audit_entries"), 6);
  EXPECT_EQ(count("inference_events"), 2);
  EXPECT_THAT(answers("short"), ElementsAre("young"));
  EXPECT_THAT(answers("usual"), ElementsAre("kept"));
  EXPECT_EQ(count("retention_runs"), 2);
  // Audit entries are kept a year even where events are not.
  EXPECT_EQ(audit_.trims.at("short"), clock_.now() - days(365));
}

TEST_F(PrivacyTest, DeletesMoreThanOnePortion) {
  ASSERT_TRUE(
      database_->query_blocking({"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                                 "WHERE i < 5001) INSERT INTO inference_events "
                                 "(event_id, request_id, timestamp, org_id, model_selected) SELECT "
                                 "'e' || i, 'r', '2000-01-01T00:00:00.000Z', 'a', 'm' FROM n",
                                 {}}));
  const auto report = run();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->orgs.at(0).events, 5'001);
}

TEST_F(PrivacyTest, CleansFilesThatNobodyReadsAnyMore) {
  set_profile("short", R"({"retention_days":10})");
  const std::string ancient = add_log(days(400), {{"usual", "u"}, {"short", "u"}});
  const std::string mixed = add_log(days(20), {{"usual", "u"}, {"short", "u"}});
  const std::string young = add_log(days(5), {{"usual", "u"}, {"short", "u"}});
  const std::string open = add_log(days(0), {{"short", "u"}});
  loader_stands_at(open);
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->log_files, 1);
  EXPECT_EQ(report->log_lines, 3);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/" + ancient));
  EXPECT_THAT(lines_of(mixed), ElementsAre("usual/u"));
  EXPECT_EQ(lines_of(young).size(), 2U);
  EXPECT_EQ(lines_of(open).size(), 1U);
}

TEST_F(PrivacyTest, ALineThatCannotBeReadGoesWithItsFile) {
  const std::string ancient = add_log(days(400), {{"acme", "u"}});
  const std::string young = add_log(days(5), {{"acme", "u"}});
  for (const std::string& file : {ancient, young}) {
    std::ofstream(folder_.path() + "/" + file, std::ios::app) << "{\"cut\n";
  }
  loader_stands_at("events_9999-12-31.jsonl");
  ASSERT_TRUE(run());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/" + ancient));
  EXPECT_THAT(lines_of(young), ElementsAre("acme/u", "?"));
}

TEST_F(PrivacyTest, LeavesFilesThatTheLoaderStillNeeds) {
  const std::string old = add_log(days(400), {{"a", "u"}});
  loader_stands_at(old);
  ASSERT_TRUE(run());
  EXPECT_EQ(lines_of(old).size(), 1U);
}

TEST_F(PrivacyTest, AFailureOfOnePartDoesNotKeepTheOthersFromRunning) {
  add_event("acme", "u", days(400));
  const std::string old = add_log(days(400), {{"acme", "u"}});
  loader_stands_at("events_9999-12-31.jsonl");
  ASSERT_TRUE(database_->query_blocking({"DROP TABLE retention_runs", {}}));
  EXPECT_FALSE(run());
  EXPECT_EQ(count("inference_events"), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/" + old));
}

TEST_F(PrivacyTest, ErasesAUserEverywhereAndReportsTheCounts) {
  accounts_.people.insert({"acme", "bob"});
  add_event("acme", "bob", days(1), "0.010000000");
  add_event("acme", "bob", days(2));
  add_event("acme", "eve", days(1), "0.020000000");
  add_event("other", "bob", days(1));
  add_answer("acme", "bob's", days(1) + std::chrono::seconds(2), nano_usd_from_dollars(0.01));
  add_answer("acme", "eve's", days(1), nano_usd_from_dollars(0.02));
  Consent consent{.consent_id = {}, .org_id = "acme", .user_id = "bob", .purpose = "analytics"};
  ASSERT_TRUE(loops_.wait_for([&] { return record_consent(gdpr(), consent); }));
  const auto report = loops_.wait_for([&] { return erase_user(gdpr(), "acme", "bob"); });
  ASSERT_TRUE(report) << report.error().message;
  // Sums under bob's name: of two hours, and of the two days that are over.
  EXPECT_EQ(
      write_json(report_json(*report)),
      R"({"events":2,"rollups":4,"cache_entries":1,"pii":{"users":1,"api_keys":1,"consents":1},"audit_entries_kept":0})");
  EXPECT_EQ(count("inference_events", "user_id = 'bob'"), 1);
  EXPECT_THAT(answers("acme"), ElementsAre("eve's"));
  EXPECT_EQ(count("gdpr_consents"), 0);
}

TEST_F(PrivacyTest, TheNextRetentionRunCompletesAnErasureInFilesAndLateRows) {
  const std::string yesterday =
      add_log(days(1), {{"acme", "bob"}, {"acme", "eve"}, {"other", "bob"}});
  const std::string today = add_log(days(0), {{"acme", "bob"}});
  loader_stands_at(today);
  ASSERT_TRUE(loops_.wait_for([&] { return erase_user(gdpr(), "acme", "bob"); }));
  add_event("acme", "bob", days(1));  // loaded after the erasure
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(lines_of(yesterday), ElementsAre("acme/eve", "other/bob"));
  EXPECT_EQ(count("inference_events", "user_id = 'bob'"), 0);
  // Whoever comes back after the erasure is kept again, and its record goes after a month.
  clock_.advance(days(31));
  add_event("acme", "bob", days(1));
  ASSERT_TRUE(run());
  EXPECT_EQ(count("inference_events", "user_id = 'bob'"), 1);
  EXPECT_EQ(count("gdpr_erasures"), 0);
}

TEST_F(PrivacyTest, ExportsEverythingOfAUserAndNothingOfOthers) {
  accounts_.people.insert({"acme", "bob"});
  for (int i = 0; i < 1'001; ++i) add_event("acme", "bob", std::chrono::seconds(i));
  add_event("acme", "eve", days(1));
  ASSERT_TRUE(
      database_->query_blocking({"INSERT INTO api_keys (key_prefix, key_hash, user_id, org_id, "
                                 "expires_at) VALUES ('ask_acme_abc', 'topsecret', 'bob', "
                                 "'acme', '2030-01-01T00:00:00.000Z')",
                                 {}}));
  audit_.record(
      {.org_id = "acme", .user_id = "bob", .action = "policy.update", .resource = "policy/acme"});
  audit_.record(
      {.org_id = "acme", .user_id = "eve", .action = "policy.update", .resource = "policy/acme"});
  Pieces pieces;
  const auto done = loops_.wait_for([&] { return export_user(gdpr(), "acme", "bob", pieces); });
  ASSERT_TRUE(done) << done.error().message;
  const auto parsed = parse_json(pieces.text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  const json::object& dump = parsed->as_object();
  EXPECT_EQ(dump.at("account").at("email"), "bob@example.com");
  EXPECT_EQ(dump.at("events").as_array().size(), 1'001U);
  ASSERT_EQ(dump.at("api_keys").as_array().size(), 1U);
  EXPECT_EQ(dump.at("api_keys").at(0).at("revoked"), false) << "a boolean in both dialects";
  EXPECT_TRUE(dump.at("api_keys").at(0).at("scopes").is_array());
  EXPECT_EQ(dump.at("audit_entries").as_array().size(), 1U);
  EXPECT_EQ(pieces.text.find("topsecret"), std::string::npos);
}

TEST_F(PrivacyTest, TheAuditLogHoldsNoPersonalDataInItsDetails) {
  const auto log = make_masking_audit(audit_);
  identity::AuditEntry entry{
      .org_id = "acme", .user_id = "bob", .action = "user.create", .resource = "user/bob"};
  entry.details = {{"email", "bob@example.com"}};
  log->record(entry);
  ASSERT_TRUE(loops_.wait_for([&] { return log->append(entry); }));
  for (const identity::AuditEntry& stored : audit_.entries())
    EXPECT_EQ(stored.details.at("email"), "[EMAIL_REDACTED]");
  EXPECT_EQ(audit_.entries().size(), 2U);
}

TEST_F(PrivacyTest, AWithdrawnConsentIsARecordOfItsOwn) {
  Consent consent{.consent_id = {}, .org_id = "acme", .user_id = "bob", .purpose = "analytics"};
  ASSERT_TRUE(loops_.wait_for([&] { return record_consent(gdpr(), consent); }));
  consent.granted = false;
  const auto stored = loops_.wait_for([&] { return record_consent(gdpr(), consent); });
  ASSERT_TRUE(stored);
  EXPECT_TRUE(stored->consent_id.starts_with("con_"));
  EXPECT_EQ(count("gdpr_consents"), 2);
  EXPECT_EQ(count("gdpr_consents", "granted = 0"), 1);
}

}  // namespace
}  // namespace asahi::gateway
