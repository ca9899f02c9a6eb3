#include "base/hex.h"

#include <gtest/gtest.h>

namespace asahi {
namespace {

TEST(Hex, ReadsWhatItWroteForEveryByte) {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const std::string text = to_hex(bytes);
  EXPECT_TRUE(text.starts_with("000102"));
  EXPECT_TRUE(text.ends_with("fdfeff"));

  std::array<std::uint8_t, 256> back{};
  ASSERT_TRUE(from_hex(text, back));
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(from_hex(text), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

TEST(Hex, ReadsEitherCase) {
  EXPECT_EQ(from_hex("4a4B"), "JK");
  EXPECT_EQ(from_hex(""), "");
}

TEST(Hex, RefusesAnOddDigitAndWhateverIsNone) {
  EXPECT_FALSE(from_hex("4"));
  EXPECT_FALSE(from_hex("4a4"));
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool digit = std::string_view("0123456789abcdefABCDEF").contains(c);
    EXPECT_EQ(from_hex(std::string{'0', c}).has_value(), digit) << byte;
    EXPECT_EQ(from_hex(std::string{c, '0'}).has_value(), digit) << byte;
    EXPECT_EQ(hex_value(c) >= 0, digit) << byte;
  }
}

TEST(Hex, FillsABufferOnlyWithAsManyBytesAsItHas) {
  std::array<std::uint8_t, 2> two{};
  EXPECT_FALSE(from_hex("4a", two));
  EXPECT_FALSE(from_hex("4a4b4c", two));
  EXPECT_FALSE(from_hex("4a4x", two));
  EXPECT_TRUE(from_hex("4a4b", two));
}

}  // namespace
}  // namespace asahi
