#include "memory/model/reach.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kShown = 120;
constexpr std::string_view kSeenIn = "seen_in";

std::unexpected<Error> beyond(std::string_view field, std::string message) {
  auto refused = fail(Errc::kForbidden, std::move(message));
  refused.error().field = field;
  return refused;
}

}  // namespace

Reach::Reach(std::string tenant, std::optional<std::vector<std::string>> systems)
    : tenant_(std::move(tenant)), systems_(std::move(systems)) {
  if (!systems_) return;
  std::ranges::sort(*systems_);
  const auto repeated = std::ranges::unique(*systems_);
  systems_->erase(repeated.begin(), repeated.end());
}

bool Reach::has(std::string_view system) const {
  return !systems_ || std::ranges::binary_search(*systems_, system);
}

Result<void> Reach::check(std::string_view system, std::string_view field) const {
  if (has(system)) return {};
  return beyond(field, fmt::format("{} '{}' is not among the systems of this credential; GET "
                                   "/auth/me names them",
                                   field, mended_utf8(system, kShown)));
}

Result<Key> Reach::key(std::string system_id, std::string conversation_id) const {
  Key key{tenant_, std::move(system_id), std::move(conversation_id)};
  if (auto ok = check_key(key); !ok) return std::unexpected(ok.error());
  if (auto ok = check(key.system_id); !ok) return std::unexpected(ok.error());
  return key;
}

Result<void> Reach::bound(Filter& filter) const {
  for (const std::string& system : filter.system_ids) {
    if (auto ok = check(system); !ok) return ok;
  }
  filter.systems_allowed = systems_;
  return {};
}

Result<void> Reach::check_whole(std::string_view what) const {
  if (is_whole()) return {};
  return beyond("systems", fmt::format("{} concerns every system of the organisation; this "
                                       "credential has {} of them only",
                                       what, systems_->size()));
}

std::string Reach::name() const {
  if (is_whole()) return tenant_;
  std::string all;
  for (const std::string& system : *systems_)
    fmt::format_to(std::back_inserter(all), "{}:{}", system.size(), system);
  // No tenant has a blank in its name.
  return tenant_ + " " + to_hex(sha256(all));
}

std::string Reach::visible_metadata(std::string metadata) const {
  if (is_whole() || !metadata.contains("\"seen_in\"")) return metadata;
  auto parsed = parse_json(metadata);
  if (!parsed || !parsed->is_object()) return "{}";
  json::object& object = parsed->get_object();
  json::value* const list = object.if_contains(kSeenIn);
  if (list == nullptr) return metadata;
  json::array mine;
  if (const json::array* told = list->if_array()) {
    for (const json::value& each : *told) {
      const json::value* system =
          each.is_object() ? each.get_object().if_contains("system_id") : nullptr;
      if (system != nullptr && system->is_string() && has(system->get_string()))
        mine.push_back(each);
    }
  }
  if (mine.empty()) {
    object.erase(kSeenIn);
  } else {
    *list = std::move(mine);
  }
  return json::serialize(object);
}

}  // namespace asahi::memory
