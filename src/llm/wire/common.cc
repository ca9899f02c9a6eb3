#include "llm/wire/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/utf8.h"

namespace asahi::llm::wire {
namespace {

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a decimal";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

std::string quoted_list(std::span<const std::string_view> words, std::string_view last_joint) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last_joint : std::string_view(", ");
    fmt::format_to(std::back_inserter(out), "'{}'", words[i]);
  }
  return out;
}

/// What a client sent goes back to it in messages; a long value would bury the rule.
std::string_view shortened(std::string_view text) { return utf8_prefix(text, 64); }

std::string plain_number(double number, bool integer) {
  if (integer && std::abs(number) < 9e15) {
    return fmt::format("{}", static_cast<std::int64_t>(number));
  }
  return fmt::format("{}", number);
}

constexpr auto kGatewayFields = std::to_array<std::string_view>({"agent_id",
                                                                 "allow_batching",
                                                                 "allow_fallback",
                                                                 "asahi",
                                                                 "bypass_cache",
                                                                 "chain_id",
                                                                 "cost_budget",
                                                                 "cost_sensitivity",
                                                                 "document_id",
                                                                 "enrich_with_features",
                                                                 "fallback_models",
                                                                 "intervention_mode",
                                                                 "latency_budget_ms",
                                                                 "latency_preference",
                                                                 "model_endpoint_id",
                                                                 "optimize_tokens",
                                                                 "organization_id",
                                                                 "provider_api_key",
                                                                 "quality_preference",
                                                                 "quality_threshold",
                                                                 "request_id",
                                                                 "routing_mode",
                                                                 "semantic_cache",
                                                                 "session_id",
                                                                 "task_id",
                                                                 "task_type",
                                                                 "user_id"});
static_assert(std::ranges::is_sorted(kGatewayFields));

}  // namespace

// ---- Lenient readers

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* value = find_member(object, key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string_view string_at(const json::object& object, std::string_view key,
                           std::string_view fallback) {
  const json::value* value = find_member(object, key);
  if (value == nullptr || !value->is_string()) return fallback;
  return value->get_string();
}

std::int64_t int_at(const json::object& object, std::string_view key, std::int64_t fallback) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) return fallback;
  switch (value->kind()) {
    case json::kind::int64:
      return value->get_int64();
    case json::kind::uint64:
      return std::numeric_limits<std::int64_t>::max();
    case json::kind::double_: {
      const double number = value->get_double();
      if (std::isnan(number)) return fallback;
      // 2^63 is the first double above the range.
      if (number >= 9223372036854775808.0) return std::numeric_limits<std::int64_t>::max();
      if (number < -9223372036854775808.0) return std::numeric_limits<std::int64_t>::min();
      return static_cast<std::int64_t>(number);
    }
    default:
      return fallback;
  }
}

bool bool_at(const json::object& object, std::string_view key, bool fallback) {
  const json::value* value = find_member(object, key);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* value = find_member(object, key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_at(const json::object& object, std::string_view key) {
  const json::value* value = find_member(object, key);
  return value == nullptr ? nullptr : value->if_array();
}

// ---- Strict readers

std::string Path::brackets() const {
  std::string out = parent == nullptr ? std::string() : parent->brackets();
  if (key.empty()) {
    if (parent != nullptr) fmt::format_to(std::back_inserter(out), "[{}]", index);
    return out;
  }
  if (!out.empty()) out += '.';
  out += key;
  return out;
}

std::string Path::dots() const {
  std::string out = parent == nullptr ? std::string() : parent->dots();
  if (key.empty() && parent == nullptr) return out;
  if (!out.empty()) out += '.';
  if (key.empty()) {
    fmt::format_to(std::back_inserter(out), "{}", index);
  } else {
    out += key;
  }
  return out;
}

void Check::add(const Path& path, std::string message, std::string_view reason) {
  if (error_) return;
  error_ = Error{.code = Errc::kInvalidArgument, .message = std::move(message)};
  error_->reason = reason;
  error_->field = path.brackets();
}

void Check::wrong_type(const Path& path, std::string_view expected, const json::value& got) {
  if (error_) return;
  if (wording_ == Wording::kAnthropic) {
    const bool article = expected.starts_with("a ") || expected.starts_with("an ");
    const std::string_view noun = article ? expected.substr(expected.find(' ') + 1) : expected;
    add(path, fmt::format("{}: Input should be a valid {}", path.dots(), noun), "invalid_type");
    return;
  }
  add(path,
      fmt::format("Invalid type for '{}': expected {}, but got {} instead.", path.brackets(),
                  expected, kind_name(got)),
      "invalid_type");
}

void Check::missing(const Path& path) {
  if (error_) return;
  add(path,
      wording_ == Wording::kAnthropic
          ? fmt::format("{}: Field required", path.dots())
          : fmt::format("Missing required parameter: '{}'.", path.brackets()),
      "missing_required_parameter");
}

void Check::unknown(const Path& path) {
  if (error_) return;
  if (wording_ == Wording::kAnthropic) {
    add(path, fmt::format("{}: Extra inputs are not permitted", path.dots()), "unknown_parameter");
    return;
  }
  add(path, fmt::format("Unrecognized request argument supplied: {}", path.brackets()),
      "unknown_parameter");
}

void Check::not_one_of(const Path& path, std::string_view got,
                       std::span<const std::string_view> allowed) {
  if (error_) return;
  if (wording_ == Wording::kAnthropic) {
    add(path, fmt::format("{}: Input should be {}", path.dots(), quoted_list(allowed, " or ")),
        "invalid_value");
    return;
  }
  add(path,
      fmt::format("Invalid value for '{}': '{}'. Supported values are: {}.", path.brackets(),
                  shortened(got), quoted_list(allowed, ", and ")),
      "invalid_value");
}

void Check::out_of_range(const Path& path, double low, double high, double got, bool integer) {
  if (error_) return;
  const bool above = got > high;
  const std::string limit = plain_number(above ? high : low, integer);
  if (wording_ == Wording::kAnthropic) {
    add(path,
        fmt::format("{}: Input should be {} than or equal to {}", path.dots(),
                    above ? "less" : "greater", limit),
        "out_of_range");
    return;
  }
  const std::string_view noun = integer ? "integer" : "decimal";
  add(path,
      fmt::format("Invalid '{}': {} {} value. Expected a value {} {}, but got {} instead.",
                  path.brackets(), noun, above ? "above maximum" : "below minimum",
                  above ? "<=" : ">=", limit, plain_number(got, integer)),
      fmt::format("{}_{}_value", noun, above ? "above_max" : "below_min"));
}

void Check::rule(const Path& path, std::string text, std::string_view reason) {
  if (error_) return;
  if (wording_ == Wording::kAnthropic) {
    const std::string where = path.dots();
    add(path, where.empty() ? std::move(text) : fmt::format("{}: {}", where, text), reason);
    return;
  }
  add(path, std::move(text), reason);
}

std::optional<std::string_view> FieldReader::string(std::string_view key) const {
  const json::value* value = any(key);
  if (value == nullptr) return {};
  if (const auto* text = value->if_string()) return std::string_view(*text);
  check_.wrong_type(path(key), "a string", *value);
  return {};
}

std::optional<std::int64_t> FieldReader::integer(std::string_view key, std::int64_t low,
                                                 std::int64_t high) const {
  const json::value* value = any(key);
  if (value == nullptr) return {};
  std::int64_t number = 0;
  if (value->is_int64()) {
    number = value->get_int64();
  } else if (value->is_uint64()) {
    number = std::numeric_limits<std::int64_t>::max();
    if (high == number) {
      check_.rule(path(key), fmt::format("'{}' is larger than any integer this API reads.",
                                         path(key).brackets()));
      return {};
    }
  } else if (value->is_double() && value->get_double() == std::trunc(value->get_double()) &&
             std::abs(value->get_double()) < 9e15) {
    number = static_cast<std::int64_t>(value->get_double());  // 16.0 is an integer in JSON
  } else {
    check_.wrong_type(path(key), "an integer", *value);
    return {};
  }
  if (number < low || number > high) {
    check_.out_of_range(path(key), static_cast<double>(low), static_cast<double>(high),
                        static_cast<double>(number), true);
    return {};
  }
  return number;
}

std::optional<double> FieldReader::number(std::string_view key, double low, double high) const {
  const json::value* value = any(key);
  if (value == nullptr) return {};
  if (!value->is_number()) {
    check_.wrong_type(path(key), check_.wording() == Wording::kAnthropic ? "a number" : "a decimal",
                      *value);
    return {};
  }
  const double number = value->to_number<double>();
  // Written so that NaN fails as well.
  if (!(number >= low && number <= high)) {
    check_.out_of_range(path(key), low, high, number, false);
    return {};
  }
  return number;
}

std::optional<bool> FieldReader::boolean(std::string_view key) const {
  const json::value* value = any(key);
  if (value == nullptr) return {};
  if (value->is_bool()) return value->get_bool();
  check_.wrong_type(path(key), "a boolean", *value);
  return {};
}

const json::object* FieldReader::object(std::string_view key) const {
  const json::value* value = any(key);
  if (value == nullptr) return nullptr;
  if (const auto* found = value->if_object()) return found;
  check_.wrong_type(path(key), "an object", *value);
  return nullptr;
}

const json::array* FieldReader::array(std::string_view key) const {
  const json::value* value = any(key);
  if (value == nullptr) return nullptr;
  if (const auto* found = value->if_array()) return found;
  check_.wrong_type(path(key), "an array", *value);
  return nullptr;
}

std::optional<std::string_view> FieldReader::one_of(
    std::string_view key, std::span<const std::string_view> allowed) const {
  const auto text = string(key);
  if (!text) return {};
  if (std::ranges::find(allowed, *text) != allowed.end()) return text;
  check_.not_one_of(path(key), *text, allowed);
  return {};
}

std::string_view FieldReader::need_string(std::string_view key) const {
  if (any(key) == nullptr) check_.missing(path(key));
  return string(key).value_or(std::string_view());
}

const json::object* FieldReader::need_object(std::string_view key) const {
  if (any(key) == nullptr) check_.missing(path(key));
  return object(key);
}

const json::array* FieldReader::need_array(std::string_view key) const {
  if (any(key) == nullptr) check_.missing(path(key));
  return array(key);
}

std::string_view FieldReader::need_one_of(std::string_view key,
                                          std::span<const std::string_view> allowed) const {
  if (any(key) == nullptr) check_.missing(path(key));
  return one_of(key, allowed).value_or(std::string_view());
}

void FieldReader::allow_only(std::span<const std::string_view> allowed) const {
  for (const auto& member : object_) {
    const std::string_view key = member.key();
    if (!std::ranges::binary_search(allowed, key)) {
      check_.unknown(path(shortened(key)));
      return;
    }
  }
}

std::span<const std::string_view> gateway_fields() { return kGatewayFields; }

bool is_gateway_field(std::string_view key) {
  static constexpr JsonKeys kKeys{std::span(kGatewayFields)};
  return kKeys.may_contain(key) && std::ranges::binary_search(kGatewayFields, key);
}

Result<void> refuse_vendor_only(const ChatRequest& request, Shape vendor) {
  if (request.vendor_only.empty() || request.shape == vendor) return {};
  return fail(Errc::kInvalidArgument,
              fmt::format("{} works only with vendors that speak the {} format; choose a model of "
                          "such a vendor or leave it out",
                          request.vendor_only, to_string(request.shape)));
}

std::string arguments_object(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return "{}";
  if (auto parsed = parse_json(text); parsed && parsed->is_object()) return write_json(*parsed);
  std::string out;
  JsonOut(out).open_object().member("arguments", text).close_object();
  return out;
}

bool is_openai_seal(std::string_view encrypted) { return encrypted.starts_with("gAAAA"); }

// ---- Images

std::optional<DataUrl> parse_data_url(std::string_view url) {
  constexpr std::string_view kScheme = "data:";
  constexpr std::string_view kBase64 = ";base64";
  if (!url.starts_with(kScheme)) return {};
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos) return {};
  std::string_view head = url.substr(kScheme.size(), comma - kScheme.size());
  if (!head.ends_with(kBase64)) return {};
  head.remove_suffix(kBase64.size());
  return DataUrl{head.substr(0, head.find(';')), url.substr(comma + 1)};
}

ImagePart image_from_url(std::string_view url) {
  ImagePart image;
  if (const auto data = parse_data_url(url)) {
    image.media_type = data->media_type;
    image.data = data->data;
  } else {
    image.url = url;
  }
  return image;
}

std::string image_url(const ImagePart& image) {
  if (!image.url.empty()) return image.url;
  return fmt::format("data:{};base64,{}", image.media_type, image.data);
}

}  // namespace asahi::llm::wire
