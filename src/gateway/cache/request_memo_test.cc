#include "gateway/cache/request_memo.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

Digest128 digest(unsigned char n) {
  Digest128 made{};
  made[0] = n;
  return made;
}
KnownRequest known(std::string key, std::size_t reply_bytes = 0) {
  KnownRequest made;
  made.cache_key = std::move(key);
  made.reply.middle = std::string(reply_bytes, 'x');
  return made;
}

TEST(RequestMemo, FindsWhatItWasGiven) {
  RequestMemo memo({});
  EXPECT_EQ(memo.find(digest(1)), nullptr);
  memo.put(digest(1), known("one"));
  ASSERT_NE(memo.find(digest(1)), nullptr);
  EXPECT_EQ(memo.find(digest(1))->cache_key, "one");
  EXPECT_EQ(memo.find(digest(2)), nullptr);
}

TEST(RequestMemo, KnowsTheLengthsOfItsBodies) {
  RequestMemo memo({});
  EXPECT_FALSE(memo.knows_length(650));
  KnownRequest one = known("one");
  one.body_bytes = 650;
  memo.put(digest(1), one);
  memo.put(digest(1), one);
  EXPECT_TRUE(memo.knows_length(650));
  EXPECT_FALSE(memo.knows_length(651));
  memo.forget(digest(1));
  EXPECT_FALSE(memo.knows_length(650));
}

TEST(RequestMemo, ReplacesAndForgets) {
  RequestMemo memo({});
  memo.put(digest(1), known("old", 100));
  memo.put(digest(1), known("new", 10));
  EXPECT_EQ(memo.size(), 1U);
  EXPECT_EQ(memo.find(digest(1))->cache_key, "new");
  EXPECT_EQ(memo.bytes(), known("new", 10).size());
  memo.forget(digest(1));
  memo.forget(digest(1));
  EXPECT_EQ(memo.size(), 0U);
  EXPECT_EQ(memo.bytes(), 0U);
}

TEST(RequestMemo, LetsTheLeastRecentlyUsedGoBeyondItsEntries) {
  RequestMemo memo({.entries = 2, .bytes = 1U << 20});
  memo.put(digest(1), known("one"));
  memo.put(digest(2), known("two"));
  (void)memo.find(digest(1));
  memo.put(digest(3), known("three"));
  EXPECT_EQ(memo.size(), 2U);
  EXPECT_NE(memo.find(digest(1)), nullptr);
  EXPECT_EQ(memo.find(digest(2)), nullptr);
  EXPECT_NE(memo.find(digest(3)), nullptr);
}

TEST(RequestMemo, IsBoundedInBytes) {
  RequestMemo memo({.entries = 100, .bytes = 10'000});
  for (unsigned char i = 0; i < 50; ++i) {
    memo.put(digest(i), known("k", 2'000));
    EXPECT_LE(memo.bytes(), 10'000U);
  }
  EXPECT_EQ(memo.size(), 3U);
  EXPECT_NE(memo.find(digest(49)), nullptr);
}

TEST(RequestMemo, HoldsOneReplyEvenBeyondItsBytes) {
  RequestMemo memo({.entries = 100, .bytes = 1'000});
  memo.put(digest(1), known("one", 5'000));
  EXPECT_NE(memo.find(digest(1)), nullptr);
  memo.put(digest(2), known("two", 5'000));
  EXPECT_EQ(memo.size(), 1U);
}

TEST(RequestMemo, DoesNotKeepACacheEntryAlive) {
  RequestMemo memo({});
  auto bytes = std::make_shared<const std::string>("stored");
  KnownRequest request = known("one");
  request.bytes = bytes;
  memo.put(digest(1), std::move(request));
  bytes.reset();
  EXPECT_TRUE(memo.find(digest(1))->bytes.expired());
}

}  // namespace
}  // namespace asahi::gateway
