#include "memory/knowledge/knowledge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "memory/knowledge/adjacency.h"
#include "memory/knowledge/answer_metrics.h"
#include "memory/knowledge/graph_questions.h"
#include "memory/measure/operation.h"

namespace asahi::memory::knowledge {

namespace {

/// Seconds.
const std::vector<double> kSeconds = {.001, .005, .01, .05, .1, .5, 1, 2, 5, 10};

/// By the tool's name or the route; the others are of series.
bool is_of_graph(std::string_view kind) {
  constexpr std::array<std::string_view, 6> kSeries = {"trend",       "anomal",    "correlat",
                                                       "changepoint", "analytics", "metric"};
  return std::ranges::none_of(kSeries,
                              [kind](std::string_view word) { return kind.contains(word); });
}

}  // namespace

Knowledge::Knowledge(sql::Database& db, const Clock& clock, telemetry::Registry& metrics,
                     GraphStore::Options graph, Options options)
    : clock_(clock),
      metrics_(metrics),
      options_(options),
      graph_(db, clock, graph),
      series_(db, clock, {.kept = options.series_kept}),
      pool_(options.threads) {}

Knowledge::~Knowledge() { pool_.join(); }

std::unexpected<Error> Knowledge::busy() const {
  auto failure = fail(Errc::kUnavailable,
                      fmt::format("{} questions about graph and series wait already; ask again in "
                                  "a second",
                                  options_.most_waiting));
  failure.error().retry_after = std::chrono::milliseconds{1'000};
  return failure;
}

Task<json::object> Knowledge::ask(std::string_view kind, Question question, Reach reach,
                                  json::object arguments) {
  const Clock::Steady begun = clock_.steady_now();
  Result<json::object> answer;
  if (options_.adjacency != nullptr && question == &neighbours) {
    answer = co_await ask_around(std::move(reach), std::move(arguments));
  } else {
    answer =
        co_await run([this, question, reach = std::move(reach), arguments = std::move(arguments)] {
          return question(*this, reach, arguments);
        });
  }
  metrics_
      .histogram("akosha_knowledge_graph_query_duration_seconds",
                 "Time of questions about graph and series, waiting included", kSeconds,
                 {{"query_type", std::string(kind)}})
      .observe(std::chrono::duration<double>(clock_.steady_now() - begun).count());
  count_answer(metrics_, kind, answer);
  if (is_of_graph(kind)) {
    metrics_
        .counter("akosha_query_requests_total", "Searches",
                 {{"query_type", "graph"}, {"status", answer ? "success" : "error"}})
        .add();
    metrics_
        .histogram("akosha_query_duration_seconds", "Time of searches", query_seconds(),
                   {{"query_type", "graph"}})
        .observe(std::chrono::duration<double>(clock_.steady_now() - begun).count());
  }
  co_return answer;
}

Task<json::object> Knowledge::ask_around(Reach reach, json::object arguments) {
  Adjacency& adjacency = *options_.adjacency;
  struct Read {
    Result<json::object> answer;
    GraphStore::State state = {};
    std::string lines = {};  ///< to keep; empty: nothing
  };
  const std::string& tenant = reach.tenant();
  ASAHI_CO_TRY(const GraphStore::State state,
               co_await run([this, tenant] { return graph_.state(tenant); }));
  const json::value* const named = arguments.if_contains("entity_id");
  std::string entity;
  if (named != nullptr && named->is_string()) entity = std::string(named->get_string());
  cache::Bytes kept;
  const bool looks_around = !state.loaded && graph::check_entity_id(entity).has_value();
  if (looks_around) kept = co_await adjacency.find(tenant, state, entity);
  ASAHI_CO_TRY(Read read, co_await run([&, this, looks_around]() -> Result<Read> {
                 if (looks_around && kept != nullptr) {
                   const auto around = from_lines(*kept);
                   if (around) {
                     ASAHI_TRY(auto answer, neighbours_around(*this, reach, arguments, *around));
                     if (answer) return Read{.answer = *std::move(answer)};
                     adjacency.needed_all();
                     return Read{.answer = neighbours(*this, reach, arguments)};
                   }
                   adjacency.broken(around.error());
                 }
                 if (looks_around) {
                   ASAHI_TRY(const auto around, graph_.around(tenant, entity));
                   if (around) {
                     ASAHI_TRY(auto answer,
                               neighbours_around(*this, reach, arguments, around->graph));
                     // Who asks for what there is not fills no cache.
                     const bool keeps = around->graph.stored_entity(entity).has_value();
                     if (answer) {
                       return Read{*std::move(answer), around->state,
                                   keeps ? to_lines(around->graph) : std::string()};
                     }
                   }
                   adjacency.needed_all();
                 }
                 return Read{.answer = neighbours(*this, reach, arguments)};
               }));
  if (!read.lines.empty())
    co_await adjacency.keep(tenant, std::move(entity), read.state, std::move(read.lines));
  co_return std::move(read.answer);
}

Task<std::size_t> Knowledge::forget(Key key) {
  co_return co_await run([this, key = std::move(key)] {
    return graph_.forget(key.tenant, {{key.system_id, key.conversation_id}});
  });
}

Task<std::size_t> Knowledge::forget_system(std::string tenant, std::string system_id) {
  co_return co_await run([this, tenant = std::move(tenant), system_id = std::move(system_id)] {
    return graph_.forget_system(tenant, system_id);
  });
}

Result<json::object> Knowledge::answer(const std::string& key,
                                       const std::function<Result<json::object>()>& make) {
  const Clock::Steady now = clock_.steady_now();
  {
    const std::lock_guard lock(mutex_);
    const auto at = answers_.find(key);
    if (at != answers_.end() && now < at->second.until) return at->second.answer;
  }
  ASAHI_TRY(json::object made, make());
  const std::lock_guard lock(mutex_);
  if (const auto at = answers_.find(key); at != answers_.end()) {
    order_.erase(at->second.place);
    answers_.erase(at);
  }
  while (answers_.size() >= options_.most_answers) {
    answers_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(key);
  answers_.emplace(key, Kept{made, now + options_.answer_life, std::prev(order_.end())});
  return made;
}

}  // namespace asahi::memory::knowledge
