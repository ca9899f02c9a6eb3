#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace asahi {
namespace {

// Replicas of different releases share keys made of these digests: they never change.
TEST(KeyedDigest, IsTheSameForPiecesOfAnyLength) {
  Digest128 key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  std::string text;
  for (int i = 0; i < 64; ++i) text += static_cast<char>(i * 37 + 11);
  const std::string_view from(text);
  std::string all;
  for (std::size_t a = 0; a <= 20; ++a) {
    for (std::size_t b = 0; b <= 20; ++b) {
      all +=
          to_hex(keyed_digest(key, {from.substr(0, a), from.substr(a, b), from.substr(3, a + b)}));
    }
  }
  EXPECT_EQ(to_hex(sha256(all)),
            "e0949c3bc1ba6c6b88f447c86a7d8c09928bbfc8c69e75b0445a669e8f74efbd");
  EXPECT_EQ(to_hex(keyed_digest(key, {"gateway", "", "of three parts"})),
            "2f09db7edb8e6b8eb349d9168299f7f1");
}

TEST(Hmac, AgreesWithRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(20, '\xaa'), std::string(50, '\xdd'))),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(131, '\xaa'),
                               "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, TakesAnEmptyKeyAndAnEmptyMessage) {
  constexpr auto kEmpty = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  EXPECT_EQ(to_hex(hmac_sha256("", "")), kEmpty);
  EXPECT_EQ(to_hex(hmac_sha256("another key in between", "x")).size(), 64U);
  EXPECT_EQ(to_hex(hmac_sha256({}, {})), kEmpty);
}

// The vectors of RFC 4648 §10.
TEST(Base64, ReadsWhatItWrites) {
  for (const auto& [plain, text] : {std::pair<const char*, const char*>{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64_encode(plain), text);
    EXPECT_EQ(base64_decode(text), plain);
  }
}

TEST(Base64, RefusesEveryOtherSpelling) {
  for (const char* bad : {"Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v\n", " Zm9v", "Zm 9",
                          "Zm9-", "Zm9_", "Zg==Zg==", "Zh==", "Zm9=", "Zm\xc3\xa4"}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
}

TEST(Base64Url, ReadsWhatItWritesForEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    bytes += static_cast<char>(255 - i % 256);
  }
  EXPECT_EQ(base64url_encode("\xfb\xff"), "-_8");
  EXPECT_EQ(base64url_encode("{\"alg\":\"HS256\"}"), "eyJhbGciOiJIUzI1NiJ9");
}

TEST(Base64Url, RefusesPaddingTheOtherAlphabetAndSecondSpellings) {
  for (const char* bad : {"-_8=", "+/8", "A", "AAAAA", "-_9", "AB", "A A"})
    EXPECT_FALSE(base64url_decode(bad)) << bad;
}

TEST(EqualConstantTime, ComparesAllBytesAndUnequalLengths) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time({}, ""));
  EXPECT_TRUE(equal_constant_time(std::string("a\0b", 3), std::string("a\0b", 3)));
  EXPECT_FALSE(equal_constant_time(std::string("a\0b", 3), std::string("a\0c", 3)));
  EXPECT_FALSE(equal_constant_time("secret", "secre"));
  EXPECT_FALSE(equal_constant_time("secret", "secrets"));
  EXPECT_FALSE(equal_constant_time("", "x"));
  EXPECT_FALSE(equal_constant_time("Xecret", "secret"));
}

}  // namespace
}  // namespace asahi
