// The tools of traces and routing fitness (spec §2.4): the questions of memory/fitness, with
// schemas.
#include <fmt/format.h>

#include <utility>

#include "memory/fitness/questions.h"
#include "memory/mcp/tools.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kSystem =
    R"("system_id":{"type":"string","minLength":1,"maxLength":100})";
constexpr std::string_view kClass =
    R"("task_class":{"type":"string","minLength":1,"maxLength":50,
       "description":"code_generation, reasoning, swarm, quick, documentation, or another"})";

mcp::Tool tool(const SharedRouteParts& parts, std::string name, std::string title,
               std::string description, json::object input, std::string access,
               fitness::Question question) {
  auto run = [parts, question](mcp::Call call, json::object arguments) -> Task<json::object> {
    if (parts->fitness == nullptr)
      co_return fail(Errc::kUnavailable, "traces are not served by this process");
    co_return co_await question(*parts->fitness, reach_of(call), std::move(arguments));
  };
  return {.name = std::move(name),
          .title = std::move(title),
          .description = std::move(description),
          .input_schema = std::move(input),
          .read_only = access != "ingest:upload",
          .access = std::move(access),
          .run = std::move(run)};
}

}  // namespace

std::vector<mcp::Tool> make_fitness_tools(const SharedRouteParts& parts) {
  std::vector<mcp::Tool> tools;
  tools.push_back(
      tool(parts, "record_trace", "Report a piece of work",
           "Tells of one piece of work: its class, who or what was selected for it, how long it "
           "took and whether it succeeded; the same trace_id again changes nothing",
           schema(fmt::format(R"({{{},{},"selector":{{"type":"string","minLength":1,"maxLength":100,
                    "description":"the model, agent or route that was chosen"}},
                    "latency_ms":{{"type":"number","minimum":0,"maximum":86400000}},
                    "outcome":{{"type":"string","enum":["success","failure"]}},
                    "trace_id":{{"type":"string","minLength":1,"maxLength":128}},
                    "started_at":{{"type":"string","description":"ISO 8601; by default now less the latency"}},
                    "metadata":{{"type":"object"}}}})",
                              kSystem, kClass),
                  {"system_id", "task_class", "selector", "latency_ms", "outcome"}),
           "ingest:upload", fitness::record));
  tools.push_back(
      tool(parts, "query_local_traces", "Pieces of work of a system",
           "What a system reported of its work, the latest first",
           schema(fmt::format(R"({{{},{},"start_time":{{"type":"string","description":"ISO 8601"}},
                    "end_time":{{"type":"string","description":"ISO 8601, not included"}},
                    "limit":{{"type":"integer","minimum":1,"maximum":1000,"default":100}}}})",
                              kSystem, kClass),
                  {"system_id"}),
           "query:search", fitness::local_traces));
  tools.push_back(tool(parts, "run_fitness_analysis", "Find out who does well at what",
                       "Asks the configured components for their traces of the last hour now: "
                       "score, failure rate and 99th percentile by class and selector",
                       schema("{}", {}), "ingest:upload", fitness::run_analysis));
  tools.push_back(tool(parts, "get_fitness_analyzer_status", "How the fitness loop stands",
                       "Which components are asked, how they are, when they were asked last",
                       schema("{}", {}), "system:status", fitness::status));
  return tools;
}

}  // namespace asahi::memory
