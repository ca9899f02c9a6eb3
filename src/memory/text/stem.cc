#include "memory/text/stem.h"

#include <algorithm>
#include <array>

#include "llm/embed/stem.h"

namespace asahi::memory::text {
namespace {

// Longest first; "й" is "и" after folding.
constexpr auto kRussian = std::to_array<std::string_view>(
    {"иями", "ами", "ями", "ого", "его", "ому", "ему", "ыми", "ими", "иях", "ием", "иеи",
     "оию",  "ах",  "ях",  "ов",  "ев",  "еи",  "ом",  "ем",  "ам",  "ям",  "ыи",  "ии",
     "ои",   "ая",  "яя",  "ое",  "ее",  "ые",  "ие",  "ых",  "их",  "ую",  "юю",  "ым",
     "им",   "ию",  "ия",  "а",   "я",   "о",   "е",   "ы",   "и",   "у",   "ю",   "ь"});

}  // namespace

std::string stem(std::string_view word) {
  if (word.empty()) return {};
  const auto first = static_cast<unsigned char>(word.front());
  if (first < 0x80) return llm::text::stem(word);
  // U+0400 to U+04FF: lead bytes D0 to D3.
  if (first < 0xD0 || first > 0xD3) return std::string(word);
  for (const std::string_view ending : kRussian) {
    // Three letters of two bytes stay.
    if (word.size() >= ending.size() + 6 && word.ends_with(ending))
      return std::string(word.substr(0, word.size() - ending.size()));
  }
  return std::string(word);
}

}  // namespace asahi::memory::text
