#include "gateway/features/http_stores.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {
namespace {

std::string_view join_key(EntityType type) {
  return type == EntityType::kUser ? "user_id" : "product_id";
}

std::optional<Clock::Time> time_of(const json::value* value) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const auto time = parse_rfc3339(value->get_string());
  // What was never written bears the beginning of time.
  if (!time || time->time_since_epoch() <= std::chrono::hours(24)) return std::nullopt;
  return *time;
}

const json::array* array_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

class HttpFeatureStore : public FeatureStore {
 public:
  explicit HttpFeatureStore(FeatureServer server) : server_(std::move(server)) {}

  Task<FeatureVector> get_features(Entity entity, std::vector<std::string> names,
                                   Deadline deadline) final {
    std::vector<std::string> ids;
    ids.push_back(std::move(entity.id));
    ASAHI_CO_TRY(auto vectors,
                 co_await get_batch_features(std::move(entity.org), entity.type, std::move(ids),
                                             std::move(names), deadline));
    co_return std::move(vectors.front());
  }

  Task<std::vector<FeatureVector>> get_batch_features(std::string org, EntityType type,
                                                      std::vector<std::string> ids,
                                                      std::vector<std::string> names,
                                                      Deadline deadline) final {
    if (auto good = check_names(type, names); !good)
      co_return std::unexpected(std::move(good.error()));
    if (names.empty()) {
      const auto known = known_features(type);
      names.assign(known.begin(), known.end());
    }
    ASAHI_CO_TRY(auto vectors, co_await fetch(std::move(org), type, ids, names, deadline));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      FeatureVector& vector = vectors[i];
      vector.entity_id = ids[i];
      vector.entity_type = type;
      vector.retrieved_at = server_.clock.now();
      vector.source = source();
      // A server that sends more than it was asked for gets nothing more into a prompt.
      std::erase_if(vector.features, [&](const auto& feature) {
        return std::ranges::find(names, feature.first) == names.end() ||
               feature.second.value.is_null();
      });
      vector.freshness_seconds = oldest_age_seconds(vector);
    }
    co_return vectors;
  }

 protected:
  /// One vector per id, in their order.
  virtual Task<std::vector<FeatureVector>> fetch(std::string org, EntityType type,
                                                 std::vector<std::string> ids,
                                                 std::vector<std::string> names,
                                                 Deadline deadline) = 0;

  Task<json::object> call(http::Method method, std::string target, std::string body,
                          std::string authorization, Deadline deadline) {
    http::ClientRequest request;
    request.method = method;
    request.origin = server_.origin;
    request.target = std::move(target);
    if (method == http::Method::kPost) request.headers.add("Content-Type", "application/json");
    request.headers.add("Accept", "application/json");
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    request.body = std::move(body);
    auto response = co_await server_.clients.local().send(
        std::move(request), {.deadline = deadline, .idle_timeout = std::chrono::seconds(30)});
    if (!response) {
      co_return feature_store_error(
          response.error().code == Errc::kTimeout ? Errc::kTimeout : Errc::kUnavailable,
          fmt::format("the {} feature store does not answer: {}", source(),
                      response.error().message));
    }
    if (response->status == 400 || response->status == 404 || response->status == 422) {
      auto refused = fail(Errc::kInvalidArgument,
                          fmt::format("the {} feature store answered {}: check that it serves the "
                                      "features asked for",
                                      source(), response->status));
      refused.error().reason = "feature_config_error";
      co_return refused;
    }
    if (response->status != 200) {
      co_return feature_store_error(Errc::kUpstream, fmt::format("the {} feature store answered {}",
                                                                 source(), response->status));
    }
    if (method == http::Method::kGet) co_return json::object{};
    auto parsed = parse_json(response->body);
    if (!parsed || !parsed->is_object()) co_return nonsense();
    co_return std::move(parsed->get_object());
  }
  std::unexpected<Error> nonsense() const {
    return feature_store_error(
        Errc::kUpstream,
        fmt::format("the {} feature store's answer is not in its documented form", source()));
  }

  FeatureServer server_;
};

class FeastStore final : public HttpFeatureStore {
 public:
  FeastStore(FeatureServer server, std::string project)
      : HttpFeatureStore(std::move(server)), project_(std::move(project)) {}
  std::string_view source() const override { return "feast"; }

  Task<void> health_check(Deadline deadline) override {
    ASAHI_CO_TRY(const json::object answer,
                 co_await call(http::Method::kGet, "/health", {}, {}, deadline));
    (void)answer;
    co_return Result<void>{};
  }

 protected:
  Task<std::vector<FeatureVector>> fetch(std::string org, EntityType type,
                                         std::vector<std::string> ids,
                                         std::vector<std::string> names,
                                         Deadline deadline) override {
    json::array features, orgs, keys;
    for (const std::string& name : names)
      features.emplace_back(fmt::format("{}_{}:{}", project_, to_string(type), name));
    for (const std::string& id : ids) {
      orgs.emplace_back(org);
      keys.emplace_back(id);
    }
    json::object entities{{"organization_id", std::move(orgs)}};
    if (type != EntityType::kOrganization) entities[join_key(type)] = std::move(keys);
    const json::object body{{"features", std::move(features)}, {"entities", std::move(entities)}};
    ASAHI_CO_TRY(const json::object answer,
                 co_await call(http::Method::kPost, "/get-online-features", json::serialize(body),
                               {}, deadline));
    const json::value* metadata = answer.if_contains("metadata");
    const json::array* columns = metadata != nullptr && metadata->is_object()
                                     ? array_of(metadata->get_object(), "feature_names")
                                     : nullptr;
    const json::array* results = array_of(answer, "results");
    if (columns == nullptr || results == nullptr || columns->size() != results->size())
      co_return nonsense();
    std::vector<FeatureVector> vectors(ids.size());
    for (std::size_t column = 0; column < columns->size(); ++column) {
      const json::object* result = (*results)[column].if_object();
      if (result == nullptr || !(*columns)[column].is_string()) co_return nonsense();
      std::string_view name = (*columns)[column].get_string();
      if (const auto view = name.rfind(':'); view != std::string_view::npos)
        name = name.substr(view + 1);
      const json::array* values = array_of(*result, "values");
      const json::array* statuses = array_of(*result, "statuses");
      const json::array* times = array_of(*result, "event_timestamps");
      if (values == nullptr || values->size() != ids.size()) co_return nonsense();
      for (std::size_t row = 0; row < ids.size(); ++row) {
        if (statuses != nullptr && row < statuses->size() && (*statuses)[row] != "PRESENT")
          continue;
        Feature& feature = vectors[row].features[std::string(name)];
        feature.value = (*values)[row];
        if (times != nullptr && row < times->size()) feature.updated = time_of(&(*times)[row]);
      }
    }
    co_return vectors;
  }

 private:
  const std::string project_;
};

class TectonStore final : public HttpFeatureStore {
 public:
  TectonStore(FeatureServer server, std::string workspace)
      : HttpFeatureStore(std::move(server)), workspace_(std::move(workspace)) {}
  std::string_view source() const override { return "tecton"; }

  Task<void> health_check(Deadline deadline) override {
    const json::object body{
        {"params", {{"feature_service_name", "user_features"}, {"workspace_name", workspace_}}}};
    ASAHI_CO_TRY(const json::object answer,
                 co_await call(http::Method::kPost, "/api/v1/feature-service/metadata",
                               json::serialize(body), key(), deadline));
    (void)answer;
    co_return Result<void>{};
  }

 protected:
  Task<std::vector<FeatureVector>> fetch(std::string org, EntityType type,
                                         std::vector<std::string> ids, std::vector<std::string>,
                                         Deadline deadline) override {
    std::vector<FeatureVector> vectors;
    for (const std::string& id : ids) {
      json::object keys{{"organization_id", org}};
      if (type != EntityType::kOrganization) keys[join_key(type)] = id;
      const json::object body{
          {"params",
           {{"feature_service_name", fmt::format("{}_features", to_string(type))},
            {"workspace_name", workspace_},
            {"join_key_map", std::move(keys)},
            {"metadata_options",
             {{"include_names", true},
              {"include_effective_times", true},
              {"include_serving_status", true}}}}}};
      ASAHI_CO_TRY(const json::object answer,
                   co_await call(http::Method::kPost, "/api/v1/feature-service/get-features",
                                 json::serialize(body), key(), deadline));
      const auto features_of = [&](std::string_view member) -> const json::array* {
        const json::value* value = answer.if_contains(member);
        return value != nullptr && value->is_object() ? array_of(value->get_object(), "features")
                                                      : nullptr;
      };
      const json::array* values = features_of("result");
      const json::array* columns = features_of("metadata");
      if (values == nullptr || columns == nullptr || values->size() != columns->size())
        co_return nonsense();
      FeatureVector vector;
      for (std::size_t i = 0; i < values->size(); ++i) {
        const json::object* column = (*columns)[i].if_object();
        const json::value* named = column == nullptr ? nullptr : column->if_contains("name");
        if (named == nullptr || !named->is_string()) co_return nonsense();
        std::string_view name = named->get_string();
        if (const auto view = name.rfind('.'); view != std::string_view::npos)
          name = name.substr(view + 1);
        const json::value* status = column->if_contains("status");
        if (status != nullptr && *status != "PRESENT") continue;
        vector.features[std::string(name)] = {(*values)[i],
                                              time_of(column->if_contains("effectiveTime"))};
      }
      vectors.push_back(std::move(vector));
    }
    co_return vectors;
  }

 private:
  std::string key() const { return "Tecton-key " + std::string(server_.api_key.reveal()); }
  const std::string workspace_;
};

class CustomStore final : public HttpFeatureStore {
 public:
  using HttpFeatureStore::HttpFeatureStore;
  std::string_view source() const override { return "custom"; }

  Task<void> health_check(Deadline deadline) override {
    ASAHI_CO_TRY(const json::object answer,
                 co_await call(http::Method::kGet, "/health", {}, key(), deadline));
    (void)answer;
    co_return Result<void>{};
  }

 protected:
  Task<std::vector<FeatureVector>> fetch(std::string org, EntityType type,
                                         std::vector<std::string> ids,
                                         std::vector<std::string> names,
                                         Deadline deadline) override {
    const json::object body{{"organization_id", org},
                            {"entity_type", to_string(type)},
                            {"entity_ids", json::value_from(ids)},
                            {"features", json::value_from(names)}};
    ASAHI_CO_TRY(const json::object answer, co_await call(http::Method::kPost, "/features",
                                                          json::serialize(body), key(), deadline));
    const json::value* entities = answer.if_contains("entities");
    if (entities == nullptr || !entities->is_object()) co_return nonsense();
    std::vector<FeatureVector> vectors(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const json::value* found = entities->get_object().if_contains(ids[i]);
      if (found == nullptr || found->is_null()) continue;
      if (!found->is_object()) co_return nonsense();
      for (const auto& [name, feature] : found->get_object()) {
        const json::object* told = feature.if_object();
        const json::value* value = told == nullptr ? nullptr : told->if_contains("value");
        if (value == nullptr) co_return nonsense();
        vectors[i].features[std::string(name)] = {*value, time_of(told->if_contains("updated_at"))};
      }
    }
    co_return vectors;
  }

 private:
  std::string key() const {
    return server_.api_key.empty() ? std::string()
                                   : "Bearer " + std::string(server_.api_key.reveal());
  }
};

}  // namespace

std::unique_ptr<FeatureStore> make_feast_store(FeatureServer server, std::string project) {
  return std::make_unique<FeastStore>(std::move(server), std::move(project));
}
std::unique_ptr<FeatureStore> make_tecton_store(FeatureServer server, std::string workspace) {
  return std::make_unique<TectonStore>(std::move(server), std::move(workspace));
}
std::unique_ptr<FeatureStore> make_custom_store(FeatureServer server) {
  return std::make_unique<CustomStore>(std::move(server));
}

}  // namespace asahi::gateway
