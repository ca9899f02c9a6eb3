#include "gateway/batching/eligibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/json.h"
#include "gateway/batching/combined_prompt.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// Members of a request body that a combined call can honour or that do not concern the vendor.
constexpr auto kKnownMembers = std::to_array<std::string_view>({"allow_batching",
                                                                "allow_fallback",
                                                                "asahi",
                                                                "bypass_cache",
                                                                "chain_id",
                                                                "cost_sensitivity",
                                                                "document_id",
                                                                "enrich_with_features",
                                                                "fallback_models",
                                                                "history",
                                                                "input",
                                                                "instructions",
                                                                "latency_budget_ms",
                                                                "latency_preference",
                                                                "max_completion_tokens",
                                                                "max_output_tokens",
                                                                "max_tokens",
                                                                "messages",
                                                                "metadata",
                                                                "model",
                                                                "model_override",
                                                                "optimize_tokens",
                                                                "organization_id",
                                                                "prompt",
                                                                "quality_preference",
                                                                "quality_threshold",
                                                                "request_id",
                                                                "routing_mode",
                                                                "safety_identifier",
                                                                "semantic_cache",
                                                                "session_id",
                                                                "store",
                                                                "stream",
                                                                "system",
                                                                "system_prompt",
                                                                "task_id",
                                                                "task_type",
                                                                "temperature",
                                                                "top_p",
                                                                "user",
                                                                "user_id"});
static_assert(std::ranges::is_sorted(kKnownMembers));

/// Words of somebody who has the neighbours in mind, in lower case.
constexpr auto kNeighbours =
    std::to_array<std::string_view>({"other item",    "other question", "other request",
                                     "other task",    "other text",     "other prompt",
                                     "other answer",  "other user",     "other people",
                                     "all item",      "all question",   "all the answer",
                                     "all answer",    "all the other",  "all other",
                                     "all prompts",   "all texts",      "every answer",
                                     "every other",   "each answer",    "each item",
                                     "every item",    "previous item",  "previous question",
                                     "previous text", "previous task",  "previous prompt",
                                     "next item",     "next question",  "next text",
                                     "the batch",     "this batch",     "item 1",
                                     "item 2",        "question 1",     "question 2",
                                     "text 1",        "text 2",         "<<"});

/// Plain text only; empty optional: something else is in the message.
std::optional<std::string> plain_text(const llm::Message& message) {
  std::string text;
  for (const llm::Part& part : message.parts) {
    const auto* piece = std::get_if<llm::TextPart>(&part);
    if (piece == nullptr || !piece->cache_control.is_null()) return std::nullopt;
    text += piece->text;
  }
  return text;
}

bool has_unknown_members(const llm::ChatRequest& chat) {
  if (chat.original == nullptr) return false;
  const json::object* body = chat.original->root().if_object();
  if (body == nullptr) return true;
  return std::ranges::any_of(*body, [](const auto& member) {
    return !member.value().is_null() &&
           !std::ranges::binary_search(kKnownMembers, std::string_view(member.key()));
  });
}

/// Everything but one user's question under instructions.
std::string_view read_texts(const llm::ChatRequest& chat, BatchItem& item) {
  bool asked = false;
  for (const llm::Message& message : chat.messages) {
    auto text = plain_text(message);
    if (!text || !message.name.empty()) return "it holds more than plain text";
    if (asked) return "it is a conversation";
    if (message.role == llm::Role::kSystem || message.role == llm::Role::kDeveloper) {
      if (!item.system.empty()) item.system += "\n\n";
      item.system += *text;
    } else if (message.role == llm::Role::kUser) {
      item.prompt = *std::move(text);
      asked = true;
    } else {
      return "it is a conversation";
    }
  }
  return asked && !item.prompt.empty() ? "" : "it asks nothing";
}

}  // namespace

bool speaks_of_others(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::ranges::any_of(
      kNeighbours, [&](std::string_view words) { return lower.find(words) != std::string::npos; });
}

std::int64_t batch_saving(const ModelProfile& model, std::string_view system, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t once = llm::estimate_tokens(system);
  const std::int64_t input = (count - 1) * once - kBatchRuleTokens - count * kBatchMarkTokens;
  const std::int64_t output = -(count + 1) * kBatchMarkTokens;
  return input * model.input.pico_per_token + output * model.output.pico_per_token;
}

Eligibility consider(const BatchingConfig& config, const BatchCandidate& candidate) {
  const llm::ChatRequest& chat = candidate.chat;
  const auto refuse = [](std::string_view why) { return Eligibility{.refusal = why, .item = {}}; };
  if (!candidate.allowed) return refuse("the request says so");
  if (candidate.latency_budget < milliseconds(config.latency_threshold_ms))
    return refuse("its latency budget is too tight");
  if (std::ranges::find(config.eligible_task_types, candidate.task) ==
      config.eligible_task_types.end())
    return refuse("its task is not one of batching.eligible_task_types");
  if (chat.stream) return refuse("it is streamed");
  if (!chat.tools.empty()) return refuse("it has tools");
  if (candidate.own_key) return refuse("it brings a vendor key");
  if (candidate.capped) return refuse("it has a cost_budget");
  if (!candidate.storable) return refuse("its text may not be stored");
  if (candidate.input_tokens > candidate.model.max_input_tokens / 10)
    return refuse("it is too long");
  if (chat.format.kind != llm::ResponseFormat::Kind::kUnset &&
      chat.format.kind != llm::ResponseFormat::Kind::kText)
    return refuse("it wants a format of its own");
  if (!chat.stop.empty() || chat.seed || chat.top_k || !chat.reasoning.effort.empty() ||
      chat.reasoning.budget_tokens || !chat.vendor_only.empty() || !chat.anthropic_beta.empty() ||
      has_unknown_members(chat))
    return refuse("it has settings that hold for its call only");

  Eligibility found;
  BatchItem& item = found.item;
  if (const std::string_view wrong = read_texts(chat, item); !wrong.empty()) return refuse(wrong);
  if (speaks_of_others(item.prompt)) return refuse("it speaks of other texts");
  const milliseconds spare =
      candidate.latency_budget -
      milliseconds(static_cast<std::int64_t>(candidate.model.avg_latency_ms));
  item.wait = std::min(std::max(spare, milliseconds(0)), milliseconds(config.max_wait_ms));
  if (item.wait == milliseconds(0)) return refuse("its model leaves no time to wait");
  // Whoever waited in vain still needs time for a call of its own.
  if (candidate.time_left < 2 * (item.wait + milliseconds(config.grace_ms)))
    return refuse("its deadline is too close");
  if (config.only_if_cheaper &&
      batch_saving(candidate.model, item.system, config.max_batch_size) <= 0)
    return refuse("there is too little to share");

  item.org = candidate.org;
  item.owner = candidate.owner;
  item.model = candidate.model.name;
  item.temperature = chat.temperature;
  item.top_p = chat.top_p;
  item.max_tokens = chat.max_tokens.value_or(0);
  const std::string terms =
      fmt::format("{}\x1f{}\x1f{}\x1f{}", config.isolation == "user" ? item.owner : "",
                  item.temperature ? fmt::format("{}", *item.temperature) : "-",
                  item.top_p ? fmt::format("{}", *item.top_p) : "-", item.system);
  item.group = fmt::format("{}:{}:{}:{}", candidate.task, item.model, item.org,
                           to_hex(sha256(terms)).substr(0, 16));
  return found;
}

}  // namespace asahi::gateway
