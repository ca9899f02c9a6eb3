#include "memory/swap/request.h"

#include <gtest/gtest.h>

namespace asahi::memory::swap {
namespace {

using namespace std::chrono_literals;

Result<MoveRequest> parse(const std::string& text) {
  return parse_request(JsonDocument::parse(text).value()->root().get_object(),
                       {.usual_path = "/data/hot", .taken = {"/data/warm", "/data/cold"}});
}

TEST(HotMoveRequest, NamesABackendAndMayLeaveOutTheRest) {
  const auto usual = parse(R"({"backend":"pgvector"})");
  ASSERT_TRUE(usual) << usual.error().message;
  EXPECT_EQ(usual->to.backend, "pgvector");
  EXPECT_EQ(usual->revert_for, std::chrono::days(28));
  EXPECT_FALSE(usual->replace);
  const auto all =
      parse(R"({"backend":"duckdb-ssd","path":"/new","revert_days":0,"replace":true})");
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->to.path, "/new");
  EXPECT_EQ(all->revert_for, 0s);
  EXPECT_TRUE(all->replace);
}

TEST(HotMoveRequest, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(parse(R"({"backend":"pgvector","revert_days":366})").error().field, "revert_days");
  EXPECT_EQ(parse(R"({"backend":"pgvector","revert_days":-1})").error().field, "revert_days");
  EXPECT_EQ(parse(R"({"backend":"pgvector","replace":1})").error().field, "replace");
  EXPECT_EQ(parse(R"({"backend":"pgvector","colour":"red"})").error().field, "colour");
}

TEST(HotMoveRequest, NamesNoFolderThatAnotherTierHas) {
  for (const char* path : {"/data/warm", "/data/warm/below", "/data", "/data/new/../cold"}) {
    const auto refused = parse(std::string(R"({"backend":"duckdb-ssd","path":")") + path + R"("})");
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().field, "path") << path;
  }
  EXPECT_TRUE(parse(R"({"backend":"duckdb-ssd","path":"/data/warmer"})"));
}

}  // namespace
}  // namespace asahi::memory::swap
