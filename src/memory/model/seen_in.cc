#include "memory/model/seen_in.h"

#include <algorithm>

#include "base/json.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kName = "seen_in";
/// Keys that a memory names.
constexpr std::size_t kMost = 100;

/// The slow way: both lists in one. Nothing: there is no list in it.
std::optional<std::string> merged(const std::string& metadata, std::string_view list) {
  auto whole = parse_json(metadata);
  auto added = parse_json(list);
  if (!whole || !whole->is_object() || !added || !added->is_array()) return std::nullopt;
  json::value* const known = whole->get_object().if_contains(kName);
  if (known == nullptr || !known->is_array()) return std::nullopt;
  json::array& all = known->get_array();
  for (json::value& each : added->get_array()) {
    if (all.size() < kMost && std::ranges::find(all, each) == all.end())
      all.push_back(std::move(each));
  }
  return write_json(*whole);
}

}  // namespace

std::string with_seen_in(std::string metadata, std::string_view list) {
  if (!metadata.ends_with('}')) return metadata;
  if (metadata.contains("\"seen_in\"")) {
    if (auto both = merged(metadata, list)) return *std::move(both);
  }
  metadata.pop_back();
  while (!metadata.empty() && (metadata.back() == ' ' || metadata.back() == '\n'))
    metadata.pop_back();
  if (metadata.size() > 1) metadata += ',';
  metadata += "\"seen_in\":";
  metadata += list;
  return metadata + "}";
}

}  // namespace asahi::memory
