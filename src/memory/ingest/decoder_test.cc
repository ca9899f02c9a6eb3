#include "memory/ingest/decoder.h"

#include <gtest/gtest.h>

#include "memory/testing/packed.h"

namespace asahi::memory {
namespace {

using testing::packed;

class DecoderTest : public ::testing::TestWithParam<Compression> {
 protected:
  /// Everything of `bytes`, given in pieces of `step`.
  static Result<std::string> decode(const std::string& bytes, std::size_t step,
                                    DecodeLimits limits = {}) {
    ASAHI_TRY(const auto decoder, Decoder::make(GetParam(), limits));
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const std::string piece = bytes.substr(at, step);
      decoder->give(piece);
      for (;;) {
        ASAHI_TRY(const auto text, decoder->next());
        if (text.empty()) break;
        out += text;
      }
    }
    if (auto ended = decoder->finish(); !ended) return std::unexpected(ended.error());
    return out;
  }
  static std::string varied(std::size_t size) {
    std::string text;
    for (std::uint32_t x = 1; text.size() < size; x = x * 1'664'525 + 1'013'904'223)
      text += std::to_string(x);
    return text;
  }
};

TEST_P(DecoderTest, GivesBackWhateverTheCutsAre) {
  const std::string text = varied(300'000);
  const std::string bytes = packed(GetParam(), text);
  for (const std::size_t step : {std::size_t{1}, std::size_t{777}, bytes.size()})
    EXPECT_EQ(decode(bytes, step).value(), text) << step;
  EXPECT_EQ(decode(packed(GetParam(), ""), 1).value(), "");
}

TEST_P(DecoderTest, ReadsMembersOneBehindTheOther) {
  EXPECT_EQ(decode(packed(GetParam(), "one") + packed(GetParam(), "two"), 5).value(), "onetwo");
}

TEST_P(DecoderTest, TellsCutsAndNonsense) {
  if (GetParam() == Compression::kNone) GTEST_SKIP() << "plain text is never broken";
  const std::string bytes = packed(GetParam(), varied(10'000));
  EXPECT_EQ(decode(bytes.substr(0, bytes.size() / 2), 100).error().code, Errc::kCorrupt);
  EXPECT_EQ(decode("", 1).error().code, Errc::kCorrupt);
  EXPECT_EQ(decode("{\"conversations\": []}", 100).error().code, Errc::kCorrupt);
}

TEST_P(DecoderTest, RefusesBombs) {
  if (GetParam() == Compression::kNone) GTEST_SKIP() << "plain text does not grow";
  const std::string bomb = packed(GetParam(), std::string(64 << 20, ' '));
  const auto refused = decode(bomb, bomb.size());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_TRUE(refused.error().message.contains("100 times"));
}

TEST_P(DecoderTest, KeepsTheAbsoluteCap) {
  const auto refused = decode(packed(GetParam(), varied(100'000)), 10'000, {.max_bytes = 99'999});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
}

INSTANTIATE_TEST_SUITE_P(Formats, DecoderTest,
                         ::testing::Values(Compression::kNone, Compression::kGzip,
                                           Compression::kZstd, Compression::kLz4),
                         [](const auto& info) {
                           return std::string(compression_name(info.param));
                         });

}  // namespace
}  // namespace asahi::memory
