#include "memory/rank/question.h"

#include <algorithm>
#include <array>

namespace asahi::memory::rank {
namespace {

constexpr std::size_t kMostBytes = 4'000;

template <std::size_t N>
bool any_of(const std::vector<std::string>& words, const std::array<std::string_view, N>& list) {
  return std::ranges::any_of(
      words, [&](const std::string& word) { return std::ranges::find(list, word) != list.end(); });
}

constexpr auto kFirst =
    std::to_array<std::string_view>({"first", "earliest", "originally", "initially"});
constexpr auto kLatest = std::to_array<std::string_view>(
    {"latest", "recent", "recently", "lately", "currently", "now", "newest", "nowadays"});

}  // namespace

Question read_question(std::string_view text, Clock::Time now) {
  text = text.substr(0, kMostBytes);
  Question out;
  out.terms = text::query_terms(text);
  out.words = text::plain_words(text);
  out.time = named_time(out.words, now);
  // "When did …", "Since when …", "At what time …", "What date …".
  for (std::size_t i = 0; i < out.words.size() && i < 4; ++i) {
    const std::string& word = out.words[i];
    const bool behind_what = i > 0 && (out.words[i - 1] == "what" || out.words[i - 1] == "which");
    out.asks_when |= (word == "when" && i < 2) ||
                     (behind_what && (word == "time" || word == "date" || word == "day" ||
                                      word == "month" || word == "year" || word == "week"));
  }
  if (any_of(out.words, kLatest)) out.order = TimeOrder::kLatest;
  if (any_of(out.words, kFirst)) out.order = TimeOrder::kFirst;
  std::ranges::sort(out.words);
  const auto repeated = std::ranges::unique(out.words);
  out.words.erase(repeated.begin(), repeated.end());
  return out;
}

}  // namespace asahi::memory::rank
