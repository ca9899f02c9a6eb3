#pragma once
// Small registries and requests for the router's tests.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/routing/router.h"

namespace asahi::gateway::testing_models {

/// A chat model whose input and output cost the same.
inline ModelProfile model(std::string name, std::string provider, double quality, int latency_ms,
                          double price_per_1k) {
  ModelProfile m;
  m.name = std::move(name);
  m.provider = std::move(provider);
  m.api_key_env = "KEY";
  m.quality = quality;
  m.avg_latency_ms = latency_ms;
  m.input = m.output = TokenPrice::per_1k(price_per_1k);
  m.max_input_tokens = 10'000;
  m.max_output_tokens = 4'000;
  return m;
}

inline std::shared_ptr<const Registry> registry_of(std::vector<ModelProfile> models) {
  RegistryBuilder builder;
  for (auto& m : models) EXPECT_TRUE(builder.add(std::move(m)));
  return builder.build();
}

/// Four vendors; by value: small (4,000), mid (2,000), big (400), best (240).
inline std::shared_ptr<const Registry> four_vendors() {
  return registry_of({model("small", "north", 3.6, 100, 0.0009),
                      model("mid", "east", 4.0, 200, 0.002), model("big", "south", 4.4, 250, 0.011),
                      model("best", "west", 4.8, 800, 0.020)});
}

inline RouteRequest request(std::string task = "general", double confidence = 0.5) {
  RouteRequest r;
  r.task = {.task_type = std::move(task), .confidence = confidence, .intent = ""};
  r.input_tokens = 100;
  return r;
}

inline RouteRequest explicit_request(std::string_view model) {
  RouteRequest r = request();
  r.mode = RoutingMode::kExplicit;
  r.model = model;
  return r;
}

/// Vendors not listed are healthy.
inline HealthView health(std::map<std::string, VendorHealth, std::less<>> vendors) {
  return [vendors = std::move(vendors)](std::string_view provider) {
    const auto found = vendors.find(provider);
    return found == vendors.end() ? VendorHealth::kHealthy : found->second;
  };
}

/// One line per attempt: "mid other_vendor".
inline std::vector<std::string> listing(const Plan& plan) {
  std::vector<std::string> names;
  for (const Attempt& attempt : plan.attempts) {
    names.push_back(attempt.model->name + " " + std::string(to_string(attempt.origin)));
  }
  return names;
}

}  // namespace asahi::gateway::testing_models
