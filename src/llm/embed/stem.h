#pragma once

#include <string>
#include <string_view>

namespace asahi::llm::text {

/// Takes English endings off a folded (lower-case) word: plural, -ing, -ed, -ly, possessive;
/// irregular forms of common verbs and nouns by table. "studies", "studied", "studying" become
/// "studi"; words of other scripts and words of three letters or fewer stay. Lighter than Porter's
/// rules on purpose: "university" and "universe" must not meet.
std::string stem(std::string_view word);

}  // namespace asahi::llm::text
