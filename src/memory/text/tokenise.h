#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::memory::text {

enum class TokenKind : std::uint8_t {
  kWord,    ///< a word without its ending (llm/embed/stem.h; Russian: light endings)
  kWhole,   ///< a number, identifier, version, path or compound as it stands, folded
  kPair,    ///< two neighbouring characters of a script that writes without blanks
  kLetter,  ///< one such character
};

/// One term of a text. `position` counts words from 0; a compound stands where its first part does.
struct Token {
  std::uint32_t begin = 0;  ///< in Tokens::letters
  std::uint16_t length = 0;
  TokenKind kind = TokenKind::kWord;
  bool grammar = false;  ///< "the", "did", "what": says little in a question
  std::uint32_t position = 0;
};

/// Reused from text to text: nothing is allocated once it has grown.
struct Tokens {
  std::string letters;
  std::vector<Token> tokens;
  std::uint32_t words = 0;  ///< positions taken

  std::string_view of(const Token& token) const {
    return std::string_view(letters).substr(token.begin, token.length);
  }
};

/// In documents characters of scripts without blanks stand alone and in pairs; in questions in
/// pairs, alone only when there is just one.
enum class Side : std::uint8_t { kDocument, kQuestion };

/// Longer terms are cut there, at a character's border.
inline constexpr std::size_t kLongestToken = 64;
inline constexpr std::uint32_t kMostWords = 65'535;

/// Any bytes; what is no UTF-8 parts words. Case, accents (Latin, Greek, Cyrillic, Hebrew, Arabic),
/// full-width forms, ligatures and other scripts' digits are folded; "don't" is "do", "Mel's" is
/// "mel". Compounds ("snake_case", "camelCase", "src/a.cc", "covid-19", "1.2.3", "e0308") are kept
/// whole and in their parts; "1.2.3" also as "1.2", a path also by its last part. At most
/// kMostWords words are read. Linear in the text; about 100 MB/s of English.
void tokenise(std::string_view text, Side side, Tokens& out);

/// Whether any word of `plain_words` is one of these; stops at the first.
bool any_plain_word(std::string_view text, const std::function<bool(std::string_view)>& is);

/// The folded words of a text without compounds and endings, for comparing names: "Zoë's" is "zoe".
std::vector<std::string> plain_words(std::string_view text);

/// A word that carries grammar rather than content ("which", "after", "does"); folded, unstemmed.
bool is_grammar(std::string_view word);

}  // namespace asahi::memory::text
