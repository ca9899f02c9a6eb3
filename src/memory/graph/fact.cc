#include "memory/graph/fact.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "llm/embed/onnx/unicode.h"

namespace asahi::memory::graph {
namespace {

constexpr std::size_t kLongestId = 200, kLongestKey = 120;

bool id_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == ':' || c == '@' || c == '.' || c == '-';
}

}  // namespace

std::string_view to_string(End end) {
  switch (end) {
    case End::kNone:
      return "none";
    case End::kReplaced:
      return "replaced";
    case End::kSuperseded:
      return "superseded";
    case End::kContradicted:
      return "contradicted";
    case End::kRetracted:
      return "retracted";
    case End::kEdited:
      return "edited";
  }
  return "none";
}

Result<void> check_entity_id(std::string_view id) {
  const std::size_t colon = id.find(':');
  const bool right = !id.empty() && id.size() <= kLongestId && std::ranges::all_of(id, id_letter) &&
                     id.find("..") == std::string_view::npos && id.front() != '.' &&
                     colon != std::string_view::npos && colon > 0 && colon + 1 < id.size();
  if (right) return {};
  return fail_field("entity_id",
                    fmt::format("'{}' is no entity: expected \"type:key\", at most {} of letters, "
                                "digits, '_', ':', '@', '.' and '-', without \"..\"",
                                id.substr(0, 64), kLongestId));
}

std::string_view entity_type(std::string_view id) { return id.substr(0, id.find(':')); }

std::string entity_id(std::string_view type, std::string_view name, Case letters) {
  std::string key;
  std::u32string bare;
  std::string folded;
  std::size_t seen = 0, lost = 0;
  for (std::size_t at = 0; at < name.size();) {
    const char32_t c = llm::onnx::next_character(name, at);
    const char32_t lower = letters == Case::kFold ? llm::onnx::lower_of(c) : c;
    llm::onnx::append_utf8(folded, lower);
    bare.clear();
    llm::onnx::append_bare(bare, lower);
    for (const char32_t part : bare) {
      ++seen;
      if (part < 0x80 && id_letter(static_cast<char>(part)) && part != U':') {
        if (part == U'.' && (key.empty() || key.back() == '.')) continue;
        key += static_cast<char>(part);
      } else {
        lost += part >= 0x80 ? 1 : 0;
        if (!key.empty() && key.back() != '-') key += '-';
      }
    }
  }
  while (!key.empty() && (key.back() == '-' || key.back() == '.')) key.pop_back();
  if (key.empty() || 2 * lost > seen || key.size() > kLongestKey) {
    key.resize(std::min(key.size(), kLongestKey));
    while (!key.empty() && (key.back() == '-' || key.back() == '.')) key.pop_back();
    if (!key.empty()) key += '-';
    key += to_hex(sha256(folded)).substr(0, 16);
  }
  return fmt::format("{}:{}", type, key);
}

}  // namespace asahi::memory::graph
