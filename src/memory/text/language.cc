#include "memory/text/language.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/dedup/normalise.h"

namespace asahi::memory::text {
namespace {

constexpr std::size_t kBytesRead = 600;
constexpr std::size_t kFewestLetters = 50;
constexpr std::size_t kRanks = 300;
constexpr std::size_t kShortest = 2, kLongest = 4;
// Measured on sentences of all languages: below, guesses were wrong (language_test.cc).
constexpr double kLeastScore = 60;
constexpr double kMostOfSecond = 0.85;
/// A text of several scripts is in that of most of its letters.
constexpr double kShareOfScript = 0.5;

struct Vote {
  std::uint8_t language;
  float weight;
};
using Votes = std::unordered_map<std::string_view, std::vector<Vote>>;

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

Votes read_profiles() {
  Votes votes;
  for (std::uint8_t at = 0; at < kProfiles; ++at) {
    std::string_view rest = kLanguageProfiles[at].parts;
    for (std::size_t rank = 0; !rest.empty(); ++rank) {
      const std::string_view part = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
      const auto length = static_cast<float>(characters_in(part) - 1);
      votes[part].push_back({at, static_cast<float>(kRanks - rank) * length});
    }
  }
  // What few languages have says more.
  for (auto& [part, list] : votes) {
    const float rarity =
        std::log(1 + static_cast<float>(kProfiles) / static_cast<float>(list.size()));
    for (Vote& vote : list) vote.weight *= rarity;
  }
  return votes;
}

char32_t decode(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at++]);
  if (byte < 0x80) return byte;
  const int more = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
  char32_t value = byte & (0x3FU >> static_cast<unsigned>(more));
  for (int i = 0; i < more && at < text.size(); ++i)
    value = (value << 6U) | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  return value;
}

/// Of lower-case text.
bool is_letter(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z';
  if (c < 0xC0 || c == 0xD7 || c == 0xF7) return c == 0xAA || c == 0xBA || c == 0xB5;
  const bool punctuation = (c >= 0x2000 && c <= 0x2BFF) || (c >= 0x3000 && c <= 0x303F) ||
                           (c >= 0xFE00 && c <= 0xFE6F) || c == 0xFFFD || c >= 0x1F000;
  const bool arabic_marks = c == 0x60C || c == 0x61B || c == 0x61F || (c >= 0x660 && c <= 0x669);
  return !punctuation && !arabic_marks;
}

/// Scripts that one language alone has here; kana says Japanese where Han stands beside it.
struct Scripts {
  std::size_t letters = 0, greek = 0, hebrew = 0, thai = 0, devanagari = 0, hangul = 0, kana = 0,
              han = 0;

  void count(char32_t c) {
    ++letters;
    if (c < 0x370) return;
    greek += c <= 0x3FF || (c >= 0x1F00 && c <= 0x1FFF) ? 1 : 0;
    hebrew += c >= 0x590 && c <= 0x5FF ? 1 : 0;
    devanagari += c >= 0x900 && c <= 0x97F ? 1 : 0;
    thai += c >= 0xE00 && c <= 0xE7F ? 1 : 0;
    hangul += c >= 0xAC00 && c <= 0xD7AF ? 1 : 0;
    kana += c >= 0x3040 && c <= 0x30FF ? 1 : 0;
    han += c >= 0x4E00 && c <= 0x9FFF ? 1 : 0;
  }
  /// Empty: a script of several.
  std::string_view language() const {
    const auto most = [this](std::size_t some) {
      return static_cast<double>(some) > kShareOfScript * static_cast<double>(letters);
    };
    if (most(greek)) return "el";
    if (most(hebrew)) return "he";
    if (most(devanagari)) return "hi";
    if (most(thai)) return "th";
    if (most(hangul)) return "ko";
    if (most(kana + han)) return kana * 10 > han ? "ja" : "zh";
    return {};
  }
};

/// Votes of a word with its edges: the places where its characters begin, and its end.
void count_votes(const Votes& votes, std::string_view word, const std::vector<std::size_t>& places,
                 std::array<double, kProfiles>& scores, std::size_t& parts) {
  for (std::size_t length = kShortest; length <= kLongest; ++length) {
    for (std::size_t i = 0; i + length < places.size(); ++i) {
      ++parts;
      const auto found = votes.find(word.substr(places[i], places[i + length] - places[i]));
      if (found == votes.end()) continue;
      for (const Vote& vote : found->second) scores[vote.language] += vote.weight;
    }
  }
}

}  // namespace

std::string_view guess_language(std::string_view text) {
  static const Votes votes = read_profiles();
  std::size_t end = std::min(text.size(), kBytesRead);
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;
  const std::string plain = dedup::normalised(text.substr(0, end)) + ' ';
  Scripts scripts;
  std::array<double, kProfiles> scores{};
  std::size_t parts = 0;
  std::string word = "_";
  std::vector<std::size_t> places{0, 1};
  for (std::size_t at = 0; at < plain.size();) {
    const std::size_t from = at;
    const char32_t c = decode(plain, at);
    if (is_letter(c)) {
      scripts.count(c);
      word.append(plain, from, at - from);
      places.push_back(word.size());
      continue;
    }
    if (places.size() == 2) continue;
    word += '_';
    places.push_back(word.size());
    count_votes(votes, word, places, scores, parts);
    word.resize(1);
    places.resize(2);
  }
  if (const std::string_view only = scripts.language(); !only.empty()) {
    // Their letters say as much as three of others.
    return scripts.letters * 3 >= kFewestLetters ? only : kUnknownLanguage;
  }
  if (scripts.letters < kFewestLetters) return kUnknownLanguage;
  const auto best = std::ranges::max_element(scores);
  const double first = *best;
  *best = 0;
  const double second = std::ranges::max(scores);
  if (first < kLeastScore * static_cast<double>(parts) || second > kMostOfSecond * first)
    return kUnknownLanguage;
  return kLanguageProfiles[static_cast<std::size_t>(best - scores.begin())].language;
}

}  // namespace asahi::memory::text
