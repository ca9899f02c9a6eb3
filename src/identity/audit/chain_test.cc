// The forms of an entry: what is hashed, kept and exported.
#include "identity/audit/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/utf8.h"
#include "identity/audit/testing/audit_fixture.h"

namespace asahi::identity {
namespace {

using audit::canonical_details;
using audit::canonical_row;
using audit::chain_row;
using audit::ChainRow;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ChainRow sample() {
  ChainRow row = chain_row(
      testing::make_entry("acme", "policy.update", {{"z", 1}, {"a", "quote \" and\nline"}}),
      Clock::Time{std::chrono::milliseconds{1'700'000'000'123}});
  row.id = 7;
  row.seq = 3;
  row.prev_hash = "ab12";
  return row;
}

TEST(AuditChain, TheHashIsOverTheCanonicalJsonOfEveryColumn) {
  ChainRow row = sample();
  const json::object all = {{"id", 7},
                            {"seq", 3},
                            {"entry_id", row.entry_id},
                            {"timestamp", "2023-11-14T22:13:20.123Z"},
                            {"org_id", "acme"},
                            {"user_id", "ada"},
                            {"action", "policy.update"},
                            {"resource", "policy/1"},
                            {"details", {{"a", "quote \" and\nline"}, {"z", 1}}},
                            {"ip_address", "10.0.0.1"},
                            {"user_agent", "curl/8"},
                            {"result", "success"},
                            {"data_classification", "internal"},
                            {"prev_hash", "ab12"}};
  EXPECT_EQ(canonical_row(row), canonical_json(all));
  EXPECT_EQ(audit::row_hash(row), to_hex(sha256(canonical_json(all))));
  row.prev_hash.reset();
  row.ip_address.reset();
  row.user_agent.reset();
  json::object first = all;
  first["prev_hash"] = first["ip_address"] = first["user_agent"] = nullptr;
  EXPECT_EQ(canonical_row(row), canonical_json(first));
}

TEST(AuditChain, WhatAColumnCannotHoldIsCutOrMended) {
  AuditEntry entry = testing::make_entry("acme", std::string(200, 'x'));
  entry.user_id = "\xff\xfe" + std::string("a\0b", 3);
  for (int i = 0; i < 300; ++i) entry.resource += "朝";
  entry.ip_address.clear();
  entry.user_agent = std::string(5'000, 'u');
  const ChainRow row = chain_row(std::move(entry), Clock::Time{});
  EXPECT_EQ(row.action, std::string(100, 'x'));
  EXPECT_EQ(row.user_id, "\uFFFD\uFFFDa\uFFFDb");
  EXPECT_TRUE(is_utf8(row.resource));
  EXPECT_EQ(row.resource.size(), 8 + 3 * (255 - 8));  // 255 characters
  EXPECT_FALSE(row.ip_address);
  EXPECT_EQ(row.user_agent->size(), 1'024);
  EXPECT_THAT(row.entry_id, StartsWith("aud_"));
  EXPECT_EQ(row.entry_id.size(), 30);
}

TEST(AuditChain, DetailsTakeTheOneFormThatEveryReaderGivesBack) {
  EXPECT_EQ(canonical_details({{"b", 1.0}, {"a", json::array{true, nullptr}}}),
            R"({"a":[true,null],"b":1})");
  EXPECT_EQ(canonical_details({{"n", 1e15}, {"u", std::uint64_t{5}}}),
            R"({"n":1000000000000000,"u":5})");
  EXPECT_EQ(canonical_details({{"n", 1e30}}), R"({"n":"1e+30"})");
  EXPECT_EQ(canonical_details({{"n", std::nan("")}}), R"({"n":"nan"})");
  EXPECT_EQ(canonical_details({{"n", std::numeric_limits<double>::denorm_min()}}),
            R"({"n":"5e-324"})");
  EXPECT_EQ(canonical_details({{std::string("k\0", 2), std::string("v\0", 2)}}),
            "{\"k\uFFFD\":\"v\uFFFD\"}");
  EXPECT_EQ(canonical_details({{"text", std::string(70'000, 'x')}}),
            R"({"bytes":70011,"truncated":true})");
  json::value deep = 1;
  for (int i = 0; i < 100; ++i) deep = json::object{{"d", std::move(deep)}};
  const std::string text = canonical_details({{"d", std::move(deep)}});
  EXPECT_THAT(text, HasSubstr("nested too deep"));
  EXPECT_EQ(canonical_json(*parse_json(text)), text);
}

TEST(AuditChain, APendingEntryComesBackFromTheSpoolAsItWas) {
  ChainRow row = sample();
  row.id = row.seq = 0;
  row.prev_hash.reset();
  const auto back = audit::decode_pending(audit::encode_pending(row));
  ASSERT_TRUE(back);
  EXPECT_EQ(canonical_row(*back), canonical_row(row));
  const std::string text = audit::encode_pending(row);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_FALSE(audit::decode_pending(text.substr(0, cut)));
  }
  EXPECT_FALSE(audit::decode_pending(text + "x"));
}

TEST(AuditExport, CsvFollowsRfc4180AndStartsNoFormulas) {
  StoredAuditEntry entry;
  entry.entry_id = "aud_1";
  entry.timestamp = Clock::Time{std::chrono::seconds{1'700'000'000}};
  entry.org_id = "acme";
  entry.user_id = "=HYPERLINK(\"http://evil\",\"x\")";
  entry.action = "+1";
  entry.resource = "-2+3";
  entry.user_agent = "@SUM(A1)\r\nsecond line";
  entry.ip_address = "\tx";
  entry.details = {{"a", 1}, {"b", "x"}};
  entry.seq = 2;
  entry.id = 9;
  EXPECT_EQ(audit_csv({entry}),
            "entry_id,timestamp,org_id,user_id,action,resource,result,ip_address,user_agent,"
            "data_classification,details,seq,id,prev_hash\r\n"
            "aud_1,2023-11-14T22:13:20.000Z,acme,\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\","
            "'+1,'-2+3,success,'\tx,\"'@SUM(A1)\r\nsecond line\",internal,"
            "\"{\"\"a\"\":1,\"\"b\"\":\"\"x\"\"}\",2,9,\r\n");
}

TEST(AuditExport, JsonIsAnArrayThatHoldsEverythingTheHashCovers) {
  StoredAuditEntry entry;
  entry.entry_id = "aud_1";
  entry.org_id = "acme";
  entry.details = {{"n", 1.5}};
  const auto read = parse_json(audit_json({entry, entry}));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->as_array().size(), 2);
  const auto& first = read->at(0).as_object();
  EXPECT_EQ(first.size(), 14);
  EXPECT_EQ(first.at("details").at("n"), 1.5);
  EXPECT_TRUE(first.at("prev_hash").is_null());
  EXPECT_EQ(*parse_json(audit_json({})), json::array{});
}

TEST(AuditClassification, FollowsTheTable) {
  EXPECT_EQ(classification_of("inference", true, true), "restricted");
  EXPECT_EQ(classification_of("inference", true, false), "confidential");
  EXPECT_EQ(classification_of("inference", false, true), "internal");
  EXPECT_EQ(classification_of("model.update", false, true), "internal");
  EXPECT_EQ(classification_of("user.create", false, false), "confidential");
  EXPECT_EQ(classification_of("policy.update", false, false), "confidential");
  EXPECT_EQ(classification_of("api_key.revoke", false, false), "confidential");
  EXPECT_EQ(classification_of("metrics.view", false, true), "public");
  EXPECT_EQ(classification_of("auth_failure", false, false), "internal");
  EXPECT_EQ(classification_of("users_export", false, false), "internal");
}

}  // namespace
}  // namespace asahi::identity
