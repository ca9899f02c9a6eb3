#include "gateway/http/replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/ids.h"
#include "gateway/routing/pricing.h"
#include "net/http/server.h"
#include "net/sse/parser.h"

namespace asahi::gateway {
namespace {

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += ",\"";
  out += name;
  out += "\":";
  append_json_string(out, text);
}

void append_money(std::string& out, std::string_view name, NanoUsd amount) {
  out += ",\"";
  out += name;
  out += "\":";
  append_shown(out, amount);
}

void append_integer(std::string& out, std::int64_t number) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

/// One digit behind the point; `percent` has no more.
void append_percent(std::string& out, double percent) {
  if (std::signbit(percent)) out += '-';
  const auto tenths = std::llround(std::abs(percent) * 10);
  append_integer(out, tenths / 10);
  out += '.';
  out += static_cast<char>('0' + tenths % 10);
}

std::string_view word(bool value) { return value ? "true" : "false"; }

double shown_ms(double ms) { return std::round(ms * 1000) / 1000; }

std::string techniques(const Outcome& outcome) {
  std::string out = "[";
  const auto add = [&](std::string_view name) {
    out += fmt::format("{}\"{}\"", out.size() > 1 ? "," : "", name);
  };
  if (outcome.hit) {
    add(outcome.tier == 2 ? "semantic_cache" : outcome.tier == 3 ? "cache_tier_3" : "cache_tier_1");
    if (outcome.shared) add("single_flight");
  } else if (outcome.mode != RoutingMode::kExplicit) {
    add("smart_routing");
  }
  if (outcome.trimmed != nullptr) add("token_optimization");
  if (!outcome.hit && std::ranges::any_of(outcome.steps, &StepReport::cached)) add("cache_tier_3");
  if (outcome.enriched) add("feature_enrichment");
  if (outcome.batch_size > 0) add("batching");
  if (outcome.vendor_batch) add("vendor_batch");
  return out + "]";
}

/// Nothing where nothing was trimmed.
void append_trimming(std::string& out, const Outcome& outcome) {
  if (outcome.trimmed == nullptr) return;
  const OptimisationReport& report = *outcome.trimmed;
  fmt::format_to(std::back_inserter(out),
                 ",\"token_optimization\":{{\"original_tokens\":{},\"optimized_tokens\":{},"
                 "\"saved_tokens\":{},\"saved_percent\":{:.1f},\"strategies\":[\"{}\"],"
                 "\"quality_risk\":\"{}\"}}",
                 report.original_tokens, report.optimized_tokens, report.saved(),
                 report.saved_percent(), fmt::join(report.strategies, "\",\""),
                 to_string(report.risk));
}

void append_steps(std::string& out, const Outcome& outcome) {
  if (outcome.steps.empty()) return;
  out += ",\"steps\":[";
  for (std::size_t i = 0; i < outcome.steps.size(); ++i) {
    out += i == 0 ? "{\"step_id\":" : ",{\"step_id\":";
    append_json_string(out, outcome.steps[i].id);
    append_member(out, "step_type", outcome.steps[i].type);
    out += ",\"cached\":";
    out += word(outcome.steps[i].cached);
    out += '}';
  }
  out += ']';
}

/// Members of a cache object, each after a comma; nothing where tier 2 found nothing near.
void append_similarity(std::string& out, const SimilarityReport* report) {
  if (report == nullptr) return;
  fmt::format_to(std::back_inserter(out), ",\"threshold\":{:.4f},\"expected_error\":{:.4f}",
                 report->threshold, report->error);
  append_member(out, "verdict", report->verdict);
  append_member(out, "reason", report->reason);
  append_member(out, "entry_id", report->entry_id);
  out += ",\"checked\":";
  out += word(report->checked);
}

class NativeStreamEncoder final : public llm::StreamEncoder {
 public:
  void encode(const llm::StreamEvent& event, std::string& out) override {
    if (event.kind != llm::StreamEvent::Kind::kText || event.text.empty()) return;
    std::string data = R"({"type":"token","text":)";
    append_json_string(data, event.text);
    data += '}';
    sse::append_event(out, "", data);
  }
  void finish(const llm::ChatResponse&, const llm::Extras& extras, std::string& out) override {
    sse::append_event(out, "", R"({"type":"done",)" + extras.substr(1));
    sse::append_event(out, "", "[DONE]");
  }
  void fail(const Error& error, std::string_view request_id, std::string& out) override {
    std::string data = R"({"type":"error","error":)";
    append_json_string(
        data, error.reason.empty() ? to_string(error.code) : std::string_view(error.reason));
    append_member(data, "message", error.message);
    append_member(data, "request_id", request_id);
    data += '}';
    sse::append_event(out, "error", data);
  }
};

}  // namespace

std::string asahi_object(const Outcome& outcome, std::string_view request_id) {
  std::string out;
  out.reserve(448);
  out += "{\"request_id\":";
  append_json_string(out, request_id);
  append_money(out, "cost", outcome.cost);
  append_money(out, "cost_original", outcome.baseline);
  append_money(out, "savings_usd", outcome.savings());
  out += ",\"savings_pct\":";
  append_percent(out, percent_saved(outcome.baseline, outcome.cost));
  out += ",\"cache_hit\":";
  out += word(outcome.hit);
  out += ",\"cache_tier\":";
  append_integer(out, outcome.tier);
  append_member(out, "routing_mode", to_string(outcome.mode));
  append_member(out, "routing_reason", outcome.routing_reason);
  append_member(out, "model", outcome.answer->model);
  append_member(out, "provider", outcome.answer->provider);
  out += ",\"fallback_used\":";
  out += word(outcome.fallback_used);
  if (outcome.hit && outcome.similar != nullptr) {
    fmt::format_to(std::back_inserter(out), ",\"cache\":{{\"similarity\":{:.4f}",
                   outcome.similar->similarity);
    append_member(out, "cached_query", outcome.similar->matched_query);
    append_similarity(out, outcome.similar.get());
    out += '}';
  } else if (outcome.hit && !outcome.answer->entry_id.empty()) {
    out += ",\"cache\":{\"entry_id\":";
    append_json_string(out, outcome.answer->entry_id);
    out += '}';
  }
  append_trimming(out, outcome);
  append_steps(out, outcome);
  if (outcome.batch_size > 0) {
    out += ",\"batch_size\":";
    append_integer(out, static_cast<std::int64_t>(outcome.batch_size));
  }
  if (outcome.vendor_batch) out += ",\"vendor_batch\":true";
  if (!outcome.warnings.empty()) {
    out += ",\"warnings\":[";
    for (std::size_t i = 0; i < outcome.warnings.size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, outcome.warnings[i]);
    }
    out += ']';
  }
  out += '}';
  return out;
}

std::string native_body(const Outcome& outcome, std::string_view request_id,
                        std::string_view reply_id, std::string_view timestamp,
                        std::string_view escaped_text) {
  const Answer& answer = *outcome.answer;
  std::string out;
  out.reserve(escaped_text.size() + 1'200);
  out += "{\"request_id\":";
  append_json_string(out, request_id);
  append_member(out, "response_id", reply_id);
  append_member(out, "timestamp", timestamp);
  out += ",\"response\":";
  out += escaped_text;
  append_member(out, "finish_reason", to_string(answer.response.finish));
  append_member(out, "model_used",
                answer.model.empty() ? std::string_view("cached") : std::string_view(answer.model));
  append_member(out, "provider", answer.provider);
  append_member(out, "routing_mode", to_string(outcome.mode));
  append_member(out, "routing_reason", outcome.routing_reason);
  append_member(out, "task_type_detected", outcome.task_type);
  fmt::format_to(
      std::back_inserter(out),
      ",\"fallback_used\":{},\"tokens_input\":{},\"tokens_output\":{},\"tokens_total\":{}",
      outcome.fallback_used, outcome.consumed.input, outcome.consumed.output,
      outcome.consumed.total());
  append_money(out, "cost", outcome.cost);
  append_money(out, "cost_original", outcome.baseline);
  append_money(out, "cost_savings_vs_baseline", outcome.savings());
  fmt::format_to(
      std::back_inserter(out),
      ",\"cost_savings_percent\":{:.1f},\"latency_ms\":{},\"latency_breakdown\":{{\"cache_lookup_"
      "ms\":{},"
      "\"routing_ms\":{},\"inference_ms\":{},\"post_processing_ms\":{},\"total_ms\":{}}},\"cache_"
      "hit\":{},"
      "\"cache_tier\":{},\"cache\":{{\"hit\":{},\"tier\":{},\"similarity\":{},\"cached_query\":",
      percent_saved(outcome.baseline, outcome.cost), shown_ms(outcome.total_ms),
      shown_ms(outcome.lookup_ms), shown_ms(outcome.routing_ms), shown_ms(outcome.vendor_ms),
      shown_ms(outcome.post_ms), shown_ms(outcome.total_ms), outcome.hit, outcome.tier, outcome.hit,
      outcome.tier,
      outcome.similar != nullptr ? fmt::format("{:.4f}", outcome.similar->similarity)
      : outcome.hit              ? "1.0"
                                 : "null");
  if (outcome.similar != nullptr && !outcome.similar->matched_query.empty()) {
    append_json_string(out, outcome.similar->matched_query);
  } else if (outcome.hit) {
    append_json_string(out, answer.query);
  } else {
    out += "null";
  }
  append_similarity(out, outcome.similar.get());
  if (outcome.hit && outcome.similar == nullptr && !answer.entry_id.empty())
    append_member(out, "entry_id", answer.entry_id);
  append_steps(out, outcome);
  out += "},\"optimization_techniques\":";
  out += techniques(outcome);
  fmt::format_to(std::back_inserter(out),
                 ",\"predicted_quality\":{:.2f},\"quality_score\":", answer.quality);
  if (outcome.measured_quality) {
    fmt::format_to(std::back_inserter(out), "{:.2f}", *outcome.measured_quality);
  } else {
    out += "null";
  }
  out += ",\"alternatives\":[";
  for (std::size_t i = 0; i < outcome.alternatives.size(); ++i) {
    const Alternative& other = outcome.alternatives[i];
    out += i == 0 ? "{\"model\":" : ",{\"model\":";
    append_json_string(out, other.model->name);
    append_money(out, "estimated_cost", other.estimated_cost);
    fmt::format_to(std::back_inserter(out),
                   ",\"estimated_quality\":{:.2f},\"savings_percent\":{:.1f}}}",
                   other.model->quality, other.savings_percent);
  }
  out += ']';
  append_trimming(out, outcome);
  out += ",\"warnings\":[";
  for (std::size_t i = 0; i < outcome.warnings.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, outcome.warnings[i]);
  }
  out += "]}";
  return out;
}

std::string response_id(llm::Shape shape) {
  switch (shape) {
    case llm::Shape::kOpenAiChat:
      return random_id("chatcmpl-", 24);
    case llm::Shape::kOpenAiCompletions:
      return random_id("cmpl-", 24);
    case llm::Shape::kOpenAiResponses:
      return random_id("resp_", 32);
    case llm::Shape::kAnthropic:
      return random_id("msg_", 24);
    default:
      return random_id("resp_", 12);
  }
}

ReplyTemplate make_template(const llm::ClientCodec& codec, const llm::ChatRequest& request,
                            const Answer& answer, std::int64_t created) {
  // Marks that no answer contains by chance: random, made for this one writing.
  const std::string id_mark = random_id("id", 32);
  const std::string extras_mark = "{\"" + random_id("x", 32) + "\":0}";
  llm::ChatResponse response = answer.response;
  response.id = id_mark;
  response.model = answer.model;
  const std::string whole = codec.encode(request, response, extras_mark, created);
  const std::size_t id_at = whole.find(id_mark);
  const std::size_t extras_at = whole.find(extras_mark);
  ReplyTemplate reply;
  if (id_at == std::string::npos || extras_at == std::string::npos || extras_at < id_at)
    return reply;
  reply.head = whole.substr(0, id_at);
  reply.middle = whole.substr(id_at + id_mark.size(), extras_at - id_at - id_mark.size());
  reply.tail = whole.substr(extras_at + extras_mark.size());
  return reply;
}

bool is_streamable(const llm::ChatResponse& response) {
  return std::ranges::all_of(response.parts, [](const llm::Part& part) {
    return std::holds_alternative<llm::TextPart>(part) ||
           std::holds_alternative<llm::ReasoningPart>(part) ||
           std::holds_alternative<llm::RefusalPart>(part) ||
           std::holds_alternative<llm::ToolCallPart>(part);
  });
}

std::vector<llm::StreamEvent> as_events(const llm::ChatResponse& response) {
  using Kind = llm::StreamEvent::Kind;
  std::vector<llm::StreamEvent> events;
  llm::StreamEvent start;
  start.kind = Kind::kStart;
  start.id = response.id;
  start.model = response.model;
  start.usage = response.usage;
  events.push_back(std::move(start));
  std::size_t tool_index = 0;
  const auto words = [&](std::string_view text, Kind kind) {
    while (!text.empty()) {
      // A word with the blanks behind it, so that the pieces join to exactly the text.
      std::size_t end = text.find_first_of(" \n\t");
      end = end == std::string_view::npos ? text.size() : text.find_first_not_of(" \n\t", end);
      if (end == std::string_view::npos) end = text.size();
      llm::StreamEvent event;
      event.kind = kind;
      event.text = std::string(text.substr(0, end));
      events.push_back(std::move(event));
      text.remove_prefix(end);
    }
  };
  for (const llm::Part& part : response.parts) {
    if (const auto* text = std::get_if<llm::TextPart>(&part)) words(text->text, Kind::kText);
    if (const auto* refusal = std::get_if<llm::RefusalPart>(&part))
      words(refusal->text, Kind::kRefusal);
    if (const auto* reasoning = std::get_if<llm::ReasoningPart>(&part)) {
      words(reasoning->text, Kind::kReasoning);
      if (!reasoning->signature.empty() || !reasoning->encrypted.empty()) {
        llm::StreamEvent seal;
        seal.kind = Kind::kReasoning;
        seal.signature = reasoning->signature;
        seal.encrypted = reasoning->encrypted;
        events.push_back(std::move(seal));
      }
    }
    if (const auto* call = std::get_if<llm::ToolCallPart>(&part)) {
      llm::StreamEvent begin;
      begin.kind = Kind::kToolCallStart;
      begin.tool_index = tool_index;
      begin.tool_id = call->id;
      begin.tool_name = call->name;
      events.push_back(std::move(begin));
      llm::StreamEvent arguments;
      arguments.kind = Kind::kToolCallDelta;
      arguments.tool_index = tool_index++;
      arguments.text = call->arguments;
      events.push_back(std::move(arguments));
    }
  }
  llm::StreamEvent finish;
  finish.kind = Kind::kFinish;
  finish.finish = response.finish;
  finish.stop_sequence = response.stop_sequence;
  events.push_back(std::move(finish));
  llm::StreamEvent usage;
  usage.kind = Kind::kUsage;
  usage.usage = response.usage;
  events.push_back(std::move(usage));
  llm::StreamEvent done;
  done.kind = Kind::kDone;
  events.push_back(std::move(done));
  return events;
}

std::unique_ptr<llm::StreamEncoder> make_native_stream_encoder() {
  return std::make_unique<NativeStreamEncoder>();
}

}  // namespace asahi::gateway
