#include "base/json_out.h"

#include <gtest/gtest.h>

#include <string>

namespace asahi {
namespace {

TEST(JsonOut, SetsCommasBetweenMembersAndElementsOnly) {
  std::string text;
  JsonOut out(text);
  out.open_object().member("a", std::int64_t{1}).key("b").open_array();
  out.string("x{").string("[").null().open_object().close_object().close_array();
  out.member("c", true).key("d").raw("{}").close_object();
  EXPECT_EQ(text, R"({"a":1,"b":["x{","[",null,{}],"c":true,"d":{}})");
}

TEST(JsonOut, WritesTreesAsTheyStand) {
  constexpr std::string_view kText =
      R"({"z":[1,-1,18446744073709551615,0.7,[],{}],"a":"{\u0001","":{"t":true,"n":null},"e":[[],[[]]]})";
  std::string text;
  JsonOut(text).value(parse_json(kText).value());
  EXPECT_EQ(text, kText);
}

TEST(JsonOut, PutsATreeBehindOtherMembers) {
  std::string text;
  JsonOut(text)
      .open_object()
      .member("a", "x")
      .member("b", json::value(json::object{{"c", 1}}))
      .close_object();
  EXPECT_EQ(text, R"({"a":"x","b":{"c":1}})");
}

}  // namespace
}  // namespace asahi
