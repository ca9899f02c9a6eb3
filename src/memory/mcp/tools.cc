#include "memory/mcp/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "memory/embedding/choice.h"
#include "memory/http/stats_json.h"
#include "memory/ingest/push.h"
#include "memory/ingest/scan_requests.h"
#include "memory/ingest/worker.h"
#include "memory/measure/operation.h"

namespace asahi::memory {

json::object schema(std::string_view properties, std::initializer_list<std::string_view> required) {
  json::object result{{"type", "object"}, {"properties", json::parse(properties)}};
  json::array names;
  for (const std::string_view name : required) names.emplace_back(name);
  if (!names.empty()) result["required"] = std::move(names);
  result["additionalProperties"] = false;
  return result;
}

Clock::Steady deadline_of(const mcp::Call& call) {
  return call.http == nullptr ? std::chrono::steady_clock::now() + std::chrono::seconds(30)
                              : call.http->deadline;
}

namespace {

enum class Level { kMinimal, kStandard, kFull };

struct Leveled {
  Level level;
  mcp::Tool tool;
};

json::array numbers(const std::vector<float>& vector) {
  json::array list;
  list.reserve(vector.size());
  for (const float number : vector) list.emplace_back(static_cast<double>(number));
  return list;
}

constexpr std::string_view kText = R"("type":"string","minLength":1,"maxLength":10000)";

Task<json::object> embed(SharedRouteParts parts, mcp::Call call, std::vector<std::string> texts,
                         bool single) {
  ASAHI_CO_TRY(const auto made,
               co_await parts->embedder.embed(std::move(texts), llm::EmbedPurpose::kDocument,
                                              {.deadline = deadline_of(call)}));
  const std::string& tag = made.front().traits->tag;
  json::object result{{"mode", embedding_mode(tag)}, {"model", tag}};
  if (single) {
    result["embedding_dim"] = made.front().vector->size();
    result["embedding"] = numbers(*made.front().vector);
    co_return result;
  }
  json::array list;
  for (const llm::Embedded& one : made) list.push_back(numbers(*one.vector));
  result["count"] = made.size();
  result["embeddings"] = std::move(list);
  co_return result;
}

void add_embedding_tools(std::vector<Leveled>& tools, const SharedRouteParts& parts) {
  tools.push_back({Level::kStandard,
                   {.name = "generate_embedding",
                    .title = "Embed a text",
                    .description = "The vector of a text, as memories are compared by",
                    .input_schema = schema(fmt::format(R"({{"text":{{{}}}}})", kText), {"text"}),
                    .access = "query:search",
                    .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
                      std::vector<std::string> texts{std::string(arguments.at("text").as_string())};
                      return embed(parts, call, std::move(texts), true);
                    }}});
  tools.push_back(
      {Level::kStandard,
       {.name = "generate_batch_embeddings",
        .title = "Embed many texts",
        .description = "The vectors of 1 to 1,000 texts with at most 1,000,000 characters in all",
        .input_schema = schema(
            fmt::format(R"({{"texts":{{"type":"array","items":{{{}}},"minItems":1,"maxItems":1000}},
                "batch_size":{{"type":"integer","minimum":1,"maximum":128,"default":32}}}})",
                        kText),
            {"texts"}),
        .access = "query:search",
        .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
          constexpr std::size_t kMost = 1'000'000;
          std::vector<std::string> texts;
          std::size_t all = 0;
          for (const json::value& text : arguments.at("texts").as_array()) {
            texts.emplace_back(text.as_string());
            all += texts.back().size();
          }
          if (all > kMost) {
            co_return fail_field(
                "texts", fmt::format("the texts have {} bytes together; at most {}", all, kMost));
          }
          co_return co_await embed(parts, call, std::move(texts), false);
        }}});
}

Task<json::object> search_all(SharedRouteParts parts, mcp::Call call, json::object arguments) {
  // A semantic search has its threshold, the others rank what they find.
  if (const json::value* threshold = arguments.if_contains("threshold");
      threshold != nullptr && threshold->is_null()) {
    arguments.erase("threshold");
  }
  const Reach reach = reach_of(call);
  ASAHI_CO_TRY(SearchRequest request,
               parse_search(arguments, parts->search.options().limits, reach));
  if (parts->security != nullptr && call.http != nullptr)
    parts->security->inspect(*call.http, "query", request.text);
  ASAHI_CO_TRY(const std::string reply, co_await parts->search.search(reach, std::move(request)));
  ASAHI_CO_TRY(json::value parsed, parse_json(reply));
  co_return std::move(parsed.as_object());
}

void add_search_tools(std::vector<Leveled>& tools, const SharedRouteParts& parts) {
  tools.push_back(
      {Level::kStandard,
       {.name = "search_all_systems",
        .title = "Search memories",
        .description = "Finds memories of all agent systems by meaning and by words; says of each "
                       "result why it is there",
        .input_schema = schema(
            R"({"query":{"type":"string","minLength":1,"maxLength":1000},
                "limit":{"type":"integer","minimum":1,"maximum":1000,"default":10},
                "threshold":{"type":["number","null"],"minimum":-1,"maximum":1,
                  "description":"least similarity; semantic searches that name none ask for 0.7"},
                "mode":{"type":"string","enum":["semantic","keyword","hybrid"],"default":"hybrid"},
                "system_id":{"type":"string","minLength":1,"maxLength":100}})",
            {"query"}),
        .access = "query:search",
        .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
          return search_all(parts, call, std::move(arguments));
        }}});
}

using PushCall = Task<PushReply> (Push::*)(PushCaller, std::string);

Task<PushReply> push(SharedRouteParts parts, mcp::Call call, PushCall how, json::object arguments) {
  PushCaller caller{.reach = reach_of(call), .method = "mcp_push", .deadline = deadline_of(call)};
  co_return co_await (parts->push->*how)(std::move(caller), json::serialize(arguments));
}

constexpr std::string_view kMemory = R"(
    "memory_id":{"type":"string","minLength":1,"maxLength":200},
    "text":{"type":"string","minLength":1},
    "system_id":{"type":"string","minLength":1,"maxLength":100},
    "embedding":{"type":"array","items":{"type":"number"}},
    "timestamp":{"type":"string"},
    "metadata":{"type":"object"})";

json::array errors_of(const PushReply& reply) {
  json::array errors;
  for (const PushedItem& item : reply.items) {
    if (!item.bad) continue;
    errors.push_back(json::object{
        {"index", item.index}, {"field", item.bad->field}, {"message", item.bad->detail}});
  }
  return errors;
}

void add_push_tools(std::vector<Leveled>& tools, const SharedRouteParts& parts) {
  tools.push_back(
      {Level::kStandard,
       {.name = "store_memory",
        .title = "Store a memory",
        .description = "Stores one memory; storing the same again changes nothing. The system is "
                       "system_id, or is named after metadata.source",
        .input_schema = schema(fmt::format("{{{}}}", kMemory), {"memory_id", "text"}),
        .read_only = false,
        .access = "ingest:upload",
        .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
          ASAHI_CO_TRY(const PushReply reply,
                       co_await push(parts, call, &Push::memory, std::move(arguments)));
          const PushedItem& item = reply.items.front();
          co_return json::object{
              {"status", item.bad ? "failed" : "stored"},
              {"outcome", item.outcome ? json::value(outcome_name(*item.outcome)) : nullptr},
              {"errors", errors_of(reply)},
              {"stored_at", format_rfc3339(reply.stored_at)}};
        }}});
  tools.push_back(
      {Level::kStandard,
       {.name = "batch_store_memories",
        .title = "Store many memories",
        .description = "Stores 1 to 1,000 memories; a bad one does not touch the others",
        .input_schema =
            schema(fmt::format(R"({{"memories":{{"type":"array","minItems":1,"maxItems":1000,
                "items":{{"type":"object","properties":{{{}}}}}}}}})",
                               kMemory),
                   {"memories"}),
        .read_only = false,
        .access = "ingest:upload",
        .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
          const std::size_t total = arguments.at("memories").as_array().size();
          ASAHI_CO_TRY(const PushReply reply,
                       co_await push(parts, call, &Push::memories, std::move(arguments)));
          const json::array errors = errors_of(reply);
          co_return json::object{{"status", errors.empty()          ? "completed"
                                            : errors.size() < total ? "partial"
                                                                    : "failed"},
                                 {"total", total},
                                 {"stored", total - errors.size()},
                                 {"failed", errors.size()},
                                 {"errors", errors}};
        }}});
}

void add_status_tools(std::vector<Leveled>& tools, const SharedRouteParts& parts) {
  tools.push_back({Level::kStandard,
                   {.name = "get_storage_status",
                    .title = "Tiers",
                    .description = "Memories, bytes and times of each tier",
                    .input_schema = schema("{}", {}),
                    .access = "system:status",
                    .run = [parts](mcp::Call call, json::object) -> Task<json::object> {
                      co_return co_await storage_json(*parts, reach_of(call));
                    }}});
  tools.push_back(
      {Level::kFull,
       {.name = "akosha_start_ingestion",
        .title = "Look for uploads",
        .description = "Looks into the bucket for new uploads now",
        .input_schema = schema(
            R"({"source_system":{"type":"string"},
                "priority":{"type":"string","enum":["normal","high"],"default":"normal"}})",
            {}),
        .read_only = false,
        .access = "ingest:upload",
        .run = [parts](mcp::Call call, json::object arguments) -> Task<json::object> {
          std::string system;
          if (const json::value* named = arguments.if_contains("source_system")) {
            system = std::string(named->as_string());
            if (auto ok = check_system_id(system); !ok) co_return std::unexpected(ok.error());
          }
          if (auto ok = check_scan(reach_of(call), system); !ok)
            co_return std::unexpected(ok.error());
          if (parts->worker == nullptr ? parts->scans == nullptr : !parts->has_bucket)
            co_return fail(Errc::kUnavailable, "no bucket is configured");
          const auto priority =
              arguments.at("priority") == "high" ? UploadPriority::kHigh : UploadPriority::kNormal;
          if (parts->worker == nullptr) {
            ASAHI_CO_TRY(std::string job, co_await parts->scans->ask(priority, std::move(system)));
            co_return json::object{{"status", "queued"}, {"job_id", std::move(job)}};
          }
          std::string id = parts->worker->trigger(priority, std::move(system));
          co_return json::object{{"status", "triggered"}, {"job_id", std::move(id)}};
        }}});
}

void add_health_tools(std::vector<Leveled>& tools, const HealthTools& health) {
  tools.push_back({Level::kMinimal,
                   {.name = "get_liveness",
                    .title = "Alive?",
                    .description = "Answers as long as the process runs",
                    .input_schema = schema("{}", {}),
                    .run = [](mcp::Call, json::object) -> Task<json::object> {
                      co_return json::object{{"status", "alive"}};
                    }}});
  for (const char* name : {"get_readiness", "akosha_health_check"}) {
    tools.push_back({Level::kMinimal,
                     {.name = name,
                      .title = "Ready?",
                      .description = "Whether the memory can work, and how its dependencies are",
                      .input_schema = schema("{}", {}),
                      .run = [health](mcp::Call, json::object) -> Task<json::object> {
                        co_return co_await health.readiness();
                      }}});
  }
  tools.push_back({Level::kMinimal,
                   {.name = "akosha_get_metrics",
                    .title = "Figures",
                    .description = "The counters and gauges of the memory",
                    .input_schema = schema("{}", {}),
                    .access = "system:status",
                    .run = [health](mcp::Call call, json::object) -> Task<json::object> {
                      const bool all = call.http == nullptr || operates(*call.http);
                      co_return json::object{{"metrics", health.metrics(all)}};
                    }}});
}

Level level_of(std::string_view profile) {
  if (profile == "minimal") return Level::kMinimal;
  return profile == "standard" ? Level::kStandard : Level::kFull;
}

bool mentions(const mcp::Tool& tool, std::string_view query) {
  const auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  const std::string wanted = lower(std::string(query));
  return lower(tool.name + " " + tool.title + " " + tool.description).find(wanted) !=
         std::string::npos;
}

}  // namespace

namespace {

/// Calls of a tool and their errors are counted: operation_type is its name.
void count_calls(mcp::Tool& tool, const SharedRouteParts& parts) {
  tool.run = [run = std::move(tool.run), operation = Operation(parts->metrics, tool.name), parts](
                 mcp::Call call, json::object arguments) -> Task<json::object> {
    const Clock::Steady begun = parts->clock.steady_now();
    auto result = co_await run(std::move(call), std::move(arguments));
    operation.ended(result.has_value(), parts->clock.steady_now() - begun);
    if (!result) count_error(parts->metrics, parts->clock, Part::kMcpServer, result.error());
    co_return result;
  };
}

}  // namespace

std::vector<mcp::Tool> make_tools(SharedRouteParts parts, std::string_view profile,
                                  const HealthTools& health) {
  std::vector<Leveled> all;
  add_search_tools(all, parts);
  add_push_tools(all, parts);
  add_embedding_tools(all, parts);
  add_status_tools(all, parts);
  add_health_tools(all, health);
  for (mcp::Tool& tool : make_dependency_tools(health.services))
    all.push_back({Level::kMinimal, std::move(tool)});
  for (mcp::Tool& tool : make_knowledge_tools(parts))
    all.push_back({Level::kFull, std::move(tool)});
  for (mcp::Tool& tool : make_fitness_tools(parts)) all.push_back({Level::kFull, std::move(tool)});
  for (Leveled& one : all) count_calls(one.tool, parts);
  const Level level = level_of(profile);
  std::vector<mcp::Tool> offered, others;
  for (Leveled& one : all) (one.level <= level ? offered : others).push_back(std::move(one.tool));
  offered.push_back(
      {.name = "discover_tools",
       .title = "Tools",
       .description = "What tools there are, by a word of their name or description",
       .input_schema = schema(R"({"query":{"type":"string","maxLength":200}})", {}),
       .run = [loaded = offered, others, name = std::string(profile)](
                  mcp::Call, json::object arguments) -> Task<json::object> {
         std::string query;
         if (const json::value* given = arguments.if_contains("query"))
           query = std::string(given->as_string());
         const auto names = [&](const std::vector<mcp::Tool>& list) {
           json::array found;
           for (const mcp::Tool& tool : list) {
             if (!mentions(tool, query)) continue;
             found.push_back(json::object{{"name", tool.name}, {"description", tool.description}});
           }
           return found;
         };
         co_return json::object{{"profile", name},
                                {"loaded", names(loaded)},
                                {"not_loaded", names(others)},
                                {"hint", "AKOSHA_TOOL_PROFILE=full offers all"}};
       }});
  return offered;
}

}  // namespace asahi::memory
