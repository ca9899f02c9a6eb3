#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace asahi::memory::text {

/// What a character is to the tokeniser.
enum class Sign : std::uint8_t {
  kBlank,   ///< parts words: blanks, most punctuation, ill-formed bytes
  kLetter,  ///< of a script with blanks between words
  kDigit,
  kJoint,  ///< holds a compound together: _ - . / \ : @ ' + #
  kDense,  ///< of a script without blanks: Han, kana, Hangul, Thai, Lao, Khmer, Burmese
  kMark    ///< an accent on its own: dropped
};

/// A character folded: one to three that stand for it.
struct FoldedChar {
  Sign sign = Sign::kBlank;
  bool upper = false;
  std::uint8_t count = 1;
  std::array<char32_t, 3> to{};
};

/// Folds the character at `at`, which moves behind it.
FoldedChar fold_at(std::string_view text, std::size_t& at);

}  // namespace asahi::memory::text
