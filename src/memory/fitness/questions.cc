#include "memory/fitness/questions.h"

#include <fmt/format.h>

#include <utility>

#include "memory/knowledge/arguments.h"

namespace asahi::memory::fitness {
namespace {

constexpr std::size_t kMostClass = 50;

Result<std::vector<Trace>> parse_traces(const Fitness& fitness, const Reach& reach,
                                        const json::object& given) {
  const Clock::Time now = fitness.clock.now(), oldest = fitness.traces.oldest(now);
  std::vector<Trace> out;
  const json::value* const many = given.if_contains("traces");
  if (many == nullptr) {
    ASAHI_TRY(Trace one, parse_trace(given, reach, now, oldest));
    out.push_back(std::move(one));
    return out;
  }
  if (given.size() > 1)
    return fail_field("traces", "give either traces or the fields of one trace");
  const json::array* const list = many->if_array();
  if (list == nullptr || list->empty() || list->size() > kMostTraces)
    return fail_field("traces", fmt::format("expected a list of 1 to {} traces", kMostTraces));
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::object* const one = (*list)[i].if_object();
    if (one == nullptr) return fail_field(fmt::format("traces[{}]", i), "expected an object");
    auto trace = parse_trace(*one, reach, now, oldest);
    if (!trace) {
      trace.error().field = fmt::format("traces[{}].{}", i, trace.error().field);
      return std::unexpected(trace.error());
    }
    out.push_back(std::move(*trace));
  }
  return out;
}

Result<void> nothing_else(const json::object& given) { return knowledge::Arguments(given).done(); }

}  // namespace

Task<json::object> record(const Fitness& fitness, Reach reach, json::object arguments) {
  ASAHI_CO_TRY(std::vector<Trace> traces, parse_traces(fitness, reach, arguments));
  json::array ids;
  for (const Trace& trace : traces) ids.emplace_back(trace.trace_id);
  ASAHI_CO_TRY(const TraceStore::Added added,
               co_await fitness.traces.add(reach.tenant(), std::move(traces)));
  co_return json::object{{"status", "success"},
                         {"stored", added.stored},
                         {"unchanged", added.unchanged},
                         {"trace_ids", std::move(ids)}};
}

Task<json::object> local_traces(const Fitness& fitness, Reach reach, json::object given) {
  knowledge::Arguments arguments(given);
  TraceQuery query{.tenant = reach.tenant()};
  if (!arguments.has("system_id")) arguments.fault("system_id", "system_id is missing");
  query.system_id = arguments.system_within(reach);
  query.task_class = arguments.text("task_class", {}, kMostClass);
  query.from = arguments.time("start_time");
  query.to = arguments.time("end_time");
  query.limit = static_cast<std::size_t>(
      arguments.whole("limit", 100, 1, static_cast<std::int64_t>(kMostTraces)));
  if (query.from && query.to && *query.from >= *query.to)
    arguments.fault("end_time", "end_time must be after start_time");
  if (auto ok = arguments.done(); !ok) co_return std::unexpected(ok.error());
  const std::string system = query.system_id;
  ASAHI_CO_TRY(const std::vector<Trace> found, co_await fitness.traces.find(std::move(query)));
  json::array list;
  for (const Trace& trace : found) list.push_back(to_json(trace));
  co_return json::object{
      {"system_id", system}, {"total", found.size()}, {"traces", std::move(list)}};
}

Task<json::object> figures(const Fitness& fitness, Reach reach, json::object given) {
  if (auto ok = reach.check_whole("routing fitness"); !ok) co_return std::unexpected(ok.error());
  knowledge::Arguments arguments(given);
  std::string task_class = arguments.text("task_class", {}, kMostClass);
  if (auto ok = arguments.done(); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const std::vector<Written> found,
               co_await fitness.figures.list(reach.tenant(), std::move(task_class)));
  const Clock::Time now = fitness.clock.now();
  json::array list;
  for (const Written& one : found) {
    json::object row = to_json(one.figure);
    row["from"] = format_rfc3339(one.from);
    row["computed_at"] = format_rfc3339(one.computed_at);
    // Nobody has told anything of it in all of the time that a figure is of.
    row["stale"] = now - one.computed_at > fitness.analyzer.options().window;
    list.push_back(std::move(row));
  }
  co_return json::object{{"total", found.size()},
                         {"window_minutes", fitness.analyzer.options().window.count()},
                         {"fitness", std::move(list)}};
}

Task<json::object> run_analysis(const Fitness& fitness, Reach reach, json::object arguments) {
  if (auto ok = reach.check_whole("routing fitness"); !ok) co_return std::unexpected(ok.error());
  if (auto ok = nothing_else(arguments); !ok) co_return std::unexpected(ok.error());
  if (!fitness.analyzer.status(reach.tenant()).at("enabled").as_bool())
    co_return json::object{{"status", "disabled"},
                           {"error", "no component is configured: memory.fitness.components"}};
  const Analyzer::Round round = co_await fitness.analyzer.run_round(reach.tenant());
  if (!round.ran) co_return json::object{{"status", "already_running"}};
  json::array list;
  for (const Figure& figure : round.figures) list.push_back(to_json(figure));
  co_return json::object{{"status", round.failed == 0             ? "completed"
                                    : round.failed < round.polled ? "partial"
                                                                  : "failed"},
                         {"components_polled", round.polled},
                         {"components_failed", round.failed},
                         {"samples", round.samples},
                         {"malformed", round.malformed},
                         {"written", round.written},
                         {"buffered", round.buffered},
                         {"fitness", std::move(list)}};
}

Task<json::object> status(const Fitness& fitness, Reach reach, json::object arguments) {
  if (auto ok = reach.check_whole("routing fitness"); !ok) co_return std::unexpected(ok.error());
  if (auto ok = nothing_else(arguments); !ok) co_return std::unexpected(ok.error());
  co_return fitness.analyzer.status(reach.tenant());
}

}  // namespace asahi::memory::fitness
