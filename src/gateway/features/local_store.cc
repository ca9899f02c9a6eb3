#include "gateway/features/local_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "identity/principal.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kUpdated = "_updated_at";

std::optional<EntityType> type_of(std::string_view word) {
  for (const EntityType type :
       {EntityType::kUser, EntityType::kProduct, EntityType::kOrganization}) {
    if (word == to_string(type)) return type;
  }
  return std::nullopt;
}

std::size_t index(EntityType type) { return static_cast<std::size_t>(type); }

/// The key of the file that is this entity's.
std::string key_of(const Entity& entity) {
  if (entity.type == EntityType::kOrganization) return entity.org;
  return entity.org + '/' + entity.id;
}

}  // namespace

LocalFeatureStore::LocalFeatureStore(std::string path, const Clock& clock)
    : path_(std::move(path)), clock_(clock) {}

std::shared_ptr<const LocalFeatureStore::Data> LocalFeatureStore::data() const {
  const std::scoped_lock lock(mutex_);
  return data_;
}

void LocalFeatureStore::refresh() {
  std::error_code none;
  const auto changed = std::filesystem::last_write_time(path_, none);
  {
    const std::scoped_lock lock(mutex_);
    if (!none && seen_ == changed) return;
    if (none && !seen_ && !wrong_.empty()) return;  // told already
  }
  Result<std::shared_ptr<const Data>> found = std::shared_ptr<const Data>();
  if (none) {
    found = fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path_, none.message()));
  } else {
    found = read(changed);
  }
  const std::scoped_lock lock(mutex_);
  seen_ = none ? std::nullopt : std::optional(changed);
  wrong_ = found ? "" : found.error().message;
  if (found) {
    data_ = *std::move(found);
    logger_.info("features read", {{"file", path_}});
  } else {
    logger_.error("the feature file cannot be used; what was read before stays",
                  {{"error", wrong_}});
  }
}

Result<std::shared_ptr<const LocalFeatureStore::Data>> LocalFeatureStore::read(
    std::filesystem::file_time_type changed) const {
  std::error_code none;
  if (const auto size = std::filesystem::file_size(path_, none); none || size > kLargestFile)
    return fail(Errc::kTooLarge,
                fmt::format("{} is larger than {} MiB", path_, kLargestFile >> 20));
  std::ifstream in(path_, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail(Errc::kUnavailable, fmt::format("cannot read {}", path_));
  ASAHI_TRY(const json::value root, parse_json(text.str()));
  if (!root.is_object())
    return fail(Errc::kCorrupt, fmt::format("{} must hold an object of entity types", path_));
  const Clock::Time file_time =
      std::chrono::time_point_cast<Clock::Time::duration>(std::chrono::file_clock::to_sys(changed));
  auto made = std::make_shared<Data>();
  for (const auto& [type_name, entities] : root.get_object()) {
    const auto type = type_of(type_name);
    if (!type || !entities.is_object()) {
      return fail(Errc::kCorrupt,
                  fmt::format("{}: '{}' must be user, product or organization, with an object of "
                              "entities",
                              path_, std::string_view(type_name)));
    }
    for (const auto& [id, features] : entities.get_object()) {
      if (!features.is_object()) {
        return fail(Errc::kCorrupt, fmt::format("{}: {} '{}' must be an object of features", path_,
                                                std::string_view(type_name), std::string_view(id)));
      }
      std::optional<Clock::Time> updated = file_time;
      if (const json::value* told = features.get_object().if_contains(kUpdated)) {
        if (told->is_string()) {
          ASAHI_TRY(updated, parse_rfc3339(told->get_string()));
        } else if (told->is_number()) {
          updated = Clock::Time(std::chrono::duration_cast<Clock::Time::duration>(
              std::chrono::duration<double>(told->to_number<double>())));
        }
      }
      std::string key(id);
      if (*type != EntityType::kOrganization && key.find('/') == std::string::npos)
        key = std::string(identity::Principal::kDefaultOrg) + '/' + key;
      FeatureVector& vector = made->entities[index(*type)][key];
      for (const auto& [name, value] : features.get_object()) {
        if (name == kUpdated) continue;
        vector.features[std::string(name)] = {value, updated};
        auto& names = made->names[index(*type)];
        if (std::ranges::find(names, name) == names.end()) names.emplace_back(name);
      }
    }
  }
  return made;
}

Task<FeatureVector> LocalFeatureStore::get_features(Entity entity, std::vector<std::string> names,
                                                    Deadline) {
  const auto known = data();
  if (known == nullptr) {
    const std::scoped_lock lock(mutex_);
    co_return feature_store_error(Errc::kUnavailable,
                                  wrong_.empty() ? "the feature file was not read yet" : wrong_);
  }
  if (auto good = check_names(entity.type, names, known->names[index(entity.type)]); !good)
    co_return std::unexpected(std::move(good.error()));
  FeatureVector vector;
  vector.entity_id = entity.id;
  vector.entity_type = entity.type;
  vector.retrieved_at = clock_.now();
  vector.source = "local";
  const auto& entities = known->entities[index(entity.type)];
  if (const auto found = entities.find(key_of(entity)); found != entities.end()) {
    for (const auto& [name, feature] : found->second.features) {
      if (names.empty() || std::ranges::find(names, name) != names.end())
        vector.features[name] = feature;
    }
  }
  vector.freshness_seconds = oldest_age_seconds(vector);
  co_return vector;
}

Task<std::vector<FeatureVector>> LocalFeatureStore::get_batch_features(
    std::string org, EntityType type, std::vector<std::string> ids, std::vector<std::string> names,
    Deadline deadline) {
  std::vector<FeatureVector> vectors;
  for (std::string& id : ids) {
    ASAHI_CO_TRY(FeatureVector one,
                 co_await get_features({org, type, std::move(id)}, names, deadline));
    vectors.push_back(std::move(one));
  }
  co_return vectors;
}

Task<void> LocalFeatureStore::health_check(Deadline) {
  const std::scoped_lock lock(mutex_);
  if (!wrong_.empty()) co_return feature_store_error(Errc::kUnavailable, wrong_);
  if (data_ == nullptr)
    co_return feature_store_error(Errc::kUnavailable, "the feature file was not read yet");
  co_return Result<void>{};
}

}  // namespace asahi::gateway
