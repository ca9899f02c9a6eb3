#pragma once

#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "telemetry/trace_context.h"

namespace asahi::gateway {

/// Something that should not have happened, as it is told to an error tracker.
struct Fault {
  LogLevel level = LogLevel::kError;
  std::string type;     ///< what kind of thing it is: what an issue is called
  std::string message;  ///< what was said about it
  /// What it came of, the nearest first: "std::system_error: text", at most eight are told.
  std::vector<std::string> causes;
  std::string logger;       ///< who said it
  std::string transaction;  ///< "POST /infer", a task's name; empty: none
  std::string request_id;
  telemetry::TraceContext trace;
  std::vector<std::pair<std::string, std::string>> tags, extra;
  std::source_location where{};     ///< where the error was made; line 0: not known
  std::source_location given_up{};  ///< where it ended the request; line 0: not known
};

struct SentrySettings {
  std::string release, environment, server_name;
};

/// The event's JSON. Texts are cut at 2 KiB and personal data in them masked; users are not named.
std::string sentry_event(const Fault& fault, const SentrySettings& settings,
                         const std::string& event_id, Clock::Time now);
/// One event in an envelope (https://develop.sentry.dev/sdk/envelopes/).
std::string sentry_envelope(const std::string& event_id, Clock::Time now, const std::string& event);

}  // namespace asahi::gateway
