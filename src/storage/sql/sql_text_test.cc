#include "storage/sql/sql_text.h"

#include <gtest/gtest.h>

namespace asahi::sql {
namespace {

std::string numbered(std::string_view sql) {
  auto out = number_placeholders(sql);
  return out ? out->text : "error: " + out.error().message;
}

TEST(SqlText, NumbersPlaceholdersInOrder) {
  auto out = number_placeholders("INSERT INTO t VALUES (?, ?,?)");
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "INSERT INTO t VALUES ($1, $2,$3)");
  EXPECT_EQ(out->parameters, 3u);
}

TEST(SqlText, LeavesQuestionMarksInStringsAndNamesAlone) {
  EXPECT_EQ(numbered("SELECT 'a?''?' , \"c?\"\"\" , ?"), "SELECT 'a?''?' , \"c?\"\"\" , $1");
}

TEST(SqlText, KnowsThatOnlyEscapeStringsHonourBackslashes) {
  EXPECT_EQ(numbered(R"(SELECT '\', ?)"), R"(SELECT '\', $1)");
  EXPECT_EQ(numbered(R"(SELECT E'\'?', ?)"), R"(SELECT E'\'?', $1)");
  EXPECT_EQ(numbered(R"(SELECT name'\', ?)"), R"(SELECT name'\', $1)");
}

TEST(SqlText, LeavesCommentsAloneIncludingNestedOnes) {
  EXPECT_EQ(numbered("SELECT ? -- why?\n, ? /* a? /* b? */ c? */, ?"),
            "SELECT $1 -- why?\n, $2 /* a? /* b? */ c? */, $3");
}

TEST(SqlText, LeavesDollarQuotedBodiesAlone) {
  EXPECT_EQ(numbered("DO $$ ? $$; SELECT $tag$ ? $$ ? $tag$, ?"),
            "DO $$ ? $$; SELECT $tag$ ? $$ ? $tag$, $1");
  EXPECT_EQ(numbered("SELECT a$b, ?, c$b"), "SELECT a$b, $1, c$b");
}

TEST(SqlText, RefusesWhatNeverEnds) {
  for (const char* sql : {"SELECT 'a", "SELECT \"a", "SELECT /* a /* b */", "SELECT $x$ a $y$"}) {
    auto out = number_placeholders(sql);
    ASSERT_FALSE(out) << sql;
    EXPECT_EQ(out.error().code, Errc::kInvalidArgument);
  }
}

TEST(SqlText, FindsTheLeadingKeywordBehindCommentsAndParentheses) {
  EXPECT_EQ(leading_keyword(" -- first\n /* then */ ((select 1))"), "SELECT");
  EXPECT_EQ(leading_keyword("with x as (values (1)) delete from t"), "WITH");
  EXPECT_EQ(leading_keyword("/* never ends"), "");
  EXPECT_EQ(leading_keyword(""), "");
}

TEST(SqlText, RefusesStatementsThatWouldOutliveTheirCall) {
  for (const char* sql : {"BEGIN", " /*x*/ commit", "SET search_path = a", "LISTEN jobs", " ; "}) {
    auto ok = check_single_statement(sql);
    ASSERT_FALSE(ok) << sql;
    EXPECT_EQ(ok.error().code, Errc::kInvalidArgument);
  }
  EXPECT_TRUE(check_single_statement("UPDATE settings SET begin = 1"));
}

}  // namespace
}  // namespace asahi::sql
