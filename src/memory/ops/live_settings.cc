#include "memory/ops/live_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace asahi::memory {
namespace {

constexpr std::string_view kPrefix = "memory.";
constexpr std::array<std::string_view, 8> kLive = {"memory.cache.enabled",
                                                   "memory.cache.local_ttl_seconds",
                                                   "memory.cache.redis_ttl_seconds",
                                                   "memory.query.max_results",
                                                   "memory.query.semantic_threshold",
                                                   "memory.query.shard_timeout_seconds",
                                                   "memory.query.timeout_seconds",
                                                   "memory.alerts.repeat_window_seconds"};
/// Sections that organisations see; the others say where stores are.
constexpr std::array<std::string_view, 4> kOfOrganisations = {
    "memory.query.", "memory.cache.", "memory.deduplication.", "memory.alerts."};

bool concerns_organisations(std::string_view path) {
  return std::ranges::any_of(kOfOrganisations,
                             [path](std::string_view part) { return path.starts_with(part); });
}

/// {"memory.query.max_results": 50} as the tree that a file would hold.
Result<json::object> tree_of(const json::object& changes) {
  json::object root;
  for (const auto& [path, value] : changes) {
    json::object* at = &root;
    std::string_view left = path;
    for (auto dot = left.find('.'); dot != std::string_view::npos; dot = left.find('.')) {
      json::value& next = (*at)[left.substr(0, dot)];
      if (!next.is_object()) next.emplace_object();
      at = &next.get_object();
      left.remove_prefix(dot + 1);
    }
    if (value.is_null() || value.is_structured())
      return fail_field(std::string(path), "a setting is a number, a text, true or false");
    (*at)[left] = value;
  }
  return root;
}

}  // namespace

LiveSettings::LiveSettings(MemoryConfig config,
                           const std::vector<config::Binder::Effective>& effective,
                           std::function<void(const MemoryConfig&)> apply)
    : apply_(std::move(apply)), config_(std::move(config)) {
  for (const auto& setting : effective) {
    if (setting.path.starts_with(kPrefix)) effective_.push_back(setting);
  }
}

bool LiveSettings::is_live(std::string_view path) {
  return std::ranges::find(kLive, path) != kLive.end();
}

json::object LiveSettings::show(bool all) const {
  const std::scoped_lock lock(mutex_);
  json::array list;
  for (const auto& setting : effective_) {
    if (!all && !concerns_organisations(setting.path)) continue;
    list.push_back(json::object{{"path", setting.path},
                                {"value", setting.value},
                                {"origin", setting.origin},
                                {"live", is_live(setting.path)},
                                {"help", setting.help}});
  }
  return {{"settings", std::move(list)}, {"complete", all}};
}

Result<json::object> LiveSettings::change(const json::object& changes) {
  if (changes.empty())
    return fail(Errc::kInvalidArgument,
                "name at least one setting, as {\"memory.query.max_results\": 50}");
  for (const auto& [path, value] : changes) {
    if (is_live(path)) continue;
    return fail_field(std::string(path),
                      fmt::format("'{}' cannot change while the process runs; these can: {}",
                                  std::string_view(path).substr(0, 100), fmt::join(kLive, ", ")));
  }
  ASAHI_TRY(const json::object tree, tree_of(changes));
  const std::scoped_lock lock(mutex_);
  // The same rules as at the start: the changes are bound like a file over what stands now.
  MemoryConfig changed = config_;
  config::Sources sources;
  sources.yaml_path = "PATCH /settings";
  sources.yaml_text = write_json(tree);
  config::Binder binder(std::move(sources));
  memory::bind(binder, changed, config_.data_path);
  const std::vector<config::Fault> faults = binder.finish();
  if (!faults.empty()) {
    const config::Fault& first = faults.front();
    return fail_field(first.path, fmt::format("{} = '{}' {}", first.path, first.value, first.rule));
  }
  json::object report;
  for (const auto& fresh : binder.effective()) {
    if (!changes.contains(fresh.path)) continue;
    const auto known = std::ranges::find(effective_, fresh.path, &config::Binder::Effective::path);
    if (known == effective_.end()) continue;
    report[fresh.path] = json::object{{"from", known->value}, {"to", fresh.value}};
    known->value = fresh.value;
    known->origin = "PATCH /settings, until the process ends";
  }
  config_ = std::move(changed);
  apply_(config_);
  return report;
}

}  // namespace asahi::memory
