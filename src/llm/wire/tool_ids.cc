#include "llm/wire/tool_ids.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace asahi::llm::wire {

std::string make_tool_id(std::size_t index, std::string_view name, std::string_view arguments) {
  const Digest256 digest = sha256(fmt::format("{}\n{}\n{}", index, name, arguments));
  return "call_" + to_hex(digest.data(), 8);
}

std::string portable_tool_id(std::string_view id, std::size_t max_size) {
  const bool plain = std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (plain && !id.empty() && id.size() <= max_size) return std::string(id);
  const Digest256 digest = sha256(id);
  return "call_" + to_hex(digest.data(), 12);
}

std::string_view tool_name_of(const std::vector<Message>& messages, std::size_t before,
                              std::string_view id) {
  for (std::size_t i = before; i-- > 0;) {
    for (const Part& part : messages[i].parts) {
      const auto* call = std::get_if<ToolCallPart>(&part);
      if (call != nullptr && call->id == id) return call->name;
    }
  }
  return {};
}

}  // namespace asahi::llm::wire
