#include "server/commands/benchmark/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/utf8.h"

namespace asahi::server::benchmark {
namespace {

constexpr std::size_t kShownFailures = 10;
/// The gateway shows that much of a cached question.
constexpr std::size_t kShownQuery = 500;

const json::value* member(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}
double number(const json::value& value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
}
std::int64_t integer(const json::value& value, std::string_view key) {
  return std::llround(number(value, key));
}
std::string text(const json::value& value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}
bool flag(const json::value& value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_bool() && found->get_bool();
}
bool names(const json::value& value, std::string_view key, std::string_view word) {
  const json::value* found = member(value, key);
  const json::array* array = found == nullptr ? nullptr : found->if_array();
  return array != nullptr && std::ranges::any_of(*array, [&](const json::value& item) {
           return item.is_string() && item.get_string() == word;
         });
}

NanoUsd price_of(std::int64_t tokens, TokenPrice price) {
  CostSum sum;
  sum.add(tokens, price);
  return sum.total();
}

RunTotals totals_of(std::span<const Reply> replies) {
  RunTotals totals;
  std::vector<double> total, added;
  double quality = 0;
  for (const Reply& reply : replies) {
    if (!reply.asked) continue;
    ++totals.asked;
    if (!reply.answered) {
      ++totals.failed;
      continue;
    }
    totals.cost += reply.cost;
    totals.input_tokens += reply.input_tokens;
    totals.output_tokens += reply.output_tokens;
    quality += reply.quality;
    total.push_back(reply.total_ms);
    added.push_back(std::max(0.0, reply.total_ms - reply.vendor_ms));
  }
  if (!total.empty()) totals.mean_quality = quality / static_cast<double>(total.size());
  totals.total_ms = spread(total);
  totals.added_ms = spread(added);
  return totals;
}

/// Finds out whose answer a hit was.
class Origins {
 public:
  enum class Verdict { kRight, kWrong, kUnknown };

  Origins(std::span<const Request> traffic, std::span<const Reply> replies)
      : traffic_(traffic), replies_(replies) {
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].answered || replies[i].hit) continue;
      by_query_[as_shown(prompt_of(traffic[i]))].push_back(i);
    }
  }

  /// Candidates are the misses whose question the hit names; among several (the same words in
  /// other conversations), those that gave the same text.
  Verdict judge(std::size_t hit) const {
    const Reply& reply = replies_[hit];
    const auto found = by_query_.find(reply.cached_query);
    if (found == by_query_.end()) return Verdict::kUnknown;
    const auto same_topic = [&](std::size_t i) { return traffic_[i].topic == traffic_[hit].topic; };
    const bool text_known = std::ranges::any_of(
        found->second, [&](std::size_t i) { return replies_[i].text == reply.text; });
    const bool right = std::ranges::any_of(found->second, [&](std::size_t i) {
      return same_topic(i) && (!text_known || replies_[i].text == reply.text);
    });
    return right ? Verdict::kRight : Verdict::kWrong;
  }

 private:
  /// Cut as the gateway cuts the questions it shows: between characters.
  static std::string as_shown(std::string query) {
    query.resize(utf8_prefix(query, kShownQuery).size());
    return query;
  }

  std::span<const Request> traffic_;
  std::span<const Reply> replies_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_query_;
};

}  // namespace

Result<Reply> read_reply(const json::value& body, double total_ms) {
  if (member(body, "response") == nullptr || member(body, "cost") == nullptr ||
      member(body, "request_id") == nullptr)
    return fail(Errc::kUpstream,
                "the reply is none of POST /infer: response, cost or request_id "
                "is missing");
  Reply reply;
  reply.asked = reply.answered = true;
  reply.request_id = text(body, "request_id");
  reply.model = text(body, "model_used");
  reply.cost = nano_usd_from_dollars(number(body, "cost"));
  reply.hit = flag(body, "cache_hit");
  reply.tier = static_cast<int>(std::clamp<std::int64_t>(integer(body, "cache_tier"), 0, 3));
  reply.shared = names(body, "optimization_techniques", "single_flight");
  reply.batched = names(body, "optimization_techniques", "batching");
  reply.input_tokens = integer(body, "tokens_input");
  reply.output_tokens = integer(body, "tokens_output");
  if (const json::value* trimmed = member(body, "token_optimization"))
    reply.trimmed_tokens = integer(*trimmed, "saved_tokens");
  if (const json::value* cache = member(body, "cache")) {
    reply.similarity = number(*cache, "similarity");
    reply.cached_query = text(*cache, "cached_query");
    const json::value* steps = member(*cache, "steps");
    const json::array* list = steps == nullptr ? nullptr : steps->if_array();
    reply.steps_known = list != nullptr && std::ranges::any_of(*list, [](const json::value& step) {
                          return flag(step, "cached");
                        });
  }
  reply.text = text(body, "response");
  reply.quality = number(body, "predicted_quality");
  reply.total_ms = total_ms;
  if (const json::value* times = member(body, "latency_breakdown"))
    reply.vendor_ms = number(*times, "inference_ms");
  return reply;
}

std::string_view to_string(Technique technique) {
  constexpr std::array<std::string_view, kTechniques> kNames = {
      "exact_cache",    "semantic_cache", "step_cache", "single_flight",
      "token_trimming", "batching",       "routing",    "answer_length"};
  return kNames[static_cast<std::size_t>(technique)];
}

Savings split_saving(NanoUsd baseline, const Reply& reply, const BaselinePrice& price) {
  Savings savings{};
  const auto part = [&](Technique technique) -> NanoUsd& {
    return savings[static_cast<std::size_t>(technique)];
  };
  const NanoUsd saved = baseline - reply.cost;
  if (reply.hit) {
    part(reply.shared      ? Technique::kSingleFlight
         : reply.tier == 2 ? Technique::kSemanticCache
         : reply.tier == 3 ? Technique::kStepCache
                           : Technique::kExactCache) = saved;
    return savings;
  }
  const NanoUsd same_tokens =
      price_of(reply.input_tokens, price.input) + price_of(reply.output_tokens, price.output);
  part(Technique::kRouting) = same_tokens - reply.cost;
  part(Technique::kTrimming) = price_of(reply.trimmed_tokens, price.input);
  const NanoUsd rest = saved - part(Technique::kRouting) - part(Technique::kTrimming);
  part(reply.steps_known ? Technique::kStepCache
       : reply.batched   ? Technique::kBatching
                         : Technique::kAnswerLength) += rest;
  return savings;
}

double percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double rank = std::ceil(p / 100 * static_cast<double>(values.size()));
  const auto index = static_cast<std::size_t>(std::max(1.0, rank)) - 1;
  return values[std::min(index, values.size() - 1)];
}

Spread spread(const std::vector<double>& values) {
  return {percentile(values, 50), percentile(values, 95), percentile(values, 99)};
}

double Report::saved_percent() const {
  return baseline_cost.nanos == 0
             ? 0
             : 100 * static_cast<double>(saved().nanos) / static_cast<double>(baseline_cost.nanos);
}

Report make_report(Setting setting, std::span<const Request> traffic,
                   std::span<const Reply> baseline, std::span<const Reply> optimized,
                   const BaselinePrice& price) {
  Report report;
  report.setting = std::move(setting);
  report.baseline = totals_of(baseline);
  report.optimized = totals_of(optimized);
  const Origins origins(traffic, optimized);
  for (std::size_t i = 0; i < traffic.size(); ++i) {
    for (const auto& [run, reply] :
         {std::pair{"baseline", &baseline[i]}, std::pair{"optimised", &optimized[i]}}) {
      if (reply->asked && !reply->answered && report.failures.size() < kShownFailures) {
        report.failures.push_back(fmt::format("{} request {}: {}", run, i + 1, reply->error));
      }
    }
    const Reply& reply = optimized[i];
    if (!reply.answered) continue;
    ++report.lookups;
    ++report.hits_by_tier[reply.hit ? static_cast<std::size_t>(reply.tier) : 0];
    ++report.novelties[static_cast<std::size_t>(traffic[i].novelty)];
    if (reply.hit) {
      ++report.hits_by_novelty[static_cast<std::size_t>(traffic[i].novelty)];
      switch (origins.judge(i)) {
        case Origins::Verdict::kRight:
          break;
        case Origins::Verdict::kUnknown:
          // Joined from steps: there is no single question that it was the answer to.
          if (reply.tier != 3) ++report.unverified_hits;
          break;
        case Origins::Verdict::kWrong:
          report.wrong.push_back(
              {i, reply.tier, reply.similarity, prompt_of(traffic[i]), reply.cached_query});
      }
    }
    if (!baseline[i].answered) continue;
    ++report.compared;
    report.baseline_cost += baseline[i].cost;
    report.optimized_cost += reply.cost;
    const Savings savings = split_saving(baseline[i].cost, reply, price);
    for (std::size_t k = 0; k < kTechniques; ++k) report.by_technique[k] += savings[k];
    CategoryTotals& category =
        report.categories[static_cast<std::size_t>(topics()[traffic[i].topic].category)];
    ++category.compared;
    category.hits += reply.hit ? 1 : 0;
    category.baseline += baseline[i].cost;
    category.optimized += reply.cost;
    report.cumulative.emplace_back(report.baseline_cost, report.optimized_cost);
  }
  return report;
}

}  // namespace asahi::server::benchmark
