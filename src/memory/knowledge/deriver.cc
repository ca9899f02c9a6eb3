#include "memory/knowledge/deriver.h"
#include "memory/measure/errors.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <tuple>

#include "base/log.h"
#include "base/scheduling.h"
#include "memory/graph/extract.h"

namespace asahi::memory::knowledge {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{500};
constexpr std::chrono::seconds kSizeEvery{5};
constexpr int kNice = 5;
/// Of what reading a page took, where others wanted the processors meanwhile.
constexpr double kRest = 10;

const Logger& logger() {
  static const Logger instance("memory.knowledge");
  return instance;
}

std::int64_t to_ms(Clock::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}

double norm_of(const std::vector<float>& vector) {
  double sum = 0;
  for (const float number : vector)
    sum += static_cast<double>(number) * static_cast<double>(number);
  return std::sqrt(sum);
}

}  // namespace

Deriver::Deriver(Parts parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      learned_(parts.metrics.counter("akosha_knowledge_graph_memories_total",
                                     "Memories whose facts were derived", {{"status", "success"}})),
      refused_(parts.metrics.counter("akosha_knowledge_graph_memories_total",
                                     "Memories whose facts were derived", {{"status", "refused"}})),
      behind_(parts.metrics.gauge("akosha_knowledge_graph_behind_writings",
                                  "Writings of the hot tier that are not derived yet")),
      entities_(parts.metrics.gauge("akosha_knowledge_graph_entities_total",
                                    "Entities of all tenants' graphs")),
      relationships_(parts.metrics.gauge("akosha_knowledge_graph_relationships_total",
                                         "Edges of all tenants' graphs")),
      all_entities_(parts.metrics.gauge("kg_entities_total", "Entities of all tenants' graphs")),
      all_edges_(parts.metrics.gauge("kg_edges_total", "Edges of all tenants' graphs")),
      added_entities_(
          parts.metrics.counter("kg_entities_added_total", "Entities by which graphs have grown")),
      added_edges_(
          parts.metrics.counter("kg_edges_added_total", "Edges by which graphs have grown")) {}

Deriver::~Deriver() { stop(); }

void Deriver::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

void Deriver::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

Result<void> Deriver::find_place() {
  ASAHI_TRY(const MemoryFeed::Place feed, parts_.feed.place());
  ASAHI_TRY(
      const sql::Rows rows,
      parts_.db.query_blocking({"SELECT feed, position, counted_ms FROM memory_derived", {}}));
  Place place{.feed = feed.name};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t counted = rows.integer(i, "counted_ms");
    if (rows.text(i, "feed") == feed.name) {
      place.position = place.stored = static_cast<std::uint64_t>(rows.integer(i, "position"));
      place.counted_ms = counted;
      break;
    }
    // A store under a new name may be an old one, restored: what was counted stays counted.
    place.counted_ms = std::max(place.counted_ms, counted);
  }
  if (place.position == 0 || place.position > feed.end) {
    // New, or another store than the one that was followed: from its beginning.
    place.position = 0;
    place.counted_upto = feed.end;
    place.counted_before = place.counted_ms;
  }
  place_ = place;
  return {};
}

Result<bool> Deriver::step() {
  if (!place_) {
    if (auto ok = find_place(); !ok) return std::unexpected(ok.error());
  }
  auto done = next_page();
  // Another store may stand there now, or another process may have come further.
  if (!done) place_.reset();
  return done;
}

Result<bool> Deriver::next_page() {
  ASAHI_TRY(MemoryFeed::Page page, parts_.feed.after(place_->position, options_.page));
  const std::uint64_t end = page.end;
  if (page.upto == place_->position) {
    behind_.set(0);
    return false;
  }
  if (auto ok = derive(std::move(page)); !ok) return std::unexpected(ok.error());
  behind_.set(static_cast<double>(end - std::min(end, place_->position)));
  return true;
}

Result<void> Deriver::derive(MemoryFeed::Page page) {
  Place next = *place_;
  next.position = page.upto;
  const Clock::Time now = parts_.clock.now();
  std::vector<TenantStatement> statements;
  std::map<std::string, series::HourlyCounts> counts;
  std::map<std::string, std::vector<Key>> keys;
  const bool again = place_->position < place_->counted_upto;
  const Stretch stretch;
  for (MemoryFeed::Row& row : page.rows) {
    const Memory& memory = row.memory;
    const std::int64_t uploaded = to_ms(memory.uploaded_at);
    if (!again || uploaded > place_->counted_before) {
      const bool duplicate = row.duplicate || memory.near_duplicate_of.has_value();
      // A page has fewer memories than there is room for hours.
      std::ignore = counts[memory.key.tenant].add({.system_id = memory.key.system_id,
                                                   .at = memory.timestamp,
                                                   .bytes = memory.content.size(),
                                                   .duplicate = duplicate,
                                                   .norm = norm_of(memory.embedding)});
      next.counted_ms = std::max(next.counted_ms, uploaded);
    }
    // What says the very same as another one states nothing of its own.
    if (row.duplicate) continue;
    statements.push_back({memory.key.tenant, graph::extract(memory, now)});
    keys[memory.key.tenant].push_back(std::move(row.memory.key));
  }
  rest_ = stretch.pause(kRest);
  GraphStore::Beside also;
  for (auto& [tenant, hours] : counts) {
    auto rows = SeriesStore::count(tenant, hours.take());
    std::ranges::move(rows, std::back_inserter(also.statements));
  }
  also.condition = sql::Statement{
      "INSERT INTO memory_derived (feed, position, counted_ms) VALUES (?, ?, ?)"
      " ON CONFLICT (feed) DO UPDATE SET position = excluded.position,"
      " counted_ms = excluded.counted_ms WHERE memory_derived.position = ?",
      {next.feed, static_cast<std::int64_t>(next.position), next.counted_ms,
       static_cast<std::int64_t>(next.stored)}};
  next.stored = next.position;
  ASAHI_TRY(const LearnedCounts learned, parts_.graph.learn(statements, also));
  place_ = next;
  learned_.add(static_cast<double>(learned.statements - learned.refused));
  if (learned.refused > 0) {
    refused_.add(static_cast<double>(learned.refused));
    logger().warning("memories are not in the graph",
                     {{"memories", learned.refused}, {"error", learned.refusal}});
  }
  // Erased between reading and learning: whoever erased it found nothing to forget yet.
  for (auto& [tenant, list] : keys) {
    if (auto ok = forget_vanished(tenant, std::move(list)); !ok) return ok;
  }
  return {};
}

Result<void> Deriver::forget_vanished(const std::string& tenant, std::vector<Key> keys) {
  ASAHI_TRY(const std::vector<bool> there, parts_.feed.present(keys));
  std::vector<graph::Source> gone;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!there[i]) gone.push_back({keys[i].system_id, keys[i].conversation_id});
  }
  if (gone.empty()) return {};
  ASAHI_TRY(const std::size_t facts, parts_.graph.forget(tenant, gone));
  logger().info("facts of erased memories are forgotten",
                {{"tenant", tenant}, {"memories", gone.size()}, {"facts", facts}});
  return {};
}

Result<bool> Deriver::sweep() {
  if (tenant_.empty()) {
    ASAHI_TRY(const auto first, parts_.graph.tenants("", 1));
    if (first.empty()) return true;
    tenant_ = first.front();
    last_ = {};
  }
  ASAHI_TRY(const auto sources, parts_.graph.sources(tenant_, last_, options_.swept_at_once));
  std::vector<Key> keys;
  for (const graph::Source& source : sources)
    keys.push_back({tenant_, source.system_id, source.conversation_id});
  if (!keys.empty()) {
    if (auto ok = forget_vanished(tenant_, std::move(keys)); !ok)
      return std::unexpected(ok.error());
    last_ = sources.back();
  }
  if (sources.size() == options_.swept_at_once) return false;
  ASAHI_TRY(const auto next, parts_.graph.tenants(tenant_, 1));
  tenant_ = next.empty() ? "" : next.front();
  last_ = {};
  return next.empty();
}

void Deriver::housekeep() {
  const Clock::Steady now = parts_.clock.steady_now();
  next_housekeeping_ = now + options_.idle;
  if (now >= next_round_) {
    if (const auto complete = sweep(); complete && *complete) next_round_ = now + options_.round;
  }
  if (now >= next_retention_) {
    const auto gone = parts_.series.expire();
    // Some thousands at a time; the rest in the next second.
    if (gone && *gone == 0) next_retention_ = now + options_.retention;
  }
  if (now >= next_size_) {
    if (const auto size = parts_.graph.size()) {
      tell_size(*size);
    }
    next_size_ = now + kSizeEvery;
  }
}

void Deriver::tell_size(const GraphSize& size) {
  const auto entities = static_cast<double>(size.entities), edges = static_cast<double>(size.edges);
  // Counters pass over what is negative: graphs that shrink add nothing.
  if (sized_) {
    added_entities_.add(entities - entities_.value());
    added_edges_.add(edges - relationships_.value());
  }
  sized_ = true;
  for (telemetry::Gauge* const gauge : {&entities_, &all_entities_}) gauge->set(entities);
  for (telemetry::Gauge* const gauge : {&relationships_, &all_edges_}) gauge->set(edges);
}

void Deriver::pause(std::stop_token stop, milliseconds most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, most, [] { return false; });
}

void Deriver::run(std::stop_token stop) {
  work_in_background(kNice);
  milliseconds pause_now{0};
  while (!stop.stop_requested()) {
    const auto done = step();
    // Another process derives: this one stands by.
    if (!done && done.error().code == Errc::kConflict) {
      pause(stop, options_.standby);
      continue;
    }
    if (!done) {
      count_error(parts_.metrics, parts_.clock, Part::kKnowledgeGraph, done.error());
      pause_now = std::min(std::max(kFirstPause, pause_now * 2), options_.longest_pause);
      logger().warning("graph and series are behind; trying again",
                       {{"error", done.error().message}, {"in_ms", pause_now.count()}});
      pause(stop, pause_now);
      continue;
    }
    pause_now = milliseconds{0};
    if (!*done || parts_.clock.steady_now() >= next_housekeeping_) housekeep();
    if (*done) {
      // What is written now comes before what follows from it.
      if (rest_.count() > 0) pause(stop, std::chrono::ceil<milliseconds>(rest_));
      continue;
    }
    parts_.feed.wait(place_->position, options_.idle, stop);
  }
}

}  // namespace asahi::memory::knowledge
