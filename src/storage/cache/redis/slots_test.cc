#include "storage/cache/redis/slots.h"

#include <gtest/gtest.h>

namespace asahi::cache {
namespace {

Reply parse(std::string_view bytes) {
  RespParser parser;
  auto reply = parser.parse(bytes);
  EXPECT_TRUE(reply && *reply);
  return std::move(**reply);
}

std::optional<std::size_t> position(std::vector<std::string_view> args) {
  return key_position(args);
}

bool refused(std::vector<std::string_view> args) { return needs_own_connection(args); }

TEST(KeySlot, FollowsTheClusterSpecification) {
  EXPECT_EQ(key_slot("123456789"), 0x31C3);  // the check value of CRC-16/XMODEM
  EXPECT_EQ(key_slot("foo"), 12'182);
  EXPECT_EQ(key_slot("{user1000}.following"), key_slot("user1000"));
  EXPECT_EQ(key_slot("foo{{bar}}zap"), key_slot("{bar"));
  EXPECT_EQ(key_slot("foo{bar}{zap}"), key_slot("bar"));
  EXPECT_NE(key_slot("foo{}{bar}"), key_slot("bar"));  // an empty tag is no tag
  EXPECT_EQ(key_slot(""), 0);
}

TEST(KeyPosition, FindsTheKeyOfEachCommandShape) {
  EXPECT_EQ(position({"GET", "k"}), 1u);
  EXPECT_EQ(position({"zadd", "k", "1", "m"}), 1u);
  EXPECT_EQ(position({"EVALSHA", "sha", "1", "k", "arg"}), 3u);
  EXPECT_EQ(position({"EVAL", "return 1", "0"}), std::nullopt);
  EXPECT_EQ(position({"EVAL", "return 1", "0", "arg"}), std::nullopt);
  EXPECT_EQ(position({"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "s", ">"}), 7u);
  EXPECT_EQ(position({"XGROUP", "CREATE", "s", "g", "$"}), 2u);
  EXPECT_EQ(position({"PUBLISH", "channel", "text"}), std::nullopt);
  EXPECT_EQ(position({"scan", "0"}), std::nullopt);
  EXPECT_EQ(position({"PING"}), std::nullopt);
}

TEST(SharedConnection, RefusesWhatWouldTakeItOutOfStep) {
  EXPECT_TRUE(refused({"subscribe", "c"}));
  EXPECT_TRUE(refused({"MULTI"}));
  EXPECT_TRUE(refused({"BLPOP", "k", "0"}));
  EXPECT_TRUE(refused({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"}));
  EXPECT_TRUE(refused({"CLIENT", "REPLY", "OFF"}));
  EXPECT_FALSE(refused({"XREAD", "COUNT", "1", "STREAMS", "s", "0"}));
  EXPECT_FALSE(refused({"CLIENT", "LIST"}));
  EXPECT_FALSE(refused({"PUBLISH", "c", "x"}));
  EXPECT_TRUE(refused({}));  // gets no reply at all
}

TEST(Redirect, ReadsMovedAndAsk) {
  const auto moved = parse_redirect("MOVED 3999 10.0.0.1:6381", "here");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Redirect::Kind::kMoved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->to, (NodeAddress{"10.0.0.1", 6381}));
  const auto ask = parse_redirect("ASK 1 ::1:7000", "here");
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->kind, Redirect::Kind::kAsk);
  EXPECT_EQ(ask->to, (NodeAddress{"::1", 7000}));
}

TEST(Redirect, TakesAMissingHostForTheOneThatWasAsked) {
  EXPECT_EQ(parse_redirect("MOVED 1 :6381", "here")->to, (NodeAddress{"here", 6381}));
  EXPECT_EQ(parse_redirect("MOVED 1 ?:6381", "here")->to, (NodeAddress{"here", 6381}));
}

TEST(Redirect, IgnoresEverythingElse) {
  for (const char* const text :
       {"ERR MOVED", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h:0",
        "MOVED 1 h:99999", "MOVED 1 h", "MOVED 99999 h:1"}) {
    EXPECT_FALSE(parse_redirect(text, "here")) << text;
  }
}

TEST(SlotMap, ReadsClusterShards) {
  const Reply reply = parse(
      "*2\r\n"
      "%2\r\n+slots\r\n*4\r\n:0\r\n:99\r\n:200\r\n:16383\r\n+nodes\r\n*2\r\n"
      "%4\r\n+role\r\n+replica\r\n+port\r\n:1\r\n+endpoint\r\n+r\r\n+health\r\n+online\r\n"
      "%5\r\n+role\r\n+master\r\n+port\r\n:2\r\n+tls-port\r\n:3\r\n+endpoint\r\n+p\r\n+health\r\n"
      "+online\r\n"
      "%2\r\n+slots\r\n*2\r\n:100\r\n:199\r\n+nodes\r\n*1\r\n"
      "%4\r\n+role\r\n+master\r\n+port\r\n:4\r\n+endpoint\r\n_\r\n+health\r\n+online\r\n");
  const auto map = SlotMap::from_shards(reply, "asked", false);
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(*map->find(0), (NodeAddress{"p", 2}));
  EXPECT_EQ(*map->find(150), (NodeAddress{"asked", 4}));
  EXPECT_EQ(*map->find(16'383), (NodeAddress{"p", 2}));
  EXPECT_EQ(map->primaries().size(), 2u);
  const auto tls = SlotMap::from_shards(reply, "asked", true);
  EXPECT_EQ(*tls->find(0), (NodeAddress{"p", 3}));
  EXPECT_EQ(tls->find(150), nullptr);  // no TLS port: out of reach
}

TEST(SlotMap, ReadsClusterSlotsAndFollowsMoves) {
  const Reply reply = parse(
      "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n"
      "*4\r\n:8192\r\n:16383\r\n*3\r\n$0\r\n\r\n:2\r\n$2\r\nid\r\n*2\r\n$1\r\nr\r\n:9\r\n");
  auto map = SlotMap::from_slots(reply, "asked");
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(*map->find(0), (NodeAddress{"a", 1}));
  EXPECT_EQ(*map->find(9000), (NodeAddress{"asked", 2}));
  map->assign(0, 0, {"new", 3});
  EXPECT_EQ(*map->find(0), (NodeAddress{"new", 3}));
  EXPECT_EQ(map->primaries().size(), 3u);
}

TEST(SlotMap, RefusesNonsense) {
  EXPECT_FALSE(SlotMap::from_slots(parse("*1\r\n*1\r\n:0\r\n"), "h"));
  EXPECT_FALSE(SlotMap::from_slots(parse("*1\r\n*3\r\n:5\r\n:1\r\n*2\r\n+h\r\n:1\r\n"), "h"));
  EXPECT_FALSE(SlotMap::from_slots(parse("*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n+h\r\n:1\r\n"), "h"));
  EXPECT_FALSE(SlotMap::from_shards(parse("*1\r\n%1\r\n+slots\r\n*0\r\n"), "h", false));
}

}  // namespace
}  // namespace asahi::cache
