#include "gateway/cache/semantic/answers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

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
    } else if (!out.empty() && (c == '.' || c == '-') && out.back() != ' ') {
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

}  // namespace

bool answers_agree(std::string_view a, std::string_view b) {
  if (a == b) return true;
  if (a.size() > kLongest || b.size() > kLongest) return false;
  const std::string x = plain(a), y = plain(b);
  if (x.empty() || y.empty()) return false;
  if (x == y) return true;
  const auto number_a = as_number(a), number_b = as_number(b);
  if (number_a && number_b)
    return std::abs(*number_a - *number_b) <= 1e-9 * std::max(std::abs(*number_a), 1.0);
  const llm::text::Words words_a = llm::text::analyse(a), words_b = llm::text::analyse(b);
  const Comparison found = compare(words_a, words_b);
  if (found.verdict == Verdict::kSame && found.score >= kAlike) return true;
  const bool short_one = std::min(x.size(), y.size()) >= 1;
  const bool same_polarity = (words_a.negations > 0) == (words_b.negations > 0);
  return short_one && same_polarity && (x.size() >= y.size() ? contains(x, y) : contains(y, x));
}

}  // namespace asahi::gateway::semantic
