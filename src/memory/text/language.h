#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace asahi::memory::text {

/// "unknown".
inline constexpr std::string_view kUnknownLanguage = "unknown";

/// The language of a text as ISO 639-1 says it, or kUnknownLanguage: for text of fewer than 50
/// letters, for code and logs, and where two languages are about as likely. Of Arabic, Bulgarian,
/// Chinese, Croatian, Czech, Danish, Dutch, English, Finnish, French, German, Greek, Hebrew, Hindi,
/// Hungarian, Indonesian, Italian, Japanese, Korean, Norwegian, Persian, Polish, Portuguese,
/// Romanian, Russian, Slovak, Spanish, Swedish, Thai, Turkish, Ukrainian and Vietnamese.
///
/// After Cavnar and Trenkle, "N-Gram-Based Text Categorization" (1994): parts of words are ranked
/// by how frequent they are in a language. Here each part of two to four characters votes for the
/// languages that have it among their first 300: for its rank, its length, and how few languages
/// share it. Scripts of one language alone decide by themselves. Looks at the first 600 bytes; some
/// 20 µs. Any thread.
std::string_view guess_language(std::string_view text);

/// The parts of a language's words, most frequent first, with blanks between.
struct LanguageProfile {
  std::string_view language;
  std::string_view parts;
};
inline constexpr std::size_t kProfiles = 25;
extern const std::array<LanguageProfile, kProfiles> kLanguageProfiles;

}  // namespace asahi::memory::text
