#include "storage/cache/redis/url.h"

#include <gtest/gtest.h>

namespace asahi::cache {
namespace {

TEST(RedisUrl, ReadsHostPortDatabaseAndCredentials) {
  const auto full = parse_redis_url("redis://ann:p%40ss%3A%2F@cache.example:6390/3");
  ASSERT_TRUE(full) << full.error().message;
  EXPECT_EQ(full->host, "cache.example");
  EXPECT_EQ(full->port, 6390);
  EXPECT_EQ(full->database, 3);
  EXPECT_EQ(full->user, "ann");
  EXPECT_EQ(full->password.reveal(), "p@ss:/");
  EXPECT_FALSE(full->tls);
  EXPECT_EQ(full->address(), "cache.example:6390");
}

TEST(RedisUrl, FillsInWhatIsUsual) {
  const auto plain = parse_redis_url("redis://localhost");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->port, 6379);
  EXPECT_EQ(plain->database, 0);
  EXPECT_TRUE(plain->password.empty());
  EXPECT_TRUE(parse_redis_url("redis://localhost:6379/"));
  const auto hosted = parse_redis_url("rediss://:secret@h:1");
  ASSERT_TRUE(hosted);
  EXPECT_TRUE(hosted->tls);
  EXPECT_EQ(hosted->user, "");
  EXPECT_EQ(hosted->password.reveal(), "secret");
}

TEST(RedisUrl, ReadsIpv6AndLocalSockets) {
  const auto six = parse_redis_url("redis://[::1]:7000/1");
  ASSERT_TRUE(six) << six.error().message;
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->address(), "[::1]:7000");
  const auto local = parse_redis_url("unix://u:p@/run/redis/redis.sock?db=2");
  ASSERT_TRUE(local) << local.error().message;
  EXPECT_EQ(local->host, "unix:/run/redis/redis.sock");
  EXPECT_EQ(local->database, 2);
  EXPECT_EQ(local->user, "u");
}

TEST(RedisUrl, TakesAnUnencodedAtSignInAPassword) {
  const auto url = parse_redis_url("redis://u:p@ss@h");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->password.reveal(), "p@ss");
  EXPECT_EQ(url->host, "h");
}

TEST(RedisUrl, NamesTheWrongPartAndNeverThePassword) {
  const std::pair<const char*, const char*> cases[] = {
      {"localhost:6379", "scheme"},
      {"http://u:hunter2@h", "scheme"},
      {"redis://u:hunter2@", "host"},
      {"redis://u:hunter2@h:0", "port"},
      {"redis://u:hunter2@h:66000", "port"},
      {"redis://u:hunter2@h:", "port"},
      {"redis://u:hunter2@[::1", "host"},
      {"redis://u:hunter2@[::1]9", "port"},
      {"redis://u:hunter2@h/x", "database"},
      {"redis://u:hunter2@h/-1", "database"},
      {"redis://u:hunter2%4@h", "password"},
      {"redis://u%zz:hunter2@h", "user"},
      {"redis://u:hunter2@h?tls=1", "query"},
      {"unix://relative/path", "socket"},
      {"unix://", "socket"},
  };
  for (const auto& [url, part] : cases) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().code, Errc::kInvalidArgument);
    EXPECT_TRUE(parsed.error().message.contains(part)) << url << ": " << parsed.error().message;
    EXPECT_FALSE(parsed.error().message.contains("hunter2")) << parsed.error().message;
  }
}

}  // namespace
}  // namespace asahi::cache
