#pragma once

#include "memory/knowledge/knowledge.h"

/// Questions about numbers over time (spec/memory §6.1). Too little data is an answer, too: it has
/// `error`. Arguments, all of them checked:
namespace asahi::memory::knowledge {

/// One point {metric_name, value, system_id, timestamp?, metadata?}, or {points: [1 to 1000]}.
Result<json::object> add_metrics(Knowledge& knowledge, const Reach& reach,
                                 const json::object& arguments);
/// time_range_days (30; 1–365).
Result<json::object> system_metrics(Knowledge& knowledge, const Reach& reach,
                                    const json::object& arguments);
/// metric_name, system_id?, time_window_days (7; 1–90).
Result<json::object> trends(Knowledge& knowledge, const Reach& reach,
                            const json::object& arguments);
/// The same, threshold_std (3; 1–10), limit (10; 1–1000) of those listed.
Result<json::object> anomalies(Knowledge& knowledge, const Reach& reach,
                               const json::object& arguments);
/// metric_name, time_window_days (7; 1–90).
Result<json::object> correlations(Knowledge& knowledge, const Reach& reach,
                                  const json::object& arguments);
/// metric_name, entity_id? (a system), time_window_days (30; 1–90).
Result<json::object> changepoints(Knowledge& knowledge, const Reach& reach,
                                  const json::object& arguments);
/// metric_name, system_id?, start?, end? (the last 24 hours), interval (auto, 1m, 5m, 1h).
Result<json::object> timeseries(Knowledge& knowledge, const Reach& reach,
                                const json::object& arguments);

}  // namespace asahi::memory::knowledge
