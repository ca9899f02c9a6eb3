#include "gateway/cache/semantic/answers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <unordered_set>

#include "gateway/cache/semantic/verifier.h"

namespace asahi::gateway::semantic {
namespace {

constexpr std::size_t kLongest = 64 * 1024;
// From that score of the verifier on, two answers count as one.
constexpr float kAlike = 0.6F;

// Letters and digits in lower case, one blank between words; other scripts as they are.
std::string plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c - 'A' + 'a');
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || u >= 0x80) {
      out += c;
    } else if (c == '.' || c == '-') {
      out += c;  // 3.5, -2: kept where a digit follows
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  std::string kept;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool sign = out[i] == '.' || out[i] == '-';
    const bool inside = sign && i + 1 < out.size() && out[i + 1] >= '0' && out[i + 1] <= '9';
    if (sign && !inside) {
      if (!kept.empty() && kept.back() != ' ') kept += ' ';
    } else if (out[i] != ' ' || (!kept.empty() && kept.back() != ' ')) {
      kept += out[i];
    }
  }
  while (!kept.empty() && kept.back() == ' ') kept.pop_back();
  return kept;
}

std::optional<double> as_number(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ',' && c != ' ' && c != '$' && c != '%') digits += c;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// Whole words of `part` inside `whole`, without a negation before or after them.
bool contains(std::string_view whole, std::string_view part) {
  const std::size_t at = (" " + std::string(whole) + " ").find(" " + std::string(part) + " ");
  if (at == std::string::npos) return false;
  // The rest must be small talk: "The answer is 42."
  return whole.size() <= part.size() + 48;
}

// Answers of at most so many words are facts, not texts.
constexpr std::uint32_t kShort = 12;
// Texts that share less of their content words are about different things.
constexpr double kAboutTheSame = 0.25;

/// Share of the shorter text's content words that stand in the other too.
double shared_words(const llm::text::Words& a, const llm::text::Words& b) {
  std::unordered_set<std::uint32_t> left, right;
  for (const llm::text::Word& word : a.words) left.insert(word.hash);
  for (const llm::text::Word& word : b.words) right.insert(word.hash);
  if (left.empty() || right.empty()) return 0;
  if (left.size() > right.size()) std::swap(left, right);
  const auto shared =
      std::ranges::count_if(left, [&](std::uint32_t hash) { return right.contains(hash); });
  return static_cast<double>(shared) / static_cast<double>(left.size());
}

/// 1: the text begins with yes, -1: with no, 0: with neither.
int polarity(std::string_view text) {
  const auto begins = [&](std::string_view word) {
    return text.starts_with(word) && (text.size() == word.size() || text[word.size()] == ' ');
  };
  return begins("yes") ? 1 : begins("no") ? -1 : 0;
}

}  // namespace

Agreement compare_answers(std::string_view a, std::string_view b) {
  if (a == b) return Agreement::kSame;
  if (a.size() > kLongest || b.size() > kLongest) return Agreement::kUnclear;
  const std::string x = plain(a), y = plain(b);
  if (x.empty() || y.empty()) return Agreement::kDifferent;
  if (x == y) return Agreement::kSame;
  const auto number_a = as_number(a), number_b = as_number(b);
  if (number_a && number_b) {
    const bool equal = std::abs(*number_a - *number_b) <= 1e-9 * std::max(std::abs(*number_a), 1.0);
    return equal ? Agreement::kSame : Agreement::kDifferent;
  }
  const llm::text::Words words_a = llm::text::analyse(a), words_b = llm::text::analyse(b);
  const Comparison found = compare(words_a, words_b);
  if (found.verdict == Verdict::kSame && found.score >= kAlike) return Agreement::kSame;
  const bool same_polarity = (words_a.negations > 0) == (words_b.negations > 0);
  if (same_polarity && (x.size() >= y.size() ? contains(x, y) : contains(y, x)))
    return Agreement::kSame;
  if (std::min(words_a.length, words_b.length) <= kShort || polarity(x) * polarity(y) < 0 ||
      shared_words(words_a, words_b) < kAboutTheSame)
    return Agreement::kDifferent;
  return Agreement::kUnclear;
}

}  // namespace asahi::gateway::semantic
