#include "gateway/features/feature_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace asahi::gateway {
namespace {

constexpr auto kUser = std::to_array<std::string_view>(
    {"browsing_history", "demographics", "domain_expertise", "framework_history",
     "language_preferences", "preference_score", "preferences", "preferred_length",
     "products_owned", "purchase_history", "reading_level", "recent_projects", "recent_queries",
     "recent_tickets", "satisfaction_score", "skill_level", "tier"});
constexpr auto kProduct =
    std::to_array<std::string_view>({"category", "popularity", "price_range"});
constexpr auto kOrganization = std::to_array<std::string_view>(
    {"account_status", "brand_voice", "industry", "plan", "style_guide", "tone"});

}  // namespace

std::string_view to_string(EntityType type) {
  switch (type) {
    case EntityType::kUser:
      return "user";
    case EntityType::kProduct:
      return "product";
    case EntityType::kOrganization:
      break;
  }
  return "organization";
}

std::span<const std::string_view> known_features(EntityType type) {
  switch (type) {
    case EntityType::kUser:
      return kUser;
    case EntityType::kProduct:
      return kProduct;
    case EntityType::kOrganization:
      break;
  }
  return kOrganization;
}

Result<void> check_names(EntityType type, std::span<const std::string> names,
                         std::span<const std::string> more) {
  const auto known = known_features(type);
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end() ||
        std::ranges::find(more, name) != more.end())
      continue;
    std::vector<std::string_view> valid(known.begin(), known.end());
    valid.insert(valid.end(), more.begin(), more.end());
    std::ranges::sort(valid);
    const auto twice = std::ranges::unique(valid);
    valid.erase(twice.begin(), twice.end());
    auto unknown =
        fail_field("features", fmt::format("'{}' is not a feature of a {}; valid are {}", name,
                                           to_string(type), fmt::join(valid, ", ")));
    unknown.error().reason = "feature_config_error";
    return unknown;
  }
  return {};
}

std::unexpected<Error> feature_store_error(Errc code, std::string message) {
  auto failure = fail(code, std::move(message));
  failure.error().reason = "feature_store_error";
  return failure;
}

double oldest_age_seconds(const FeatureVector& vector) {
  double oldest = 0;
  for (const auto& [name, feature] : vector.features) {
    if (!feature.updated) continue;
    oldest = std::max(
        oldest, std::chrono::duration<double>(vector.retrieved_at - *feature.updated).count());
  }
  return oldest;
}

}  // namespace asahi::gateway
