#pragma once

#include "base/json.h"
#include "base/task.h"
#include "memory/fitness/analyzer.h"
#include "memory/fitness/fitness_store.h"
#include "memory/fitness/trace_store.h"
#include "memory/model/reach.h"

namespace asahi::memory::fitness {

/// Traces and figures to ask; all outlive it.
struct Fitness {
  TraceStore& traces;
  FitnessStore& figures;
  Analyzer& analyzer;
  const Clock& clock;
};

/// One question with its answer, the same for HTTP and MCP. Errors: invalid_argument with the
/// field, forbidden (a system beyond reach; what is about all systems), those of the database.
using Question = Task<json::object> (*)(const Fitness& fitness, Reach reach,
                                        json::object arguments);

/// A trace (parse_trace), or "traces": 1 to 1000 of them, all or nothing.
Task<json::object> record(const Fitness& fitness, Reach reach, json::object arguments);
/// system_id, start_time?, end_time?, task_class?, limit (100; 1–1000): the latest first.
Task<json::object> local_traces(const Fitness& fitness, Reach reach, json::object arguments);
/// task_class?: figures of the organisation, the best of each class first.
Task<json::object> figures(const Fitness& fitness, Reach reach, json::object arguments);
/// Asks the organisation's components now. A round that is under way is told, not doubled.
Task<json::object> run_analysis(const Fitness& fitness, Reach reach, json::object arguments);
/// Which components, how they are, when they were asked last.
Task<json::object> status(const Fitness& fitness, Reach reach, json::object arguments);

}  // namespace asahi::memory::fitness
