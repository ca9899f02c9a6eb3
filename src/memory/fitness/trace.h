#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "memory/model/reach.h"

namespace asahi::memory::fitness {

/// The classes of work that routers choose for (spec/memory §6.4); traces may have others.
inline constexpr std::array<std::string_view, 5> kTaskClasses = {"code_generation", "reasoning",
                                                                 "swarm", "quick", "documentation"};

/// One piece of work that an agent system did.
struct Trace {
  std::string system_id;
  std::string trace_id;    ///< 1 to 128 bytes; the same twice is one trace
  std::string task_class;  ///< 1 to 50 of [A-Za-z0-9_]
  std::string selector;    ///< who or what was chosen for it: 1 to 100 bytes
  Clock::Time started_at{};
  std::chrono::microseconds latency{0};
  bool failed = false;
  std::string metadata = "{}";  ///< a JSON object of at most 4096 bytes
  bool operator==(const Trace&) const = default;
};

inline constexpr std::size_t kMostTraces = 1'000;  ///< in one request

/// A trace as somebody reports it: system_id, task_class, selector, latency_ms (0 to a day),
/// outcome (success, failure), trace_id? (else a new one), started_at? (else `now` less the
/// latency; not older than `oldest`, at most 5 minutes ahead), metadata?. Errors: invalid_argument
/// with the field, forbidden (a system beyond reach).
Result<Trace> parse_trace(const json::object& given, const Reach& reach, Clock::Time now,
                          Clock::Time oldest);
/// {"trace_id", "system_id", "task_class", "selector", "started_at", "latency_ms", "outcome",
/// "metadata"}.
json::object to_json(const Trace& trace);

}  // namespace asahi::memory::fitness
