#include "gateway/features/enricher.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kLongestValue = 400;
constexpr std::string_view kHeader = "[Context from user profile]\n";
constexpr std::string_view kFooter = "[End context]\n\n";

telemetry::Counter& lookups(telemetry::Registry& metrics, const char* outcome) {
  return metrics.counter("asahi_feature_lookups_total",
                         "Requests whose features were looked up, by what came of it",
                         {{"outcome", outcome}});
}

/// "language_preferences" → "Language Preferences".
std::string title(std::string_view name) {
  std::string out;
  bool begin = true;
  for (const char c : name) {
    if (c == '_') {
      out += ' ';
    } else {
      out += begin && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    begin = c == '_';
  }
  return out;
}

void append_value(std::string& out, const json::value& value) {
  if (const json::array* list = value.if_array()) {
    for (const json::value& item : *list) {
      if (!out.empty()) out += ", ";
      append_value(out, item);
    }
    return;
  }
  if (const json::object* object = value.if_object()) {
    for (const auto& [key, item] : *object) {
      if (!out.empty()) out += ", ";
      out += std::string_view(key);
      out += ' ';
      std::string inner;
      append_value(inner, item);
      out += inner;
    }
    return;
  }
  if (value.is_string()) {
    out += std::string_view(value.get_string());
  } else if (value.is_bool()) {
    out += value.get_bool() ? "yes" : "no";
  } else if (value.is_number()) {
    append_json_number(out, value.to_number<double>());
  }
}

/// One line: a value cannot end the block and begin something else.
std::string clean(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    if (c == '[') c = '(';
    if (c == ']') c = ')';
  }
  text.resize(utf8_prefix(text, kLongestValue).size());
  return text;
}

}  // namespace

std::optional<FeatureNeeds> needs_of_task(std::string_view task) {
  if (task == "recommendation")
    return FeatureNeeds{
        {"purchase_history", "browsing_history", "preferences", "preference_score", "demographics"},
        {}};
  if (task == "support")
    return FeatureNeeds{{"tier", "recent_tickets", "products_owned", "satisfaction_score"},
                        {"plan", "account_status"}};
  if (task == "coding")
    return FeatureNeeds{
        {"language_preferences", "framework_history", "recent_projects", "skill_level"}, {}};
  if (task == "summarization")
    return FeatureNeeds{{"reading_level", "preferred_length", "domain_expertise"},
                        {"brand_voice", "tone", "style_guide"}};
  if (task == "faq") return FeatureNeeds{{"recent_queries", "domain_expertise", "tier"}, {}};
  if (task == "general")
    return FeatureNeeds{{"preferences", "domain_expertise", "tier"}, {"brand_voice", "industry"}};
  return std::nullopt;
}

std::string feature_block(std::span<const FeatureVector> vectors, const FeatureNeeds& needs,
                          std::chrono::seconds freshness, std::int64_t max_tokens,
                          Clock::Time now) {
  std::string block(kHeader);
  const std::size_t nothing = block.size();
  for (const FeatureVector& vector : vectors) {
    const auto& names =
        vector.entity_type == EntityType::kOrganization ? needs.organization : needs.user;
    for (const std::string& name : names) {
      const auto found = vector.features.find(name);
      if (found == vector.features.end()) continue;
      if (found->second.updated && now - *found->second.updated > freshness) continue;
      std::string value;
      append_value(value, found->second.value);
      value = clean(std::move(value));
      if (value.find_first_not_of(' ') == std::string::npos) continue;
      const std::string line = fmt::format("- {}: {}\n", title(name), value);
      if (llm::estimate_tokens(fmt::format("{}{}{}", block, line, kFooter)) > max_tokens) continue;
      block += line;
    }
  }
  if (block.size() == nothing) return {};
  block += kFooter;
  return block;
}

Enricher::Enricher(const FeatureStoreConfig& config, std::unique_ptr<FeatureStore> store,
                   const Clock& clock, telemetry::Registry& metrics)
    : config_(config),
      store_(std::move(store)),
      clock_(clock),
      found_(lookups(metrics, "found")),
      nothing_(lookups(metrics, "nothing")),
      failed_(lookups(metrics, "failed")),
      skipped_(lookups(metrics, "skipped")) {}

Enricher::Scope Enricher::scope(const Request& request) const {
  if (request.wanted == false) return Scope::kNone;
  auto needs = needs_of_task(request.task);
  if (!needs && request.wanted == true) needs = needs_of_task("general");
  if (!needs) return Scope::kNone;
  if (!request.user.empty() && !needs->user.empty()) return Scope::kUser;
  return request.org_known && !needs->organization.empty() ? Scope::kOrganization : Scope::kNone;
}

Task<std::vector<FeatureVector>> Enricher::look_up(const Request& request,
                                                   const FeatureNeeds& needs) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(config_.timeout_ms);
  std::vector<FeatureVector> vectors;
  if (!request.user.empty() && !needs.user.empty()) {
    ASAHI_CO_TRY(FeatureVector user,
                 co_await store_->get_features({request.org, EntityType::kUser, request.user},
                                               needs.user, deadline));
    vectors.push_back(std::move(user));
  }
  if (request.org_known && !needs.organization.empty()) {
    ASAHI_CO_TRY(FeatureVector org, co_await store_->get_features(
                                        {request.org, EntityType::kOrganization, request.org},
                                        needs.organization, deadline));
    vectors.push_back(std::move(org));
  }
  co_return vectors;
}

Task<std::string> Enricher::block(Request request) {
  auto needs = needs_of_task(request.task);
  if (!needs) needs = needs_of_task("general");
  if (!monitor_.allow(request.task, clock_.steady_now())) {
    skipped_.add();
    co_return std::string();
  }
  const auto started = std::chrono::steady_clock::now();
  auto vectors = co_await look_up(request, *needs);
  if (!vectors) {
    failed_.add();
    monitor_.failed(request.task, clock_.steady_now());
    if (auto held_back = outage_.pass(clock_.steady_now())) {
      logger_.warning("features cannot be looked up; the request goes on without",
                      {{"error", vectors.error().message}, {"suppressed", *held_back}});
    }
    if (!config_.fallback_on_timeout) co_return std::unexpected(std::move(vectors.error()));
    co_return std::string();
  }
  monitor_.succeeded(request.task, std::chrono::duration<double, std::milli>(
                                       std::chrono::steady_clock::now() - started)
                                       .count());
  std::string text =
      feature_block(*vectors, *needs, std::chrono::seconds(config_.freshness_threshold_seconds),
                    config_.max_feature_tokens, clock_.now());
  (text.empty() ? nothing_ : found_).add();
  co_return text;
}

}  // namespace asahi::gateway
