#pragma once

#include <cstddef>
#include <vector>

#include "llm/embed/words.h"

namespace asahi::gateway::semantic {

inline constexpr std::size_t kNoWord = static_cast<std::size_t>(-1);

/// Which word of the other text stands for this one, and how well (0 to 1).
struct Match {
  std::size_t other = kNoWord;
  float credit = 0;
};

struct Alignment {
  std::vector<Match> asked;  ///< one per word
  std::vector<Match> cached;
};

/// One word with one word, best kinds first: same stem or member of a class, synonym, parts of a
/// compound, abbreviation with its words, slip of the pen, derived form.
Alignment align(const llm::text::Words& asked, const llm::text::Words& cached);

/// Both stand in one set of synonyms, on different sides, and share no side.
bool opposite(const llm::text::Word& a, const llm::text::Word& b);
/// "possible" and "impossible", "install" and "uninstall".
bool negated_form(std::string_view a, std::string_view b);

}  // namespace asahi::gateway::semantic
