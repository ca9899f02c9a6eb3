// The tools of graph and series (spec §2.4): the questions of memory/knowledge, with schemas.
#include <fmt/format.h>

#include <utility>

#include "memory/knowledge/graph_questions.h"
#include "memory/knowledge/series_questions.h"
#include "memory/mcp/tools.h"

namespace asahi::memory {
namespace {

using knowledge::Question;

constexpr std::string_view kMetric =
    R"("metric_name":{"type":"string","minLength":1,"maxLength":100,
       "description":"letters, digits, '_', ':' and '-'; get_system_metrics names them"})";
constexpr std::string_view kSystem =
    R"("system_id":{"type":"string","minLength":1,"maxLength":100})";
constexpr std::string_view kMoments =
    R"("as_of":{"type":"string","description":"what held at this moment, ISO 8601; now by default"},
       "known_at":{"type":"string","description":"what was believed at this moment"})";

std::string window(int days) {
  return fmt::format(
      R"("time_window_days":{{"type":"integer","minimum":1,"maximum":90,"default":{}}})", days);
}
std::string entity(std::string_view name) {
  return fmt::format(
      R"("{}":{{"type":"string","minLength":1,"maxLength":200,"description":"type:key"}})", name);
}

mcp::Tool tool(const SharedRouteParts& parts, std::string name, std::string title,
               std::string description, json::object input, Question question) {
  auto run = [parts, question, name](mcp::Call call, json::object arguments) -> Task<json::object> {
    if (parts->knowledge == nullptr)
      co_return fail(Errc::kUnavailable, "graph and series are not served by this process");
    co_return co_await parts->knowledge->ask(name, question, reach_of(call), std::move(arguments));
  };
  return {.name = std::move(name),
          .title = std::move(title),
          .description = std::move(description),
          .input_schema = std::move(input),
          .access = "query:search",
          .run = std::move(run)};
}

void add_series_tools(std::vector<mcp::Tool>& out, const SharedRouteParts& parts) {
  out.push_back(tool(parts, "get_system_metrics", "Metrics",
                     "What is measured: names of metrics, how many points, since when",
                     schema(R"({"time_range_days":{"type":"integer","minimum":1,"maximum":365,
                               "default":30}})",
                            {}),
                     knowledge::system_metrics));
  out.push_back(
      tool(parts, "analyze_trends", "Trend of a metric",
           "Whether a metric rises or falls, how much and how surely",
           schema(fmt::format("{{{},{},{}}}", kMetric, kSystem, window(7)), {"metric_name"}),
           knowledge::trends));
  out.push_back(tool(parts, "detect_anomalies", "Anomalies of a metric",
                     "Values further from the mean than so many standard deviations, the first 10",
                     schema(fmt::format(R"({{{},{},{},"threshold_std":{{"type":"number","minimum":1,
                              "maximum":10,"default":3}}}})",
                                        kMetric, kSystem, window(7)),
                            {"metric_name"}),
                     knowledge::anomalies));
  out.push_back(tool(parts, "correlate_systems", "Systems that move together",
                     "Which systems' values of a metric go up and down together, by hour",
                     schema(fmt::format("{{{},{}}}", kMetric, window(7)), {"metric_name"}),
                     knowledge::correlations));
  out.push_back(tool(parts, "analyze_changepoints", "Where a metric changes its way",
                     "Cuts a metric into stretches of one direction and says which are abrupt",
                     schema(fmt::format(R"({{{},{},"entity_id":{{"type":"string","minLength":1,
                              "maxLength":100,"description":"a system_id"}}}})",
                                        kMetric, window(30)),
                            {"metric_name"}),
                     knowledge::changepoints));
}

void add_graph_tools(std::vector<mcp::Tool>& out, const SharedRouteParts& parts) {
  out.push_back(tool(
      parts, "query_knowledge_graph", "What is known about an entity",
      "Neighbours of an entity (system:…, user:…, project:…, concept:…) with how they are related; "
      "facts: so many of the facts behind, each with the memory that states it",
      schema(fmt::format(R"({{{},"edge_type":{{"type":"string","minLength":1,"maxLength":64}},
               "limit":{{"type":"integer","minimum":1,"maximum":10000,"default":50}},
               "facts":{{"type":"integer","minimum":0,"maximum":1000,"default":0}},{},{}}})",
                         entity("entity_id"), kSystem, kMoments),
             {"entity_id"}),
      knowledge::neighbours));
  out.push_back(tool(parts, "find_path", "How two entities are connected",
                     "A shortest path between two entities, along edges in either direction",
                     schema(fmt::format(R"({{{},{},"max_hops":{{"type":"integer","minimum":1,
                              "maximum":10,"default":3}},{}}})",
                                        entity("source_id"), entity("target_id"), kMoments),
                            {"source_id", "target_id"}),
                     knowledge::path));
  out.push_back(tool(parts, "get_graph_statistics", "Size of the graph",
                     "Entities and edges by type", schema(fmt::format("{{{}}}", kMoments), {}),
                     knowledge::statistics));
  out.push_back(tool(parts, "detect_communities", "Groups in the graph",
                     "Entities that belong together more than with others, largest groups first",
                     schema(R"({"method":{"type":"string","enum":["louvain","label_propagation"],
                "default":"louvain"},
                "limit":{"type":"integer","minimum":1,"maximum":1000,"default":20},
                "members":{"type":"integer","minimum":1,"maximum":1000,"default":50}})",
                            {}),
                     knowledge::communities));
  out.push_back(tool(
      parts, "calculate_centrality", "What is central in the graph",
      "The entities that matter most, by one of four measures",
      schema(R"({"method":{"type":"string","enum":["betweenness","closeness","pagerank","degree"],
                "default":"pagerank"},
                "top_k":{"type":"integer","minimum":1,"maximum":1000,"default":20}})",
             {}),
      knowledge::centrality));
}

}  // namespace

std::vector<mcp::Tool> make_knowledge_tools(const SharedRouteParts& parts) {
  std::vector<mcp::Tool> out;
  add_series_tools(out, parts);
  add_graph_tools(out, parts);
  return out;
}

}  // namespace asahi::memory
