#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::llm::text {

/// One word as it stands in the text, folded: lower case, no accents, typographic signs as ASCII,
/// contractions taken apart, numbers without grouping commas.
struct Token {
  std::uint32_t begin = 0;  ///< in Folded::letters
  std::uint32_t length = 0;
  bool capital = false;       ///< first letter is upper case
  bool all_capitals = false;  ///< two letters or more, all upper case
  bool sentence_start = false;
  bool number = false;
  bool code = false;
  bool comma_before = false;  ///< a comma, slash, dash or bracket parts it from the word before
};

struct Folded {
  std::vector<Token> tokens;
  std::string letters;
  bool question_mark = false;
  std::uint32_t scripts[8] = {};  ///< letters per script, see `Script`

  std::string_view of(const Token& token) const {
    return std::string_view(letters).substr(token.begin, token.length);
  }
};

enum Script : std::uint8_t {
  kLatin,
  kGreek,
  kCyrillic,
  kSemitic,  ///< Hebrew and Arabic
  kIndic,
  kThai,
  kHan,  ///< Chinese, Japanese, Korean
  kOtherScript
};

/// Any bytes. At most `max_tokens` words; `consumed` gets how many bytes they cover.
Folded fold(std::string_view text, std::size_t max_tokens, std::size_t& consumed);

}  // namespace asahi::llm::text
