#include "memory/text/fold.h"

#include <string>

#include "llm/embed/onnx/unicode.h"

namespace asahi::memory::text {
namespace {

namespace uni = llm::onnx;

constexpr FoldedChar of(Sign sign, char32_t to, bool upper = false) {
  FoldedChar out;
  out.sign = sign;
  out.upper = upper;
  out.to[0] = to;
  return out;
}

constexpr std::array<FoldedChar, 128> kAscii = [] {
  std::array<FoldedChar, 128> table{};
  for (char32_t c = 0; c < 128; ++c) {
    if (c >= U'a' && c <= U'z') table[c] = of(Sign::kLetter, c);
    if (c >= U'A' && c <= U'Z') table[c] = of(Sign::kLetter, c - U'A' + U'a', true);
    if (c >= U'0' && c <= U'9') table[c] = of(Sign::kDigit, c);
  }
  for (const char32_t c : U"_-./\\:@'+#") {
    if (c != 0) table[c] = of(Sign::kJoint, c);
  }
  return table;
}();

bool dense(char32_t c) {
  return (c >= 0x0E00 && c < 0x0F00) || (c >= 0x1000 && c < 0x10A0) ||
         (c >= 0x1100 && c < 0x1200) || (c >= 0x1780 && c < 0x1800) ||
         (c >= 0x2E80 && c < 0x3000) || (c >= 0x3041 && c < 0xA4D0) ||
         (c >= 0xAC00 && c < 0xD7B0) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0x20000 && c < 0x32000);
}

/// First digits of scripts that count in tens from there.
constexpr std::array<char32_t, 14> kZeros = {0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6,
                                             0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66,
                                             0x0CE6, 0x0D66, 0x0E50, 0x0ED0};

/// Half-width katakana U+FF66 to U+FF9D.
constexpr std::u32string_view kHalfWidth =
    U"ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモ"
    U"ヤユヨラリルレロワン";

struct Pair {
  char32_t from;
  std::u32string_view to;
};
/// What no canonical decomposition tells.
constexpr std::array<Pair, 24> kLetters = {
    {{U'ß', U"ss"}, {U'æ', U"ae"}, {U'œ', U"oe"}, {U'ø', U"o"},   {U'đ', U"d"},   {U'ð', U"d"},
     {U'þ', U"th"}, {U'ł', U"l"},  {U'ı', U"i"},  {U'ħ', U"h"},   {U'ŋ', U"n"},   {U'ſ', U"s"},
     {U'ﬀ', U"ff"}, {U'ﬁ', U"fi"}, {U'ﬂ', U"fl"}, {U'ﬃ', U"ffi"}, {U'ﬄ', U"ffl"}, {U'ς', U"σ"},
     {U'ى', U"ي"},  {U'ة', U"ه"},  {U'ک', U"ك"},  {U'ی', U"ي"},   {U'ª', U"a"},   {U'º', U"o"}}};

FoldedChar letters(std::u32string_view to, bool upper) {
  FoldedChar out;
  out.sign = Sign::kLetter;
  out.upper = upper;
  out.count = 0;
  for (const char32_t c : to) {
    if (out.count < out.to.size()) out.to[out.count++] = c;
  }
  return out;
}

FoldedChar fold_wide(char32_t c) {
  // Full-width ASCII, half-width kana.
  if (c >= 0xFF01 && c <= 0xFF5E) return kAscii[c - 0xFEE0];
  if (c >= 0xFF66 && c <= 0xFF9D) return of(Sign::kDense, kHalfWidth[c - 0xFF66]);
  if (c == 0x2019 || c == 0x2018 || c == 0x02BC) return of(Sign::kJoint, U'\'');
  if (c == 0x2010 || c == 0x2011) return of(Sign::kJoint, U'-');
  if (c == 0xAD || c == 0x0640 || (c >= 0x200B && c <= 0x200D) || c == 0x2060 || c == 0xFEFF)
    return of(Sign::kMark, 0);  // soft hyphen, tatweel, zero-width signs
  if (c == 0xB2 || c == 0xB3) return of(Sign::kDigit, U'2' + (c - 0xB2));
  if (c == 0xB9) return of(Sign::kDigit, U'1');
  if (c >= 0x2080 && c <= 0x2089) return of(Sign::kDigit, U'0' + (c - 0x2080));
  for (const char32_t zero : kZeros) {
    if (c >= zero && c < zero + 10) return of(Sign::kDigit, U'0' + (c - zero));
  }
  const uni::CharClass kind = uni::class_of(c);
  if (kind == uni::CharClass::kSpace || kind == uni::CharClass::kPunctuation ||
      kind == uni::CharClass::kControl)
    return {};
  if (dense(c)) return of(Sign::kDense, c);
  const bool indic = c >= 0x0900 && c < 0x0E00;
  if (kind == uni::CharClass::kMark && !indic) return of(Sign::kMark, 0);
  // Signs of mathematics, arrows, boxes, pictures.
  if ((c >= 0xA1 && c <= 0xBF && c != 0xAA && c != 0xB5 && c != 0xBA) || c == 0xD7 || c == 0xF7 ||
      (c >= 0x2000 && c < 0x2C00) || (c >= 0x2E00 && c < 0x3041) || (c >= 0xFE00 && c < 0xFE70) ||
      (c >= 0xFFE0 && c <= 0xFFFF) || (c >= 0x1F000 && c < 0x1FB00) || c >= 0xE0000)
    return {};
  const char32_t lower = uni::lower_of(c);
  const bool upper = lower != c;
  for (const Pair& pair : kLetters) {
    if (pair.from == lower) return letters(pair.to, upper);
  }
  if (lower < 0x2000 && !indic) {
    std::u32string bare;
    uni::append_bare(bare, lower);
    if (!bare.empty()) return letters(bare, upper);
  }
  return of(Sign::kLetter, lower, upper);
}

}  // namespace

FoldedChar fold_at(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) {
    ++at;
    return kAscii[byte];
  }
  const char32_t c = uni::next_character(text, at);
  return c == 0xFFFD ? FoldedChar{} : fold_wide(c);
}

}  // namespace asahi::memory::text
