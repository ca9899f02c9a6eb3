#include "llm/embed/onnx/unicode.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace asahi::llm::onnx {
namespace {

/// The range that may hold `c`; null: none does.
template <class Range>
const Range* range_of(std::span<const Range> ranges, char32_t c) {
  const auto after = std::ranges::upper_bound(ranges, c, {}, &Range::first);
  if (after == ranges.begin()) return nullptr;
  const Range& found = *std::prev(after);
  return c <= found.last ? &found : nullptr;
}

}  // namespace

CharClass class_of(char32_t c) {
  if (c >= U'a' && c <= U'z') return CharClass::kOther;
  const ClassRange* const found = range_of(class_ranges(), c);
  return found == nullptr ? CharClass::kOther : found->kind;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return c > U' ' && c < 0x7F && !(c >= U'0' && c <= U'9') && !(c >= U'A' && c <= U'Z') &&
           !(c >= U'a' && c <= U'z');
  return class_of(c) == CharClass::kPunctuation;
}

bool is_ideograph(char32_t c) {
  if (c < 0x3400) return false;
  return c <= 0x4DBF || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

char32_t lower_of(char32_t c) {
  if (c < 0x80) return c >= U'A' && c <= U'Z' ? c + 32 : c;
  if (c == 0x130) return U'i';
  const LowerRun* const run = range_of(lower_runs(), c);
  if (run == nullptr || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + run->difference);
}

void append_bare(std::u32string& out, char32_t c) {
  if (c < 0xC0) {
    out += c;
    return;
  }
  constexpr char32_t kFirst = 0xAC00, kLast = 0xD7A3;
  if (c >= kFirst && c <= kLast) {
    // Hangul syllables (The Unicode Standard, 3.12).
    const char32_t index = c - kFirst;
    out += 0x1100 + index / 588;
    out += 0x1161 + index % 588 / 28;
    if (index % 28 != 0) out += 0x11A7 + index % 28;
    return;
  }
  const auto all = decompositions();
  const auto found = std::ranges::lower_bound(all, c, {}, &Parts::letter);
  if (found != all.end() && found->letter == c) {
    for (const char32_t part : found->parts) {
      if (part != 0) out += part;
    }
  } else if (class_of(c) != CharClass::kMark) {
    out += c;
  }
}

char32_t next_character(std::string_view text, std::size_t& at) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = utf8_length(text, at);
  if (length == 0) {
    ++at;
    return 0xFFFD;
  }
  const std::size_t begin = std::exchange(at, at + length);
  if (length == 1) return byte(begin);
  char32_t c = byte(begin) & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) c = c << 6 | (byte(begin + i) & 0x3FU);
  return c;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace asahi::llm::onnx
