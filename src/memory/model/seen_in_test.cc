#include "memory/model/seen_in.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

TEST(SeenIn, StandsBehindWhatIsThere) {
  EXPECT_EQ(with_seen_in("{}", "[1]"), R"({"seen_in":[1]})");
  EXPECT_EQ(with_seen_in(R"({"a":1 })", "[1]"), R"({"a":1,"seen_in":[1]})");
  EXPECT_EQ(with_seen_in("no object", "[1]"), "no object");
}

TEST(SeenIn, KeepsWhatAColderTierHadEachOnce) {
  EXPECT_EQ(
      with_seen_in(R"({"seen_in":[{"id":"a"},{"id":"b"}],"z":0})", R"([{"id":"b"},{"id":"c"}])"),
      R"({"seen_in":[{"id":"a"},{"id":"b"},{"id":"c"}],"z":0})");
  EXPECT_EQ(with_seen_in(R"({"text":"\"seen_in\""})", "[1]"),
            R"({"text":"\"seen_in\"","seen_in":[1]})");
}

}  // namespace
}  // namespace asahi::memory
