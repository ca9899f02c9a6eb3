#include "gateway/analytics/search_words.h"

#include <algorithm>

#include "base/utf8.h"

namespace asahi::gateway::analytics {
namespace {

char32_t small(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within(0xC0, 0xDE) && c != 0xD7) return c + 0x20;
  // Latin Extended-A and Cyrillic beyond the basic alphabets alternate: capital, small.
  if (within(0x100, 0x137) || within(0x14A, 0x177) || within(0x460, 0x481) ||
      within(0x48A, 0x4BF) || within(0x4D0, 0x52F) || within(0x1E00, 0x1EFF))
    return c | 1;
  if (within(0x139, 0x148) || within(0x179, 0x17E)) return c % 2 == 1 ? c + 1 : c;
  if (c == 0x386) return 0x3AC;
  if (within(0x388, 0x38A)) return c + 0x25;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 0x3F;
  if (within(0x391, 0x3AB)) return c + 0x20;
  if (within(0x400, 0x40F)) return c + 0x50;
  if (within(0x410, 0x42F)) return c + 0x20;
  if (within(0x531, 0x556)) return c + 0x30;
  if (within(0xFF21, 0xFF3A)) return c + 0x20;
  return c;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3F)));
  };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    tail(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

char32_t decode(std::string_view sequence) {
  const auto byte = [&](std::size_t at) {
    return static_cast<char32_t>(static_cast<unsigned char>(sequence[at]));
  };
  char32_t c = sequence.size() == 2   ? byte(0) & 0x1F
               : sequence.size() == 3 ? byte(0) & 0x0F
                                      : byte(0) & 0x07;
  for (std::size_t i = 1; i < sequence.size(); ++i) c = (c << 6) | (byte(i) & 0x3F);
  return c;
}

template <class Visit>
void each_field(const InferenceEvent& event, Visit visit) {
  visit(event.request_id);
  visit(event.user_id);
  visit(event.model_selected);
  visit(event.task_type);
  visit(event.provider);
  visit(event.routing_reason);
  visit(event.error_code);
}

}  // namespace

void append_words(std::vector<std::string>& out, std::string_view text) {
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) < 0x80) {
      ++at;
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        word.push_back(c);
      } else if (c >= 'A' && c <= 'Z') {
        word.push_back(static_cast<char>(c + 32));
      } else {
        end_word();
      }
      continue;
    }
    const std::size_t length = utf8_length(text, at);
    if (length == 0) {
      ++at;
      end_word();
      continue;
    }
    append_utf8(word, small(decode(text.substr(at, length))));
    at += length;
  }
  end_word();
}

std::vector<std::string> words_of(const InferenceEvent& event) {
  std::vector<std::string> words;
  each_field(event, [&](const std::string& field) { append_words(words, field); });
  return words;
}

bool matches(const InferenceEvent& event, const std::vector<std::string>& asked) {
  if (asked.empty()) return true;
  const std::vector<std::string> words = words_of(event);
  return std::ranges::all_of(asked, [&](const std::string& prefix) {
    return std::ranges::any_of(words,
                               [&](const std::string& word) { return word.starts_with(prefix); });
  });
}

std::uint64_t Matcher::begun_by(const std::string& value) const {
  std::vector<std::string> words;
  append_words(words, value);
  std::uint64_t begun = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(asked_.size(), 64); ++i) {
    if (std::ranges::any_of(words,
                            [&](const std::string& word) { return word.starts_with(asked_[i]); }))
      begun |= std::uint64_t{1} << i;
  }
  return begun;
}

bool Matcher::matches(const sql::Rows& rows, std::size_t row) {
  const std::uint64_t all =
      asked_.size() >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << asked_.size()) - 1;
  std::uint64_t begun = begun_by(rows.text(row, "request_id"));
  for (const std::string_view column :
       {"user_id", "model_selected", "task_type", "provider", "routing_reason", "error_code"}) {
    std::string value = rows.text(row, column);
    if (value.empty()) continue;
    auto known = known_.find(value);
    if (known == known_.end()) {
      const std::uint64_t its = begun_by(value);
      known = known_.emplace(std::move(value), its).first;
    }
    begun |= known->second;
  }
  return begun == all;
}

}  // namespace asahi::gateway::analytics
