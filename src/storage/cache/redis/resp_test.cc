#include "storage/cache/redis/resp.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

namespace asahi::cache {
namespace {

using Type = Reply::Type;
using namespace std::string_literals;

/// Everything in a reply, as one line.
std::string show(const Reply& reply) {
  std::string out = fmt::format("{}", static_cast<int>(reply.type));
  if (!reply.text.empty()) out += "'" + reply.text + "'";
  if (reply.integer != 0) out += fmt::format(":{}", reply.integer);
  if (reply.number != 0) out += fmt::format(",{}", reply.number);
  if (!reply.items.empty()) {
    out += "[";
    for (const Reply& item : reply.items) out += show(item) + " ";
    out += "]";
  }
  return out;
}

std::vector<Reply> parse_all(RespParser& parser, std::string_view bytes) {
  std::vector<Reply> replies;
  while (!bytes.empty()) {
    auto reply = parser.parse(bytes);
    EXPECT_TRUE(reply) << reply.error().message;
    if (!reply || !*reply) break;
    replies.push_back(std::move(**reply));
  }
  return replies;
}

Reply parse_one(std::string_view bytes) {
  RespParser parser;
  auto replies = parse_all(parser, bytes);
  EXPECT_EQ(replies.size(), 1u) << bytes;
  return replies.empty() ? Reply{} : std::move(replies.front());
}

std::string parse_error(std::string_view bytes, RespLimits limits = {}) {
  RespParser parser(limits);
  while (!bytes.empty()) {
    auto reply = parser.parse(bytes);
    if (reply) continue;
    EXPECT_EQ(reply.error().code, Errc::kUpstream);
    return reply.error().message;
  }
  return "no error";
}

TEST(RespParser, ReadsEveryScalarType) {
  EXPECT_EQ(parse_one("+OK\r\n").text, "OK");
  EXPECT_EQ(parse_one("-ERR no\r\n").type, Type::kError);
  EXPECT_EQ(parse_one("-ERR no\r\n").text, "ERR no");
  EXPECT_EQ(parse_one(":-42\r\n").integer, -42);
  EXPECT_EQ(parse_one(":9223372036854775807\r\n").integer, INT64_MAX);
  EXPECT_EQ(parse_one("$6\r\na\r\nb\0c\r\n"s).text, "a\r\nb\0c"s);
  EXPECT_EQ(parse_one("$0\r\n\r\n").type, Type::kBulk);
  EXPECT_TRUE(parse_one("$-1\r\n").is_null());
  EXPECT_TRUE(parse_one("*-1\r\n").is_null());
  EXPECT_TRUE(parse_one("_\r\n").is_null());
  EXPECT_EQ(parse_one("#t\r\n").integer, 1);
  EXPECT_EQ(parse_one("#f\r\n").integer, 0);
  EXPECT_DOUBLE_EQ(parse_one(",3.25\r\n").number, 3.25);
  EXPECT_EQ(parse_one(",-inf\r\n").number, -INFINITY);
  EXPECT_TRUE(std::isnan(parse_one(",nan\r\n").number));
  EXPECT_EQ(parse_one("(-3492890328409238509324850943850943825024385\r\n").text,
            "-3492890328409238509324850943850943825024385");
  EXPECT_EQ(parse_one("!5\r\nERR x\r\n").type, Type::kError);
  EXPECT_EQ(parse_one("=7\r\ntxt:abc\r\n").text, "abc");
}

TEST(RespParser, ReadsAggregatesWithinAggregates) {
  EXPECT_EQ(show(parse_one("*2\r\n*1\r\n:1\r\n~2\r\n+a\r\n$-1\r\n")),
            show(parse_one("*2\r\n*?\r\n:1\r\n.\r\n~?\r\n+a\r\n_\r\n.\r\n")));
  const Reply map = parse_one("%2\r\n+mode\r\n+cluster\r\n+nodes\r\n*0\r\n");
  ASSERT_NE(map.find("mode"), nullptr);
  EXPECT_EQ(map.find("mode")->text, "cluster");
  EXPECT_EQ(map.find("cluster"), nullptr);  // a value is no key
  EXPECT_EQ(parse_one(">3\r\n+message\r\n+c\r\n+hi\r\n").type, Type::kPush);
  EXPECT_EQ(parse_one("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n").text, "Hello");
}

TEST(RespParser, DropsAttributesWhereverTheyStand) {
  RespParser parser;
  const auto replies = parse_all(
      parser,
      "|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+deep\r\n*1\r\n+x\r\n:2\r\n|0\r\n+next\r\n");
  ASSERT_EQ(replies.size(), 2u);
  ASSERT_EQ(replies[0].items.size(), 2u);
  EXPECT_EQ(replies[0].items[1].integer, 2);
  EXPECT_EQ(replies[1].text, "next");
}

TEST(RespParser, GivesTheSameRepliesHoweverTheBytesAreSplit) {
  const std::string stream =
      "+OK\r\n-ERR bad thing\r\n:-7\r\n$11\r\nhello\r\nwor\0\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n#t\r\n"
      ",1.5e3\r\n(123456789012345678901234567890\r\n!9\r\nERR large\r\n=8\r\nmkd:text\r\n"
      "*3\r\n:1\r\n*2\r\n+a\r\n$1\r\nb\r\n%1\r\n+k\r\n~1\r\n:9\r\n"
      ">2\r\n+invalidate\r\n*1\r\n+key\r\n|1\r\n+p\r\n,0.5\r\n*?\r\n+x\r\n%?\r\n+k\r\n+v\r\n.\r\n."
      "\r\n"
      "$?\r\n;3\r\nabc\r\n;2\r\nde\r\n;0\r\n"s;
  RespParser whole;
  const auto expected = parse_all(whole, stream);
  ASSERT_EQ(expected.size(), 17u);
  for (std::size_t split = 1; split < stream.size(); ++split) {
    RespParser parser;
    auto replies = parse_all(parser, std::string_view(stream).substr(0, split));
    for (auto& reply : parse_all(parser, std::string_view(stream).substr(split))) {
      replies.push_back(std::move(reply));
    }
    ASSERT_EQ(replies.size(), expected.size()) << split;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      EXPECT_EQ(show(replies[i]), show(expected[i])) << split;
    }
  }
  RespParser bytewise;
  std::size_t count = 0;
  for (const char c : stream) count += parse_all(bytewise, {&c, 1}).size();
  EXPECT_EQ(count, expected.size());
}

TEST(RespParser, RefusesWhatIsNotTheProtocol) {
  for (const std::string_view bytes : {"HTTP/1.1 400 Bad Request\r\n",
                                       "\r\n",
                                       "+no cr\n",
                                       ":12a\r\n",
                                       ":\r\n",
                                       "#x\r\n",
                                       ",1.5x\r\n",
                                       "(12x\r\n",
                                       "$x\r\n",
                                       "$-2\r\n",
                                       "*-2\r\n",
                                       "$1\r\nab\r\n",
                                       "_x\r\n",
                                       ".\r\n",
                                       "=2\r\nab\r\n",
                                       "%?\r\n+k\r\n.\r\n",
                                       "$?\r\n+x\r\n",
                                       "*1\r\n>1\r\n+x\r\n",
                                       "!-1\r\n",
                                       ":+-1\r\n",
                                       ">?\r\n",
                                       "*1\r\n.\r\n"}) {
    EXPECT_NE(parse_error(bytes), "no error") << bytes;
  }
}

TEST(RespParser, StaysBrokenOnceItIsOutOfStep) {
  RespParser parser;
  std::string_view bytes = "?\r\n+OK\r\n";
  EXPECT_FALSE(parser.parse(bytes));
  bytes = "+OK\r\n";
  EXPECT_FALSE(parser.parse(bytes));
}

TEST(RespParser, BoundsEverySizeAPeerCanChoose) {
  RespLimits limits{.max_bytes = 100, .max_items = 10, .max_depth = 3, .max_line = 50};
  EXPECT_TRUE(parse_error("$101\r\n", limits).contains("max_bytes"));
  EXPECT_TRUE(parse_error("*3\r\n$60\r\n" + std::string(60, 'x') + "\r\n$60\r\n", limits)
                  .contains("max_bytes"));
  EXPECT_TRUE(parse_error("$?\r\n;60\r\n" + std::string(60, 'x') + "\r\n;60\r\n", limits)
                  .contains("max_bytes"));
  EXPECT_TRUE(parse_error("*11\r\n", limits).contains("max_items"));
  EXPECT_TRUE(parse_error("*18446744073709551615\r\n", limits).contains("max_items"));
  std::string many = "*?\r\n";
  for (int i = 0; i < 11; ++i) many += ":1\r\n";
  EXPECT_TRUE(parse_error(many, limits).contains("max_items"));
  EXPECT_TRUE(parse_error("*1\r\n*1\r\n*1\r\n*1\r\n", limits).contains("max_depth"));
  EXPECT_TRUE(parse_error("+" + std::string(60, 'x'), limits).contains("max_line"));
}

TEST(RespParser, CountsLimitsPerReplyAndNotPerConnection) {
  RespParser parser(RespLimits{.max_bytes = 10, .max_items = 3});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(parse_all(parser, "*2\r\n+12345\r\n+1234\r\n").size(), 1u);
  }
}

TEST(RespCommand, IsAnArrayOfBulkStrings) {
  std::string out;
  const std::vector<std::string_view> args{"SET", "key", "", std::string_view("\0\r\n", 3)};
  append_command(out, args);
  EXPECT_EQ(out, "*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n$3\r\n\0\r\n\r\n"s);
  append_command(out, std::vector<std::string_view>{"PING"});
  EXPECT_TRUE(out.ends_with("*1\r\n$4\r\nPING\r\n"));
}

}  // namespace
}  // namespace asahi::cache
