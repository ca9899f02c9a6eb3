#include "base/cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace asahi {
namespace {

constexpr KeyRing::Options kQuick{.pbkdf2_iterations = 1'000};
constexpr std::string_view kContext = "provider_keys/acme/openai";

Secret key(char digit) { return Secret(std::string(64, digit)); }
KeyRing ring(std::vector<Secret> keys, KeyRing::Options options = kQuick) {
  return KeyRing::make(keys, options).value();
}
std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}
std::string hex(const std::string& text) {
  return to_hex(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}
Digest256 digest_of(std::string_view text) {
  Digest256 out{};
  const std::string raw = unhex(text);
  std::ranges::copy(raw, out.begin());
  return out;
}

// Test cases 13, 14 and 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega, submitted
// to NIST).
TEST(Aes256Gcm, AgreesWithThePublishedVectors) {
  const Digest256 zero{};
  const std::string nonce(12, '\0');
  EXPECT_EQ(hex(aes256_gcm_seal(zero, nonce, "", "")), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(hex(aes256_gcm_seal(zero, nonce, std::string(16, '\0'), "")),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  const Digest256 key16 =
      digest_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const std::string nonce16 = unhex("cafebabefacedbaddecaf888"),
                    aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const std::string plain = unhex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
      "b525b16aedf5aa0de657"
      "ba637b39");
  const std::string sealed = aes256_gcm_seal(key16, nonce16, plain, aad);
  EXPECT_EQ(hex(sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b"
            "1056828838c5f61e6393ba"
            "7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
  EXPECT_EQ(aes256_gcm_open(key16, nonce16, sealed, aad), plain);
  EXPECT_FALSE(aes256_gcm_open(key16, nonce16, sealed, ""));
  EXPECT_FALSE(aes256_gcm_open(key16, nonce, sealed, aad));
  EXPECT_FALSE(aes256_gcm_open(key16, "short", sealed, aad));
  EXPECT_FALSE(aes256_gcm_open(key16, nonce16, "no tag", aad));
}

// RFC 7914 §11; its results are twice as long, and PBKDF2's first block doesn't depend on the
// length.
TEST(Pbkdf2, AgreesWithRfc7914) {
  EXPECT_EQ(to_hex(pbkdf2_hmac_sha256("passwd", "salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  EXPECT_EQ(to_hex(pbkdf2_hmac_sha256("Password", "NaCl", 80'000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

TEST(KeyRing, ReadsWhatItWrites) {
  const KeyRing keys = ring({key('1')});
  for (const std::string& plain : {std::string(), std::string("sk-live-123"),
                                   std::string("a\0b", 3), std::string(100'000, 'x')}) {
    const std::string value = keys.encrypt(plain, kContext);
    EXPECT_EQ(keys.decrypt(value, kContext).value(), plain);
    EXPECT_FALSE(keys.is_stale(value));
  }
}

TEST(KeyRing, UsesTheRoundsOfTheSpecUnlessTold) {
  const KeyRing keys = ring({key('1')}, KeyRing::Options());
  const std::string raw = base64_decode(keys.encrypt("plain", "here")).value();
  // version, key id, length of the salt, salt, nonce, then ciphertext and tag
  EXPECT_EQ(raw.size(), 1U + 8 + 1 + 16 + 12 + 5 + 16);
  const Digest256 derived =
      pbkdf2_hmac_sha256(std::string(32, '\x11'), raw.substr(10, 16), 480'000);
  EXPECT_EQ(aes256_gcm_open(derived, raw.substr(26, 12), raw.substr(38), "here"), "plain");
}

TEST(KeyRing, WritesEachValueWithAFreshNonceAndNothingOfTheSecret) {
  const KeyRing keys = ring({key('1')});
  std::set<std::string> nonces;
  for (int i = 0; i < 1'000; ++i) {
    const std::string raw = base64_decode(keys.encrypt("sk-live-123", kContext)).value();
    EXPECT_EQ(raw.find("sk-live"), raw.npos);
    nonces.insert(raw.substr(26, 12));
  }
  EXPECT_EQ(nonces.size(), 1'000U);
}

TEST(KeyRing, RefusesAValueWithAnyBitChanged) {
  const KeyRing keys = ring({key('1')});
  const std::string raw = base64_decode(keys.encrypt("plain", kContext)).value();
  for (std::size_t byte = 0; byte < raw.size(); ++byte) {
    for (const int bit : {0, 7}) {
      std::string changed = raw;
      changed[byte] = static_cast<char>(changed[byte] ^ (1 << bit));
      const auto plain = keys.decrypt(base64_encode(changed), kContext);
      ASSERT_FALSE(plain) << byte;
      EXPECT_EQ(plain.error().code, Errc::kCorrupt) << byte;
    }
  }
}

TEST(KeyRing, RefusesAValueCutShortOrMadeLonger) {
  const KeyRing keys = ring({key('1')});
  const std::string raw = base64_decode(keys.encrypt("plain", kContext)).value();
  for (std::size_t size = 0; size < raw.size(); ++size) {
    EXPECT_EQ(keys.decrypt(base64_encode(raw.substr(0, size)), kContext).error().code,
              Errc::kCorrupt)
        << size;
  }
  EXPECT_FALSE(keys.decrypt(base64_encode(raw + 'x'), kContext));
  EXPECT_FALSE(keys.decrypt("sk-live-123", kContext));
  EXPECT_FALSE(keys.decrypt(base64_encode(raw) + "\n", kContext));
}

TEST(KeyRing, RefusesAValueMovedToAnotherPlace) {
  const KeyRing keys = ring({key('1')});
  const std::string value = keys.encrypt("plain", kContext);
  for (const char* other : {"provider_keys/acme/mistral", "provider_keys/other/openai", ""}) {
    EXPECT_EQ(keys.decrypt(value, other).error().code, Errc::kCorrupt);
  }
}

TEST(KeyRing, RefusesAValueOfAnUnknownKeyAndNamesItsId) {
  const std::string value = ring({key('1')}).encrypt("plain", kContext);
  const auto plain = ring({key('2')}).decrypt(value, kContext);
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().code, Errc::kCorrupt);
  EXPECT_NE(plain.error().message.find("ASAHI_ENCRYPTION_KEY_PREVIOUS"), std::string::npos);
  EXPECT_EQ(plain.error().message.find("1111"), std::string::npos);
}

TEST(KeyRing, ReadsValuesOfPreviousKeysAndWritesWithTheNewest) {
  const std::string oldest = ring({key('1')}).encrypt("one", kContext),
                    older = ring({key('2')}).encrypt("two", kContext);
  const KeyRing keys =
      KeyRing::parse(key('3'), Secret(key('2').reveal() + " , " + key('1').reveal() + ","), kQuick)
          .value();
  EXPECT_EQ(keys.decrypt(oldest, kContext).value(), "one");
  EXPECT_EQ(keys.decrypt(older, kContext).value(), "two");
  EXPECT_TRUE(keys.is_stale(oldest));
  EXPECT_TRUE(keys.is_stale(older));
  const std::string renewed = keys.encrypt("one", kContext);
  EXPECT_FALSE(keys.is_stale(renewed));
  EXPECT_EQ(ring({key('3')}).decrypt(renewed, kContext).value(), "one");
}

TEST(KeyRing, AnotherProcessReadsValuesWhateverSaltTheyHave) {
  const KeyRing reader = ring({key('1')});
  std::set<std::string> salts;
  for (int i = 0; i < 200; ++i) {
    const std::string value = ring({key('1')}).encrypt("plain", kContext);
    EXPECT_EQ(reader.decrypt(value, kContext).value(), "plain");
    salts.insert(base64_decode(value).value().substr(10, 16));
  }
  EXPECT_GT(salts.size(), 8U);
  EXPECT_LE(salts.size(), 16U);
  EXPECT_EQ(ring({key('1')}, {.pbkdf2_iterations = 1'000, .salt_length = 32})
                .decrypt(ring({key('1')}).encrypt("plain", ""), "")
                .value(),
            "plain");
}

TEST(KeyRing, ValuesBeginWithThePrefixOfTheirKey) {
  const KeyRing keys = ring({key('1')}), others = ring({key('2'), key('1')});
  EXPECT_EQ(keys.prefix().size(), 12U);
  EXPECT_TRUE(keys.encrypt("", "").starts_with(keys.prefix()));
  EXPECT_TRUE(keys.encrypt("plain", "").starts_with(keys.prefix()));
  EXPECT_NE(keys.prefix(), others.prefix());
}

TEST(KeyRing, TakesWhatIsNoValueForStale) {
  const KeyRing keys = ring({key('1')});
  for (const char* text : {"", "plain", "AAAAAAAAAAAA", "not base64 at all"})
    EXPECT_TRUE(keys.is_stale(text)) << text;
}

TEST(KeyRing, RefusesKeysThatAreNoneAndShowsNothingOfThem) {
  for (const std::string& bad : {std::string("abc"), std::string(63, 'a'), std::string(65, 'a'),
                                 std::string(63, 'a') + "g"}) {
    const auto made = KeyRing::make({key('1'), Secret(bad)}, kQuick);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(made.error().message.find(bad), std::string::npos);
    EXPECT_NE(made.error().message.find("key 2 of 2"), std::string::npos);
  }
  EXPECT_FALSE(KeyRing::make({}, kQuick));
  EXPECT_FALSE(KeyRing::parse(Secret(), Secret(), kQuick));
  EXPECT_NE(KeyRing::parse(Secret(), key('1'), kQuick)
                .error()
                .message.find("without ASAHI_ENCRYPTION_KEY"),
            std::string::npos);
  EXPECT_FALSE(KeyRing::make({key('1')}, {.pbkdf2_iterations = 10}));
  EXPECT_FALSE(KeyRing::make({key('1')}, {.pbkdf2_iterations = 1'000, .salt_length = 4}));
}

TEST(KeyRing, TakesUpperCaseDigitsAndAKeyGivenTwice) {
  const KeyRing keys = ring({key('a'), key('A'), key('1')});
  EXPECT_EQ(ring({key('A')}).decrypt(keys.encrypt("plain", ""), "").value(), "plain");
}

TEST(KeyRing, KeepsReadingAfterManyForeignSalts) {
  const KeyRing keys = ring({key('1')});
  const std::string value = keys.encrypt("plain", kContext);
  std::string raw = base64_decode(value).value();
  for (int i = 0; i < 600; ++i) {
    raw[10] = static_cast<char>(i);
    raw[11] = static_cast<char>(i >> 8);
    EXPECT_EQ(keys.decrypt(base64_encode(raw), kContext).has_value(), base64_encode(raw) == value);
  }
  EXPECT_EQ(keys.decrypt(value, kContext).value(), "plain");
}

TEST(KeyRing, ServesManyThreads) {
  const KeyRing writer = ring({key('1')});
  const KeyRing reader = ring({key('2'), key('1')});
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { reader.derive_ahead(); });
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(reader.decrypt(writer.encrypt("plain", kContext), kContext).value(), "plain");
        EXPECT_FALSE(reader.is_stale(reader.encrypt("plain", kContext)));
      }
    });
  }
}

}  // namespace
}  // namespace asahi
