#include "gateway/events/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "telemetry/trace_context.h"

namespace asahi::gateway {
namespace {

/// Writes members of one flat JSON object without building a tree: this runs for every request.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  ~ObjectWriter() { out_ += '}'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  void text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    name(key);
    append_json_string(out_, value);
  }
  void integer(std::string_view key, std::int64_t value) {
    name(key);
    const fmt::format_int digits(value);
    out_.append(digits.data(), digits.size());
  }
  void decimal(std::string_view key, double value) {
    name(key);
    const double thousandths = std::isfinite(value) ? std::round(value * 1000) : 0;
    if (std::abs(thousandths) >= 1e15) {
      fmt::format_to(std::back_inserter(out_), FMT_STRING("{}"), thousandths / 1000);
      return;
    }
    if (std::signbit(thousandths)) out_ += '-';
    const auto number = static_cast<std::uint64_t>(std::abs(thousandths));
    const fmt::format_int whole(number / 1000);
    out_.append(whole.data(), whole.size());
    const auto rest = static_cast<unsigned>(number % 1000);
    if (rest == 0) return;
    const char digits[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
    out_.append(digits, rest % 10 != 0 ? 4 : rest % 100 != 0 ? 3 : 2);
  }
  void money(std::string_view key, NanoUsd value) {
    name(key);
    append_decimal(out_, value);
  }
  void boolean(std::string_view key, bool value) {
    name(key);
    out_ += value ? "true" : "false";
  }

 private:
  void name(std::string_view key) {
    out_.append(first_ ? "\"" : ",\"", first_ ? 1 : 2);
    first_ = false;
    out_ += key;
    out_.append("\":", 2);
  }
  std::string& out_;
  bool first_ = true;
};

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
double number_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return 0;
  return value->to_number<double>();
}
std::int64_t integer_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}
bool boolean_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace

void append_csv_field(std::string& out, std::string_view text) {
  // A leading =, +, - or @ would be run as a formula by spreadsheets.
  const bool formula =
      !text.empty() && std::string_view("=+-@").find(text.front()) != std::string_view::npos;
  if (!formula && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void append_json(std::string& out, const InferenceEvent& event) {
  ObjectWriter object(out);
  object.text("event_id", event.event_id);
  object.text("timestamp", format_rfc3339(event.timestamp));
  object.text("event_type", event.event_type);
  object.text("request_id", event.request_id);
  if ((event.trace_high | event.trace_low) != 0)
    object.text("trace_id", telemetry::trace_id_text({event.trace_high, event.trace_low}));
  object.text("org_id", event.org_id);
  object.text("user_id", event.user_id);
  object.text("api_key_prefix", event.api_key_prefix);
  object.text("task_type", event.task_type);
  object.text("task_id", event.task_id);
  object.text("model_used", event.model_selected);
  object.text("provider", event.provider);
  object.text("routing_mode", event.routing_mode);
  object.text("routing_reason", event.routing_reason);
  object.boolean("cache_hit", event.cache_hit);
  object.integer("cache_tier", event.cache_tier);
  if (event.cache_similarity > 0) object.decimal("cache_similarity", event.cache_similarity);
  object.integer("input_tokens", event.input_tokens);
  object.integer("output_tokens", event.output_tokens);
  object.integer("cached_input_tokens", event.cached_input_tokens);
  object.integer("reasoning_tokens", event.reasoning_tokens);
  object.integer("answer_input_tokens", event.answer_input_tokens);
  object.integer("answer_output_tokens", event.answer_output_tokens);
  object.integer("tokens_saved", event.tokens_saved);
  object.decimal("latency_ms", event.latency_ms);
  object.decimal("lookup_ms", event.lookup_ms);
  object.decimal("vendor_ms", event.vendor_ms);
  object.money("cost", event.cost);
  object.money("baseline_cost", event.baseline_cost);
  if (event.trim_savings.nanos != 0) object.money("token_savings", event.trim_savings);
  if (event.batching_savings.nanos != 0) object.money("batching_savings", event.batching_savings);
  object.decimal("quality_score", event.quality_score);
  if (event.hallucination) object.boolean("hallucination", *event.hallucination);
  object.boolean("fallback_used", event.fallback_used);
  object.boolean("streamed", event.streamed);
  object.integer("retry", event.retries);
  object.text("path", event.route);
  object.integer("status", event.http_status);
  object.text("error", event.error_code);
}

namespace {

/// Reads the flat objects that `append_json` writes (a field added there is added to `kFields`,
/// or every line takes the long way), without building a tree: the loader reads
/// every event that way. What it cannot read (escapes, exponents, other lines) is left to the full
/// parser.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : at_(line.data()), end_(at_ + line.size()) {}

  bool read(InferenceEvent& event) {
    if (!take('{')) return false;
    std::size_t next = 0;
    do {
      std::string_view key;
      if (!text(key) || !take(':')) return false;
      // Fields stand in the order in which they are written.
      std::size_t seen = 0;
      while (kFields[next].key != key) {
        if (++seen > kFieldCount) return false;
        next = (next + 1) % kFieldCount;
      }
      if (!kFields[next].read(*this, event)) return false;
      next = (next + 1) % kFieldCount;
    } while (take(','));
    return take('}') && at_ == end_ && !event.event_id.empty() && !event.request_id.empty() &&
           timed_;
  }

 private:
  struct Field {
    std::string_view key;
    bool (*read)(LineReader&, InferenceEvent&);
  };
  template <auto member>
  static bool text_field(LineReader& reader, InferenceEvent& event) {
    std::string_view value;
    if (!reader.text(value)) return false;
    event.*member = value;
    return true;
  }
  template <auto member>
  static bool number_field(LineReader& reader, InferenceEvent& event) {
    return reader.number(event.*member);
  }
  template <auto member>
  static bool money_field(LineReader& reader, InferenceEvent& event) {
    return reader.money(event.*member);
  }
  template <auto member>
  static bool boolean_field(LineReader& reader, InferenceEvent& event) {
    return reader.boolean(event.*member);
  }
  static bool hallucination_field(LineReader& reader, InferenceEvent& event) {
    return reader.boolean(event.hallucination.emplace());
  }
  /// Written for others, and not read back.
  static bool other_text(LineReader& reader, InferenceEvent&) {
    std::string_view value;
    return reader.text(value);
  }
  static bool other_number(LineReader& reader, InferenceEvent&) {
    std::int64_t value = 0;
    return reader.number(value);
  }
  static bool time_field(LineReader& reader, InferenceEvent& event) {
    std::string_view value;
    if (!reader.text(value)) return false;
    const auto time = parse_rfc3339(value);
    if (!time) return false;
    event.timestamp = *time;
    reader.timed_ = true;
    return true;
  }
  static constexpr std::size_t kFieldCount = 39;
  static const std::array<Field, kFieldCount> kFields;

  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool text(std::string_view& out) {
    if (!take('"')) return false;
    const char* const begin = at_;
    for (; at_ != end_ && *at_ != '"'; ++at_) {
      if (*at_ == '\\' || static_cast<unsigned char>(*at_) < 0x20) return false;
    }
    out = {begin, at_};
    return take('"');
  }
  template <class Number>
  bool number(Number& out) {
    const auto parsed = std::from_chars(at_, end_, out);
    if (parsed.ec != std::errc{}) return false;
    at_ = parsed.ptr;
    return true;
  }
  bool money(NanoUsd& out) {
    constexpr std::size_t kDecimals = 9;
    constexpr std::ptrdiff_t kMostDigits = 9;
    const bool negative = take('-');
    const char* const whole_begin = at_;
    std::int64_t nanos = 0;
    for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_) nanos = nanos * 10 + (*at_ - '0');
    if (at_ == whole_begin || at_ - whole_begin > kMostDigits) return false;
    std::size_t decimals = 0;
    if (take('.')) {
      for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_, ++decimals) {
        if (decimals == kDecimals) return false;
        nanos = nanos * 10 + (*at_ - '0');
      }
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) return false;
    for (; decimals < kDecimals; ++decimals) nanos *= 10;
    out = {negative ? -nanos : nanos};
    return true;
  }
  bool boolean(bool& out) {
    const std::string_view left(at_, end_);
    out = left.starts_with("true");
    if (!out && !left.starts_with("false")) return false;
    at_ += out ? 4 : 5;
    return true;
  }

  const char* at_;
  const char* end_;
  bool timed_ = false;
};

using Event = InferenceEvent;
constexpr std::array<LineReader::Field, LineReader::kFieldCount> LineReader::kFields = {{
    {"event_id", text_field<&Event::event_id>},
    {"timestamp", time_field},
    {"event_type", text_field<&Event::event_type>},
    {"request_id", text_field<&Event::request_id>},
    {"trace_id", LineReader::other_text},
    {"org_id", text_field<&Event::org_id>},
    {"user_id", text_field<&Event::user_id>},
    {"api_key_prefix", text_field<&Event::api_key_prefix>},
    {"task_type", text_field<&Event::task_type>},
    {"task_id", text_field<&Event::task_id>},
    {"model_used", text_field<&Event::model_selected>},
    {"provider", text_field<&Event::provider>},
    {"routing_mode", text_field<&Event::routing_mode>},
    {"routing_reason", text_field<&Event::routing_reason>},
    {"cache_hit", boolean_field<&Event::cache_hit>},
    {"cache_tier", number_field<&Event::cache_tier>},
    {"cache_similarity", number_field<&Event::cache_similarity>},
    {"input_tokens", number_field<&Event::input_tokens>},
    {"output_tokens", number_field<&Event::output_tokens>},
    {"cached_input_tokens", number_field<&Event::cached_input_tokens>},
    {"reasoning_tokens", number_field<&Event::reasoning_tokens>},
    {"answer_input_tokens", number_field<&Event::answer_input_tokens>},
    {"answer_output_tokens", number_field<&Event::answer_output_tokens>},
    {"tokens_saved", number_field<&Event::tokens_saved>},
    {"latency_ms", number_field<&Event::latency_ms>},
    {"lookup_ms", number_field<&Event::lookup_ms>},
    {"vendor_ms", number_field<&Event::vendor_ms>},
    {"cost", money_field<&Event::cost>},
    {"baseline_cost", money_field<&Event::baseline_cost>},
    {"token_savings", money_field<&Event::trim_savings>},
    {"batching_savings", money_field<&Event::batching_savings>},
    {"quality_score", number_field<&Event::quality_score>},
    {"hallucination", LineReader::hallucination_field},
    {"fallback_used", boolean_field<&Event::fallback_used>},
    {"streamed", boolean_field<&Event::streamed>},
    {"retry", number_field<&Event::retries>},
    {"path", text_field<&Event::route>},
    {"status", LineReader::other_number},
    {"error", text_field<&Event::error_code>},
}};

}  // namespace

Result<InferenceEvent> event_from_json(std::string_view line) {
  {
    InferenceEvent event;
    event.event_type.clear();
    const bool ascii =
        std::ranges::all_of(line, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if ((ascii || is_utf8(line)) && LineReader(line).read(event)) return event;
  }
  auto parsed = parse_json(line);
  if (!parsed || !parsed->is_object())
    return fail(Errc::kCorrupt, "the event line is not a JSON object");
  const json::object& object = parsed->get_object();
  InferenceEvent event;
  event.event_id = text_of(object, "event_id");
  event.request_id = text_of(object, "request_id");
  auto timestamp = parse_rfc3339(text_of(object, "timestamp"));
  if (event.event_id.empty() || event.request_id.empty() || !timestamp) {
    return fail(Errc::kCorrupt, "the event line lacks event_id, request_id or a valid timestamp");
  }
  event.timestamp = *timestamp;
  event.event_type = text_of(object, "event_type");
  event.org_id = text_of(object, "org_id");
  event.user_id = text_of(object, "user_id");
  event.api_key_prefix = text_of(object, "api_key_prefix");
  event.task_type = text_of(object, "task_type");
  event.task_id = text_of(object, "task_id");
  event.model_selected = text_of(object, "model_used");
  event.provider = text_of(object, "provider");
  event.routing_mode = text_of(object, "routing_mode");
  event.routing_reason = text_of(object, "routing_reason");
  event.cache_hit = boolean_of(object, "cache_hit");
  event.cache_tier = static_cast<int>(integer_of(object, "cache_tier"));
  event.cache_similarity = number_of(object, "cache_similarity");
  event.input_tokens = integer_of(object, "input_tokens");
  event.output_tokens = integer_of(object, "output_tokens");
  event.cached_input_tokens = integer_of(object, "cached_input_tokens");
  event.reasoning_tokens = integer_of(object, "reasoning_tokens");
  event.answer_input_tokens = integer_of(object, "answer_input_tokens");
  event.answer_output_tokens = integer_of(object, "answer_output_tokens");
  event.tokens_saved = integer_of(object, "tokens_saved");
  event.latency_ms = number_of(object, "latency_ms");
  event.lookup_ms = number_of(object, "lookup_ms");
  event.vendor_ms = number_of(object, "vendor_ms");
  event.cost = nano_usd_from_dollars(number_of(object, "cost"));
  event.baseline_cost = nano_usd_from_dollars(number_of(object, "baseline_cost"));
  event.trim_savings = nano_usd_from_dollars(number_of(object, "token_savings"));
  event.batching_savings = nano_usd_from_dollars(number_of(object, "batching_savings"));
  event.quality_score = number_of(object, "quality_score");
  if (const json::value* found = object.if_contains("hallucination"); found && found->is_bool())
    event.hallucination = found->get_bool();
  event.fallback_used = boolean_of(object, "fallback_used");
  event.streamed = boolean_of(object, "streamed");
  event.retries = static_cast<int>(integer_of(object, "retry"));
  event.route = text_of(object, "path");
  event.error_code = text_of(object, "error");
  return event;
}

std::string csv_header() {
  return "timestamp,request_id,event_type,org_id,user_id,task_type,model,provider,routing_mode,"
         "cache_hit,"
         "cache_tier,input_tokens,output_tokens,latency_ms,cost,baseline_cost,savings,fallback_"
         "used,streamed,"
         "error\r\n";
}

void append_csv(std::string& out, const InferenceEvent& event) {
  const auto text = [&](std::string_view value) {
    append_csv_field(out, value);
    out += ',';
  };
  text(format_rfc3339(event.timestamp));
  text(event.request_id);
  text(event.event_type);
  text(event.org_id);
  text(event.user_id);
  text(event.task_type);
  text(event.model_selected);
  text(event.provider);
  text(event.routing_mode);
  fmt::format_to(std::back_inserter(out), "{},{},{},{},{:.3f},{},{},{},{},{},", event.cache_hit,
                 event.cache_tier, event.input_tokens, event.output_tokens, event.latency_ms,
                 to_decimal(event.cost), to_decimal(event.baseline_cost),
                 to_decimal(event.savings()), event.fallback_used, event.streamed);
  append_csv_field(out, event.error_code);
  out += "\r\n";
}

}  // namespace asahi::gateway
