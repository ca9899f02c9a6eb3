#include "gateway/traces/sentry_event.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_out.h"
#include "base/utf8.h"
#include "gateway/governance/guard/pii.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostText = 2'048;
constexpr std::size_t kMostTag = 200;

std::string scrubbed(std::string_view text, std::size_t most = kMostText) {
  std::string out = mended_utf8(text.substr(0, 4 * most));
  mask(out);
  if (out.size() > most) out = mended_utf8(out, most);
  return out;
}

std::string_view level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kCritical:
      break;
  }
  return "fatal";
}

/// Below src/, whatever the machine that built it.
std::string_view short_file(std::string_view path) {
  const std::size_t at = path.rfind("/src/");
  return at == std::string_view::npos ? path : path.substr(at + 1);
}

/// The causes of a fault, the farthest first, as Sentry orders a chain of exceptions.
void write_causes(JsonOut& out, const std::vector<std::string>& causes) {
  constexpr std::size_t kMost = 8;
  for (std::size_t i = std::min(causes.size(), kMost); i > 0; --i) {
    const std::string_view cause = causes[i - 1];
    // A type has no blanks; a text without one is all there is.
    const std::size_t colon = cause.find(": ");
    const bool typed = colon != std::string_view::npos && cause.find(' ') > colon;
    out.open_object()
        .member("type", scrubbed(typed ? cause.substr(0, colon) : "error", kMostTag))
        .member("value", scrubbed(typed ? cause.substr(colon + 2) : cause));
    out.key("mechanism").open_object().member("type", "chained").member("handled", true);
    out.close_object().close_object();
  }
}

}  // namespace

std::string sentry_event(const Fault& fault, const SentrySettings& settings,
                         const std::string& event_id, Clock::Time now) {
  std::string text;
  JsonOut out(text);
  out.open_object()
      .member("event_id", event_id)
      .member("timestamp", format_rfc3339(now))
      .member("platform", "native")
      .member("level", level_of(fault.level))
      .member("logger", fault.logger)
      .member("release", settings.release)
      .member("environment", settings.environment)
      .member("server_name", settings.server_name);
  if (!fault.transaction.empty()) out.member("transaction", scrubbed(fault.transaction, kMostTag));
  out.key("sdk").open_object().member("name", "asahi").member("version", ASAHI_VERSION);
  out.close_object();
  // Like with like, whatever ids and numbers the message holds.
  out.key("fingerprint").open_array().string(fault.logger).string(scrubbed(fault.type, kMostTag));
  out.string(scrubbed(fault.transaction, kMostTag)).close_array();
  out.key("exception").open_object().key("values").open_array();
  write_causes(out, fault.causes);
  out.open_object();
  out.member("type", scrubbed(fault.type, kMostTag)).member("value", scrubbed(fault.message));
  out.key("mechanism").open_object().member("type", "generic").member("handled", true);
  out.close_object();
  if (fault.where.line() > 0) {
    // The places an error is known to have been at, outermost first. What lay between is gone:
    // errors are values, and coroutines leave no stack.
    out.key("stacktrace").open_object().key("frames").open_array();
    for (const std::source_location& place : {fault.given_up, fault.where}) {
      if (place.line() == 0) continue;
      out.open_object()
          .member("function", place.function_name())
          .member("filename", short_file(place.file_name()))
          .member("lineno", std::int64_t{place.line()})
          .member("in_app", true);
      out.close_object();
    }
    out.close_array().close_object();
  }
  out.close_object().close_array().close_object();
  out.key("tags").open_object();
  if (!fault.request_id.empty()) out.member("request_id", fault.request_id);
  for (const auto& [name, value] : fault.tags) out.key(name).string(scrubbed(value, kMostTag));
  out.close_object();
  if (!fault.extra.empty()) {
    out.key("extra").open_object();
    for (const auto& [name, value] : fault.extra) out.key(name).string(scrubbed(value));
    out.close_object();
  }
  if ((fault.trace.trace_high | fault.trace.trace_low) != 0) {
    out.key("contexts").open_object().key("trace").open_object();
    out.member("trace_id", telemetry::trace_id_text(fault.trace))
        .member("span_id", telemetry::span_id_text(fault.trace.span != 0 ? fault.trace.span : 1));
    out.close_object().close_object();
  }
  out.close_object();
  return text;
}

std::string sentry_envelope(const std::string& event_id, Clock::Time now,
                            const std::string& event) {
  return fmt::format(
      "{{\"event_id\":\"{}\",\"sent_at\":\"{}\"}}\n"
      "{{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":{}}}\n{}\n",
      event_id, format_rfc3339(now), event.size(), event);
}

}  // namespace asahi::gateway
