#include <algorithm>

#include "llm/wire/common.h"

namespace asahi::llm::wire {
namespace {

std::int64_t count_at(const json::object& object, std::string_view key) {
  // Above 2^52 the sum of a few counts could overflow; no real answer comes near.
  return std::clamp<std::int64_t>(int_at(object, key), 0, std::int64_t{1} << 52);
}

/// The first of two names that is there: chat completions and responses name the same things twice.
std::int64_t count_at(const json::object& object, std::string_view key, std::string_view other) {
  return object.contains(key) ? count_at(object, key) : count_at(object, other);
}

const json::object* object_at(const json::object& object, std::string_view key,
                              std::string_view other) {
  const json::object* found = wire::object_at(object, key);
  return found != nullptr ? found : wire::object_at(object, other);
}

}  // namespace

Usage read_openai_usage(const json::object& usage) {
  Usage result;
  result.reported = true;
  result.input = count_at(usage, "prompt_tokens", "input_tokens");
  result.output = count_at(usage, "completion_tokens", "output_tokens");

  if (const auto* details = object_at(usage, "prompt_tokens_details", "input_tokens_details")) {
    result.cached_input = count_at(*details, "cached_tokens");
    result.audio_input = count_at(*details, "audio_tokens");
    result.cache_write_input = count_at(*details, "cache_write_tokens");
    result.cache_write_1h_input = count_at(*details, "cache_write_1h_tokens");
  }
  if (result.cached_input == 0) {
    result.cached_input = std::max({count_at(usage, "prompt_cache_hit_tokens"),  // DeepSeek
                                    count_at(usage, "cached_tokens"),            // Moonshot
                                    count_at(usage, "cache_read_input_tokens")});
  }
  if (result.cache_write_input == 0) {
    result.cache_write_input = count_at(usage, "cache_creation_input_tokens");
  }
  if (const auto* details =
          object_at(usage, "completion_tokens_details", "output_tokens_details")) {
    result.reasoning_output = count_at(*details, "reasoning_tokens");
    result.audio_output = count_at(*details, "audio_tokens");
  }
  if (result.reasoning_output == 0) result.reasoning_output = count_at(usage, "reasoning_tokens");

  // OpenAI counts reasoning inside the completion, xAI beside it; the total tells which.
  const std::int64_t total = count_at(usage, "total_tokens");
  if (result.reasoning_output > 0 &&
      total == result.input + result.output + result.reasoning_output) {
    result.output += result.reasoning_output;
  }

  // The details are parts of the totals, whatever a vendor claims: bills are made of differences.
  result.cached_input = std::min(result.cached_input, result.input);
  result.cache_write_input = std::min(result.cache_write_input, result.input - result.cached_input);
  result.cache_write_1h_input = std::min(
      result.cache_write_1h_input, result.input - result.cached_input - result.cache_write_input);
  result.audio_input = std::min(result.audio_input, result.input);
  result.reasoning_output = std::min(result.reasoning_output, result.output);
  result.audio_output = std::min(result.audio_output, result.output);
  return result;
}

void write_openai_usage(JsonOut& out, const Usage& usage) {
  out.open_object()
      .member("prompt_tokens", usage.input)
      .member("completion_tokens", usage.output)
      .member("total_tokens", usage.total());
  out.key("prompt_tokens_details")
      .open_object()
      .member("cached_tokens", usage.cached_input)
      .member("audio_tokens", usage.audio_input);
  // OpenAI has no price for cache writes and so no field; these two are zero for its own answers.
  if (usage.cache_write_input > 0) out.member("cache_write_tokens", usage.cache_write_input);
  if (usage.cache_write_1h_input > 0) {
    out.member("cache_write_1h_tokens", usage.cache_write_1h_input);
  }
  out.close_object();
  out.key("completion_tokens_details")
      .open_object()
      .member("reasoning_tokens", usage.reasoning_output)
      .member("audio_tokens", usage.audio_output)
      .member("accepted_prediction_tokens", std::int64_t{0})
      .member("rejected_prediction_tokens", std::int64_t{0})
      .close_object();
  out.close_object();
}

void AnthropicUsage::update(const json::object& usage) {
  const auto take = [](const json::object& from, std::string_view key, std::int64_t& field) {
    if (find(from, key) != nullptr) field = count_at(from, key);
  };
  seen = true;
  take(usage, "input_tokens", input);
  take(usage, "cache_read_input_tokens", cache_read);
  take(usage, "cache_creation_input_tokens", cache_creation);
  take(usage, "output_tokens", output);
  if (const auto* split = wire::object_at(usage, "cache_creation")) {
    take(*split, "ephemeral_5m_input_tokens", cache_5m);
    take(*split, "ephemeral_1h_input_tokens", cache_1h);
  }
}

Usage AnthropicUsage::normalised() const {
  Usage result;
  result.reported = seen;
  const std::int64_t written = std::max(cache_creation, cache_5m + cache_1h);
  result.cache_write_1h_input = cache_1h;
  result.cache_write_input = written - cache_1h;
  result.cached_input = cache_read;
  result.input = input + cache_read + written;
  result.output = output;
  return result;
}

void write_anthropic_usage(JsonOut& out, const Usage& usage) {
  const std::int64_t written = usage.cache_write_input + usage.cache_write_1h_input;
  out.open_object()
      .member("input_tokens", std::max<std::int64_t>(0, usage.input - usage.cached_input - written))
      .member("cache_creation_input_tokens", written)
      .member("cache_read_input_tokens", usage.cached_input)
      .key("cache_creation")
      .open_object()
      .member("ephemeral_5m_input_tokens", usage.cache_write_input)
      .member("ephemeral_1h_input_tokens", usage.cache_write_1h_input)
      .close_object()
      .member("output_tokens", usage.output)
      .close_object();
}

}  // namespace asahi::llm::wire
