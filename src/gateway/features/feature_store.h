#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"

namespace asahi::gateway {

enum class EntityType { kUser, kProduct, kOrganization };
std::string_view to_string(EntityType type);

/// Whose features: an entity of one organisation. The organisation is part of every look-up, so
/// that two organisations whose users have the same id never see each other's.
struct Entity {
  std::string org;
  EntityType type = EntityType::kUser;
  std::string id;
};

struct Feature {
  json::value value;
  std::optional<Clock::Time> updated;  ///< empty: the store does not say
};

/// What is known about an entity; empty when it is unknown.
struct FeatureVector {
  std::string entity_id;
  EntityType entity_type = EntityType::kUser;
  std::map<std::string, Feature, std::less<>> features;
  Clock::Time retrieved_at{};
  double freshness_seconds = 0;  ///< age of its oldest feature
  std::string source;            ///< "local", "feast", "tecton", "custom"
};

/// Where features come from; one contract suite runs over all. Callable from any loop. Errors:
/// invalid_argument with reason "feature_config_error" (an unknown name; lists the valid ones),
/// timeout, unavailable, upstream (nonsense), all three with reason "feature_store_error".
class FeatureStore {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  virtual ~FeatureStore() = default;
  virtual std::string_view source() const = 0;
  /// `names` empty: all. Features that the entity lacks are left out.
  virtual Task<FeatureVector> get_features(Entity entity, std::vector<std::string> names,
                                           Deadline deadline) = 0;
  /// Of several entities of one organisation and type, in the order of `ids`.
  virtual Task<std::vector<FeatureVector>> get_batch_features(std::string org, EntityType type,
                                                              std::vector<std::string> ids,
                                                              std::vector<std::string> names,
                                                              Deadline deadline) = 0;
  virtual Task<void> health_check(Deadline deadline) = 0;
};

/// The features that gateway spec §3.9 knows of, per type.
std::span<const std::string_view> known_features(EntityType type);
/// Errors: invalid_argument with reason "feature_config_error". `more`: names that are valid beside
/// the known ones.
Result<void> check_names(EntityType type, std::span<const std::string> names,
                         std::span<const std::string> more = {});

/// The failure of a store, told in one way.
std::unexpected<Error> feature_store_error(Errc code, std::string message);

/// Age of the oldest feature whose time is known; 0: none is.
double oldest_age_seconds(const FeatureVector& vector);

}  // namespace asahi::gateway
