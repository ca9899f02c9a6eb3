#include "gateway/archive/gzip.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

std::string text_of(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + '\n';
  text.resize(size);
  return text;
}

std::string packed(const std::string& text, std::size_t piece) {
  std::string out;
  GzipWriter writer([&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  });
  for (std::size_t at = 0; at < text.size(); at += piece)
    EXPECT_TRUE(writer.write(std::string_view(text).substr(at, piece)));
  EXPECT_TRUE(writer.finish());
  return out;
}

Result<std::string> unpacked(std::string_view bytes, std::size_t piece) {
  std::string out;
  GzipReader reader([&](std::string_view text) -> Result<void> {
    out += text;
    return {};
  });
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (auto read = reader.write(bytes.substr(at, piece)); !read)
      return std::unexpected(read.error());
  }
  if (auto ended = reader.finish(); !ended) return std::unexpected(ended.error());
  return out;
}

TEST(Gzip, GivesBackWhatItTook) {
  for (const std::size_t size : {0UL, 1UL, 65'536UL, 3'000'000UL}) {
    const std::string text = text_of(size);
    for (const std::size_t piece : {1'000UL, 5'000'000UL}) {
      const std::string bytes = packed(text, piece);
      EXPECT_LT(bytes.size(), size / 2 + 30);
      EXPECT_TRUE(unpacked(bytes, 777).value() == text);
    }
  }
}

TEST(Gzip, NoticesWhatIsCutOrBroken) {
  const std::string bytes = packed(text_of(100'000), 100'000);
  for (const std::size_t size : {0UL, 5UL, bytes.size() / 2, bytes.size() - 1})
    EXPECT_EQ(unpacked(bytes.substr(0, size), 1'000).error().code, Errc::kCorrupt) << size;
  std::string flipped = bytes;
  flipped[flipped.size() / 2] ^= 1;
  EXPECT_EQ(unpacked(flipped, 1'000).error().code, Errc::kCorrupt);
  EXPECT_EQ(unpacked("plain text, no gzip", 100).error().code, Errc::kCorrupt);
  EXPECT_EQ(unpacked(bytes + "more", 100).error().code, Errc::kCorrupt);
}

TEST(Gzip, EndsWithTheSink) {
  const std::string bytes = packed(text_of(1'000), 1'000);
  GzipReader reader([](std::string_view) -> Result<void> { return fail(Errc::kTooLarge, "no"); });
  EXPECT_EQ(reader.write(bytes).error().code, Errc::kTooLarge);
}

}  // namespace
}  // namespace asahi::gateway
