#include "gateway/cache/semantic/context.h"

#include <algorithm>
#include <vector>

#include "base/utf8.h"
#include "llm/embed/words.h"

namespace asahi::gateway::semantic {
namespace {

constexpr std::size_t kLooksAt = 500;
// 50 tokens at 1.3 a word.
constexpr std::size_t kMostWords = 38;
constexpr std::size_t kKeywords = 6;
/// Stands in no text that came through the pipeline, which takes control characters out.
constexpr char kBetweenTurns = '\x1e';

std::string_view beginning(std::string_view text) {
  std::size_t end = 0, characters = 0;
  while (end < text.size() && characters < kLooksAt) {
    end += std::max<std::size_t>(utf8_length(text, end), 1);
    ++characters;
  }
  return text.substr(0, end);
}

/// One line, no brackets, at most 50 tokens.
std::string in_one_line(std::string_view text) {
  std::string out;
  std::size_t words = 1;
  for (const char c : text) {
    if (c == '[' || c == ']') continue;
    if (static_cast<unsigned char>(c) > ' ') {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      if (words++ == kMostWords) break;
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return mended_utf8(out);
}

}  // namespace

std::string template_context(std::string_view text, std::string_view task) {
  const llm::text::Words words = llm::text::analyse(beginning(text));
  std::vector<const llm::text::Word*> heavy;
  for (const llm::text::Word& word : words.words) {
    const bool known = std::ranges::any_of(heavy, [&](const llm::text::Word* other) {
      return words.stem_of(*other) == words.stem_of(word);
    });
    if (!known && word.rank != llm::text::Rank::kFunction) heavy.push_back(&word);
  }
  // Heaviest first, among equals in their order.
  std::ranges::sort(heavy, [](const llm::text::Word* a, const llm::text::Word* b) {
    return a->weight != b->weight ? a->weight > b->weight : a->begin < b->begin;
  });
  if (heavy.size() > kKeywords) heavy.resize(kKeywords);
  std::string out = task.empty() ? "general" : std::string(task);
  out += " request";
  for (std::size_t i = 0; i < heavy.size(); ++i) {
    out += i == 0 ? " about " : ", ";
    out += words.stem_of(*heavy[i]);
  }
  return in_one_line(out + ".");
}

std::string join_turns(std::span<const std::string> turns) {
  if (turns.empty() || turns.size() > kMaxTurns) return {};
  std::string out;
  for (const std::string& turn : turns) {
    if (turn.empty() || turn.find(kBetweenTurns) != std::string::npos) return {};
    if (!out.empty()) out += kBetweenTurns;
    out += turn;
    if (out.size() > kMaxTurnsBytes) return {};
  }
  return out;
}

std::vector<std::string_view> turns_of(std::string_view joined) {
  std::vector<std::string_view> out;
  while (!joined.empty()) {
    const std::size_t end = std::min(joined.find(kBetweenTurns), joined.size());
    out.push_back(joined.substr(0, end));
    joined.remove_prefix(std::min(end + 1, joined.size()));
  }
  return out;
}

std::string contextual_text(std::string_view query, std::string_view joined_turns,
                            std::string_view task) {
  if (joined_turns.empty()) return std::string(query);
  const auto turns = turns_of(joined_turns);
  std::string latest_first;
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    latest_first += *turn;
    latest_first += '\n';
  }
  return with_context(template_context(latest_first, task), query);
}

std::string with_context(std::string_view context, std::string_view text) {
  if (context.empty()) return std::string(text);
  std::string out = "[Context: ";
  out += context;
  out += "] ";
  out += text;
  return out;
}

}  // namespace asahi::gateway::semantic
