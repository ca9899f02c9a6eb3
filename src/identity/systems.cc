#include "identity/systems.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMostSystems = 1'000, kMostBytes = 100, kShown = 120;

bool is_system_id(std::string_view id) {
  return !id.empty() && id.size() <= kMostBytes && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::unexpected<Error> refused(std::string_view what) {
  return fail_field("systems",
                    fmt::format("systems: {}; expected \"*\" or a list of at most {} ids, each 1 "
                                "to {} of A-Z a-z 0-9 _ -",
                                what, kMostSystems, kMostBytes));
}

}  // namespace

Result<Systems> read_systems(const json::value* given) {
  if (given == nullptr) return std::nullopt;
  json::array one;
  const json::array* list = given->if_array();
  if (list == nullptr && given->is_string()) {
    one.push_back(*given);
    list = &one;
  }
  if (list == nullptr) return refused("neither a text nor a list");
  if (list->size() > kMostSystems) return refused(fmt::format("{} ids", list->size()));
  std::vector<std::string> ids;
  bool all = false;
  for (const json::value& item : *list) {
    if (!item.is_string()) return refused("an item is no text");
    const std::string_view id = item.get_string();
    all = all || id == "*";
    if (id != "*" && !is_system_id(id))
      return refused(fmt::format("'{}' is no system's id", mended_utf8(id, kShown)));
    ids.emplace_back(id);
  }
  if (all) return std::nullopt;
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  return ids;
}

json::value systems_json(const Systems& systems) {
  if (!systems) return "*";
  json::array list;
  for (const std::string& id : *systems) list.emplace_back(id);
  return list;
}

bool is_within(const Systems& wanted, const Systems& held) {
  if (!held) return true;
  return wanted && std::ranges::includes(*held, *wanted);
}

}  // namespace asahi::identity
