// Somebody with full rights on the database: triggers dropped, rows written by hand. Verification
// finds it and says where.
#include "identity/audit/chain.h"
#include "identity/audit/testing/audit_fixture.h"

namespace asahi::identity {
namespace {

using testing::kKey;
using testing::make_entry;

class AuditTamper : public testing::AuditFixture {
 protected:
  static constexpr int kRows = 8;

  void SetUp() override {
    AuditFixture::SetUp();
    if (!log_) return;
    fill("acme", kRows);
    fill("other", kRows);
    for (std::int64_t seq = 1; seq <= kRows; ++seq) {
      ids_.push_back(
          sql("SELECT entry_id FROM audit_entries WHERE org_id = 'acme' AND seq = ?", {seq})
              .text(0, "entry_id"));
    }
    if (is_postgres()) {
      for (const char* table : {"audit_entries", "audit_heads", "audit_anchors"}) {
        sql("ALTER TABLE " + std::string(table) + " DISABLE TRIGGER USER");
      }
    } else {
      const auto triggers = sql("SELECT name FROM sqlite_master WHERE type = 'trigger'");
      for (std::size_t i = 0; i < triggers.size(); ++i) {
        sql("DROP TRIGGER " + triggers.text(i, "name"));
      }
    }
    ASSERT_TRUE(verify("acme").valid);
  }

  const std::string& id(int seq) const { return ids_.at(static_cast<std::size_t>(seq - 1)); }
  /// What verification says: "problem at N", N being the place that the entry had.
  std::string verdict(const std::string& org = "acme") {
    const auto checked = verify(org);
    if (checked.valid) return "valid";
    std::string where = checked.first_bad_entry;
    const auto at = std::ranges::find(ids_, where);
    if (at != ids_.end()) where = std::to_string(at - ids_.begin() + 1);
    return checked.problem + " at " + where;
  }
  /// Runs `change`, takes the verdict, and undoes it.
  std::string verdict_after(const std::string& change, const std::string& org = "acme") {
    backup();
    sql(change);
    const std::string said = verdict(org);
    restore();
    EXPECT_EQ(verdict(), "valid");
    return said;
  }
  void backup() {
    for (const char* table : {"audit_entries", "audit_heads", "audit_anchors"}) {
      sql("CREATE TABLE saved_" + std::string(table) + " AS SELECT * FROM " + table);
    }
  }
  void restore() {
    for (const char* table : {"audit_entries", "audit_heads", "audit_anchors"}) {
      sql("DELETE FROM " + std::string(table));
      sql("INSERT INTO " + std::string(table) + " SELECT * FROM saved_" + table);
      sql("DROP TABLE saved_" + std::string(table));
    }
  }

  std::vector<std::string> ids_;
};

TEST_P(AuditTamper, AChangedColumnOfAnyRowIsFoundThere) {
  const std::pair<const char*, std::string> changes[] = {
      {"id", "9999"},
      {"entry_id", "'aud_forged'"},
      {"timestamp", "'2020-01-01T00:00:00.000Z'"},
      {"user_id", "'eve'"},
      {"action", "'nothing'"},
      {"resource", "''"},
      {"details", R"('{"n":99}')"},
      {"details", R"('{}')"},
      {"ip_address", "'6.6.6.6'"},
      {"ip_address", "NULL"},
      {"ip_address", "''"},
      {"user_agent", "NULL"},
      {"user_agent", "'curl/8 '"},
      {"result", "'failure'"},
      {"data_classification", "'public'"},
      {"prev_hash", "NULL"},
      {"prev_hash", "'" + std::string(64, '0') + "'"},
  };
  for (const auto& [column, value] : changes) {
    for (const int seq : {1, 4, kRows - 1, kRows}) {
      if (std::string_view(column) == "prev_hash" && value == "NULL" && seq == 1) continue;  // is
      const std::string said =
          verdict_after("UPDATE audit_entries SET " + std::string(column) + " = " + value +
                        " WHERE org_id = 'acme' AND seq = " + std::to_string(seq));
      const std::string where =
          std::string_view(column) == "entry_id" ? "aud_forged" : std::to_string(seq);
      EXPECT_EQ(said, "changed at " + where) << column << " = " << value << " of row " << seq;
    }
  }
}

TEST_P(AuditTamper, TimesAreHeldToTheMicrosecond) {
  if (!is_postgres()) GTEST_SKIP() << "SQLite keeps times as text";
  EXPECT_EQ(verdict_after("UPDATE audit_entries SET timestamp = timestamp + interval"
                          " '1 microsecond' WHERE org_id = 'acme' AND seq = 3"),
            "changed at 3");
}

TEST_P(AuditTamper, ASecondMeaningInTheDetailsIsFound) {
  if (is_postgres()) GTEST_SKIP() << "JSONB has one form only";
  for (const char* text : {R"({"n":2,"n":3})", R"({"n":3,"n":2})", R"({"n": 2})", "nonsense"}) {
    EXPECT_EQ(verdict_after(std::string("UPDATE audit_entries SET details = '") + text +
                            "' WHERE org_id = 'acme' AND seq = 3"),
              "changed at 3");
  }
}

TEST_P(AuditTamper, RemovedRowsAreFoundWhereverTheyStood) {
  const std::string from = "DELETE FROM audit_entries WHERE org_id = 'acme' AND ";
  EXPECT_EQ(verdict_after(from + "seq = 1"), "missing before at 2");
  EXPECT_EQ(verdict_after(from + "seq <= 3"), "missing before at 4");
  EXPECT_EQ(verdict_after(from + "seq = 5"), "missing before at 6");
  EXPECT_EQ(verdict_after(from + "seq = 8"), "missing after at 7");
  EXPECT_EQ(verdict_after(from + "seq >= 3"), "missing after at 2");
  EXPECT_EQ(verdict_after(from + "seq > 0"), "missing after at ");
}

TEST_P(AuditTamper, AGapThatWasClosedByRenumberingIsFound) {
  sql("DELETE FROM audit_entries WHERE org_id = 'acme' AND seq = 5");
  for (int seq = 6; seq <= kRows; ++seq) {
    sql("UPDATE audit_entries SET seq = seq - 1 WHERE org_id = 'acme' AND seq = " +
        std::to_string(seq));
  }
  const auto checked = verify("acme");
  EXPECT_FALSE(checked.valid);
  EXPECT_GE(checked.checked, 4);
}

TEST_P(AuditTamper, InsertedRowsAreFound) {
  const auto copy = [](const std::string& seq, const std::string& prev_hash) {
    return "INSERT INTO audit_entries (id, entry_id, timestamp, org_id, user_id, action, resource,"
           " details, prev_hash, seq) SELECT 5000, 'aud_forged', timestamp, org_id, user_id,"
           " 'forged', resource, details, " +
           prev_hash + ", " + seq + " FROM audit_entries WHERE org_id = 'acme' AND seq = 8";
  };
  const std::string head = "(SELECT hash FROM audit_heads WHERE org_id = 'acme')";
  EXPECT_EQ(verdict_after(copy("9", head)), "inserted at aud_forged");
  EXPECT_EQ(verdict_after(copy("20", "NULL")), "inserted at aud_forged");
  EXPECT_EQ(verdict_after(copy("0", "NULL")), "inserted at aud_forged");
  EXPECT_EQ(verdict_after(copy("-3", "NULL")), "inserted at aud_forged");
  sql("DROP INDEX idx_audit_org_id");
  EXPECT_EQ(verdict_after(copy("4", "prev_hash")), "order at aud_forged");
  if (!is_postgres()) EXPECT_EQ(verdict_after(copy("NULL", "NULL")), "inserted at aud_forged");
}

TEST_P(AuditTamper, ReorderedRowsAreFoundAtTheFirstOne) {
  for (const auto& [a, b] : {std::pair{3, 4}, std::pair{2, 7}, std::pair{1, 8}}) {
    backup();
    const auto move = [&](const std::string& entry, int to) {
      sql("UPDATE audit_entries SET seq = " + std::to_string(to) + " WHERE entry_id = '" + entry +
          "'");
    };
    move(id(a), 1'000);
    move(id(b), a);
    move(id(a), b);
    const std::string said = verdict();
    // The row that now stands at the earlier place does not belong there.
    EXPECT_TRUE(said == "order at " + std::to_string(b) ||
                said == "changed at " + std::to_string(b))
        << said << " for " << a << " and " << b;
    restore();
  }
}

TEST_P(AuditTamper, RowsSwappedBetweenOrganisationsAreFoundInBoth) {
  const std::string swap =
      "UPDATE audit_entries SET org_id = CASE org_id WHEN 'acme' THEN 'x-acme' ELSE 'x-other' END"
      " WHERE seq = 4";
  sql(swap);
  sql("UPDATE audit_entries SET org_id = CASE org_id WHEN 'x-acme' THEN 'other' ELSE 'acme' END"
      " WHERE seq = 4");
  const auto there = verify("other");
  EXPECT_FALSE(there.valid);
  EXPECT_EQ(there.first_bad_entry, id(4));
  const auto here = verify("acme");
  EXPECT_FALSE(here.valid);
  EXPECT_EQ(here.first_bad_entry,
            sql("SELECT entry_id FROM audit_entries WHERE org_id = 'acme' AND seq = 4")
                .text(0, "entry_id"));
}

TEST_P(AuditTamper, AForgedHeadIsFound) {
  const std::string head = "UPDATE audit_heads SET ";
  const std::string where = " WHERE org_id = 'acme'";
  EXPECT_EQ(verdict_after(head + "mac = '" + std::string(64, 'a') + "'" + where),
            "head forged at 8");
  EXPECT_EQ(verdict_after(head + "mac = NULL" + where), "head unsigned at 8");
  EXPECT_EQ(verdict_after(head + "mac = 'broken'" + where), "head forged at 8");
  EXPECT_EQ(verdict_after(head + "hash = '" + std::string(64, 'a') + "'" + where),
            "head forged at 8");
  EXPECT_EQ(verdict_after("DELETE FROM audit_heads" + where), "head missing at 1");
  // Another organisation's head is no head for this one.
  EXPECT_EQ(verdict_after("UPDATE audit_heads SET hash = (SELECT hash FROM audit_heads WHERE"
                          " org_id = 'other'), mac = (SELECT mac FROM audit_heads WHERE org_id ="
                          " 'other')" +
                          where),
            "head forged at 8");
}

TEST_P(AuditTamper, AChainCutAtItsEndWithAHeadThatFitsIsFoundByTheSignature) {
  sql("DELETE FROM audit_entries WHERE org_id = 'acme' AND seq > 5");
  const auto last = sql("SELECT " + std::string(audit::kRowColumns) +
                        " FROM audit_entries WHERE org_id = 'acme' AND seq = 5");
  sql("UPDATE audit_heads SET seq = 5, hash = ? WHERE org_id = 'acme'",
      {audit::row_hash(audit::read_row(last, 0, db_->dialect()))});
  EXPECT_EQ(verdict(), "head forged at 5");
}

TEST_P(AuditTamper, TheWriterDoesNotMakeAForgedChainLookWholeAgain) {
  sql("DELETE FROM audit_entries WHERE org_id = 'acme' AND seq > 5");
  const auto last = sql("SELECT " + std::string(audit::kRowColumns) +
                        " FROM audit_entries WHERE org_id = 'acme' AND seq = 5");
  sql("UPDATE audit_heads SET seq = 5, hash = ? WHERE org_id = 'acme'",
      {audit::row_hash(audit::read_row(last, 0, db_->dialect()))});
  append(make_entry("acme", "later"));
  fill("acme", 3);
  EXPECT_EQ(verify("acme").problem, "head forged");
  EXPECT_EQ(verify("acme").checked, 9);
}

TEST_P(AuditTamper, WritingGoesOnBehindALostOrLateHead) {
  for (const char* change : {"DELETE FROM audit_heads WHERE org_id = 'acme'",
                             "UPDATE audit_heads SET seq = 3 WHERE org_id = 'acme'"}) {
    backup();
    sql(change);
    append(make_entry("acme", "later"));
    EXPECT_EQ(query({.org_id = "acme"})[0].seq, 9);
    EXPECT_EQ(verify("acme").problem, "head forged");
    EXPECT_EQ(verify("acme").checked, 9);
    restore();
  }
}

TEST_P(AuditTamper, AHeadThatLagsWithoutASignatureDoesNotStopTheWriter) {
  log_.reset();
  log_ = open_log(*db_, {.spool_dir = spool_.path()});
  sql("UPDATE audit_heads SET seq = 3, mac = NULL WHERE org_id = 'acme'");
  append(make_entry("acme", "later"));
  EXPECT_EQ(query({.org_id = "acme"})[0].seq, 9);
  EXPECT_EQ(verify("acme").problem, "head forged");
}

TEST_P(AuditTamper, AChangedAnchorIsFound) {
  clock_.advance(std::chrono::hours(1));
  const auto border = clock_.now();
  fill("acme", 2);
  ASSERT_EQ(get<std::int64_t>([&] { return log_->trim("acme", border); }), kRows);
  ids_.clear();
  for (std::int64_t seq = 9; seq <= 10; ++seq) {
    ids_.push_back(
        sql("SELECT entry_id FROM audit_entries WHERE seq = ?", {seq}).text(0, "entry_id"));
  }
  EXPECT_EQ(verdict(), "valid");
  const std::string anchor = "UPDATE audit_anchors SET ";
  EXPECT_EQ(verdict_after(anchor + "hash = '" + std::string(64, 'a') + "'"), "anchor changed at 1");
  EXPECT_EQ(verdict_after(anchor + "entries = 7"), "anchor changed at 1");
  EXPECT_EQ(verdict_after(anchor + "created_at = '2020-01-01T00:00:00.000Z'"),
            "anchor changed at 1");
  EXPECT_EQ(verdict_after(anchor + "mac = NULL"), "anchor changed at 1");
  EXPECT_EQ(verdict_after(anchor + "seq = 9"), "anchor changed at 2");
  EXPECT_EQ(verdict_after("DELETE FROM audit_anchors"), "missing before at 1");
  // An anchor that the installation did not write cannot stand in for deleted rows.
  EXPECT_EQ(verdict_after("INSERT INTO audit_anchors SELECT org_id, 9, (SELECT prev_hash FROM"
                          " audit_entries WHERE seq = 10), 1, created_at, mac FROM audit_anchors"),
            "anchor changed at 2");
  // Without a key the hashes still tell.
  log_.reset();
  log_ = open_log(*db_, {.spool_dir = spool_.path()});
  EXPECT_EQ(verdict_after(anchor + "hash = '" + std::string(64, 'a') + "'"), "anchor changed at 1");
  EXPECT_EQ(verdict_after(anchor + "seq = 7"), "missing before at 1");
  EXPECT_EQ(verdict_after(anchor + "seq = 9"), "inserted at 1");
}

TEST_P(AuditTamper, ATrimKeepsAChainThatDoesNotVerify) {
  sql("UPDATE audit_entries SET user_id = 'eve' WHERE org_id = 'acme' AND seq = 3");
  clock_.advance(std::chrono::hours(1));
  for (int later = 0; later < 2; ++later) {
    const auto kept = attempt<std::int64_t>([&] { return log_->trim("acme", clock_.now()); });
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, Errc::kCorrupt);
    fill("acme", 1);
  }
  EXPECT_EQ(verdict(), "changed at 3");
}

TEST_P(AuditTamper, TheLastTrimmedRowIsCheckedToo) {
  clock_.advance(std::chrono::hours(1));
  const auto border = clock_.now();
  fill("acme", 1);
  sql("UPDATE audit_entries SET user_id = 'eve' WHERE org_id = 'acme' AND seq = 8");
  EXPECT_FALSE(attempt<std::int64_t>([&] { return log_->trim("acme", border); }));
}

TEST_P(AuditTamper, LongChainsAreReadInPages) {
  fill("long", 2'300);
  auto checked = verify("long");
  EXPECT_TRUE(checked.valid);
  EXPECT_EQ(checked.checked, 2'300);
  const std::string entry =
      sql("SELECT entry_id FROM audit_entries WHERE org_id = 'long' AND seq = 1000")
          .text(0, "entry_id");
  sql("UPDATE audit_entries SET action = 'x' WHERE org_id = 'long' AND seq = 1000");
  checked = verify("long");
  EXPECT_EQ(checked.first_bad_entry, entry);
  EXPECT_EQ(checked.problem, "changed");
}

INSTANTIATE_TEST_SUITE_P(Engines, AuditTamper,
                         ::testing::Values(sql::testing::Engine::kSqliteFile,
                                           sql::testing::Engine::kPostgres),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
