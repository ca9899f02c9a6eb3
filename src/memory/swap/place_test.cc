#include "memory/swap/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "memory/hot/testing/samples.h"

namespace asahi::memory::swap {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<Place> parse(const std::string& text) {
  return parse_place(JsonDocument::parse(text).value()->root().get_object(), "/data/hot");
}

TEST(HotPlace, ComesFromARequest) {
  EXPECT_EQ(parse(R"({"backend":"duckdb-ssd"})").value(), (Place{.path = "/data/hot"}));
  EXPECT_EQ(parse(R"({"backend":"duckdb-ssd","path":"/new"})").value(), (Place{.path = "/new"}));
  EXPECT_EQ(parse(R"({"backend":"pgvector"})").value(), (Place{.backend = "pgvector"}));
  EXPECT_EQ(parse(R"({"backend":"pgvector","pg_url_file":"/run/secrets/url"})").value(),
            (Place{.backend = "pgvector", .url_file = "/run/secrets/url"}));
}

TEST(HotPlace, RefusesWhatMeansNothing) {
  for (const auto& [text, field] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({})", "backend"},
           {R"({"backend":"milvus"})", "backend"},
           {R"({"backend":"duckdb-memory"})", "backend"},
           {R"({"backend":"duckdb-ssd","path":"hot"})", "path"},
           {R"({"backend":"duckdb-ssd","path":7})", "path"},
           {R"({"backend":"duckdb-ssd","path":":memory:"})", "path"},
           {R"({"backend":"pgvector","path":"/new"})", "path"},
           {R"({"backend":"duckdb-ssd","pg_url_env":"URL"})", "pg_url_env"},
           {R"({"backend":"pgvector","pg_url_file":"url"})", "pg_url_file"},
           {R"({"backend":"pgvector","pg_url_file":"/u","pg_url_env":"U"})", "pg_url_env"}}) {
    const auto refused = parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().field, field) << text;
  }
}

TEST(HotPlace, NeverTakesOrShowsAnAddressInTheClear) {
  const auto refused = parse(R"({"backend":"pgvector","pg_url":"postgres://u:geheim@db/m"})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "pg_url");
  EXPECT_THAT(refused.error().message, Not(HasSubstr("geheim")));
  const hot_testing::TemporaryFolder folder;
  const Place place{.backend = "pgvector", .url_file = folder.path() + "/url"};
  EXPECT_FALSE(read_url(place));
  std::ofstream(place.url_file) << "geheim, and no address\n";
  const auto wrong = read_url(place);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, Not(HasSubstr("geheim")));
  std::ofstream(place.url_file) << "postgres://u:geheim@db/m\n";
  EXPECT_EQ(read_url(place).value().reveal(), "postgres://u:geheim@db/m");
  EXPECT_THAT(write_json(place.to_json()) + place.text(), Not(HasSubstr("geheim")));
}

TEST(HotPlace, IsReadAsItWasWritten) {
  for (const Place& place :
       {Place{.path = "/a"}, Place{.backend = "pgvector", .url_env = "NEXT_URL"}}) {
    EXPECT_EQ(read_place(write_json(place.to_json())).value(), place);
  }
  EXPECT_EQ(read_place("[1]").error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace asahi::memory::swap
