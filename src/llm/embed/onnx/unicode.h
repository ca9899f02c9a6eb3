#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// What BERT's tokeniser asks of Unicode. Tables: unicode_data.cc.
namespace asahi::llm::onnx {

enum class CharClass : std::uint8_t {
  kOther,
  kMark,         ///< Mn: what accents are, once letters are taken apart
  kPunctuation,  ///< P*; ASCII's other signs (+ $ < ^ …) count too in BERT
  kSpace,        ///< Z*
  kControl       ///< Cc, Cf, Co
};
struct ClassRange {
  char32_t first, last;
  CharClass kind;
};
/// Every `step`th letter from `first` to `last` has its lower case `difference` further on.
struct LowerRun {
  char32_t first, last;
  std::uint8_t step;
  std::int32_t difference;
};
/// A letter taken apart (NFD), marks dropped; 0: no more parts.
struct Parts {
  char32_t letter;
  std::array<char32_t, 3> parts;
};
std::span<const ClassRange> class_ranges();
std::span<const LowerRun> lower_runs();
std::span<const Parts> decompositions();

CharClass class_of(char32_t c);
/// ASCII signs and P*.
bool is_punctuation(char32_t c);
/// Chinese characters, which BERT takes one by one (no kana, no Hangul).
bool is_ideograph(char32_t c);
/// One letter's lower case; of U+0130 the i without its dot.
char32_t lower_of(char32_t c);
/// Adds `c` without accents: taken apart, its marks dropped.
void append_bare(std::u32string& out, char32_t c);

/// The character at `at`, which moves on; U+FFFD for a byte that is no UTF-8.
char32_t next_character(std::string_view text, std::size_t& at);
void append_utf8(std::string& out, char32_t c);

}  // namespace asahi::llm::onnx
