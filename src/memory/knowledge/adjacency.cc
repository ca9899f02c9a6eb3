#include "memory/knowledge/adjacency.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace asahi::memory::knowledge {
namespace {

/// Of a text with lines that no graph has (a later version's, or somebody else's).
constexpr std::size_t kMostLineBytes = 1 << 20;
/// The longest that stop() waits for erasures.
constexpr std::chrono::seconds kLongestStop{10};

std::string key_of(std::string_view tenant, const GraphStore::State& state,
                   std::string_view entity) {
  return fmt::format("{}{}.{:x}:{}", Adjacency::prefix(tenant), state.epoch,
                     state.last_record.time_since_epoch().count(), entity);
}

}  // namespace

std::string to_lines(const graph::Graph& graph) {
  std::string out;
  graph.snapshot([&](const graph::Change& change) {
    out += encode(change);
    out += '\n';
  });
  return out;
}

Result<graph::Graph> from_lines(std::string_view lines) {
  graph::Graph graph({}, graph::Keeping::kRows);
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (line.size() > kMostLineBytes) return fail(Errc::kCorrupt, "a line is too long");
    ASAHI_TRY(const graph::Change change, graph::decode(line));
    if (auto ok = graph.apply(change); !ok) return std::unexpected(ok.error());
  }
  graph.take_touched();
  return graph;
}

Adjacency::Adjacency(cache::Store& store, net::Loop& loop, telemetry::Registry& metrics,
                     Options options)
    : store_(store), metrics_(metrics), options_(options), background_(loop) {}

Adjacency::~Adjacency() { stop(); }

std::string Adjacency::prefix(std::string_view tenant) {
  // With its length: a tenant whose name begins another's has no key of the other's.
  return fmt::format("memory:around:{}:{}:", tenant.size(), tenant);
}

void Adjacency::count(const char* outcome) {
  metrics_
      .counter("akosha_graph_adjacency_total",
               "What stands around entities, asked of the shared cache and kept there, by outcome.",
               {{"outcome", outcome}})
      .add();
}

Aw<cache::Bytes> Adjacency::find(std::string tenant, GraphStore::State state, std::string entity) {
  const auto found = co_await store_.get(key_of(tenant, state, entity));
  if (!found) {
    count("error");
    co_return nullptr;
  }
  count(*found ? "hit" : "miss");
  co_return found->value_or(nullptr);
}

void Adjacency::broken(const Error& error) {
  count("error");
  logger_.warning("what the shared cache holds is no graph; it is read anew",
                  {{"error", error.message}});
}

Aw<void> Adjacency::keep(std::string tenant, std::string entity, GraphStore::State state,
                         std::string lines) {
  if (lines.size() > options_.most_bytes) {
    count("too_large");
    co_return;
  }
  const auto kept =
      co_await store_.set(key_of(tenant, state, entity),
                          std::make_shared<const std::string>(std::move(lines)), options_.life);
  count(kept ? "kept" : "error");
}

void Adjacency::forget(const std::string& tenant) {
  {
    const std::lock_guard lock(mutex_);
    // One that waits already erases what is kept until it begins.
    if (!erasing_.insert(tenant).second) return;
  }
  background_.run("erasing what was around entities", [this, tenant](net::Background::Sleep sleep) {
    return erase(tenant, std::move(sleep));
  });
}

Aw<void> Adjacency::erase(std::string tenant, net::Background::Sleep sleep) {
  std::chrono::milliseconds pause = options_.erase_after;
  for (int tries = 0; tries < options_.erase_tries; ++tries) {
    const bool waited = co_await sleep(pause);
    {
      // What is forgotten from here on is erased once more.
      const std::lock_guard lock(mutex_);
      erasing_.erase(tenant);
    }
    const auto erased = co_await store_.erase_prefix(prefix(tenant));
    if (erased) {
      count("erased");
      co_return;
    }
    logger_.warning(
        "the shared cache keeps what was forgotten until it is there again or a day "
        "has passed; nobody is told of it",
        {{"tenant", tenant}, {"error", erased.error().message}});
    if (!waited) co_return;
    pause = options_.again_after;
    const std::lock_guard lock(mutex_);
    if (!erasing_.insert(tenant).second) co_return;
  }
  const std::lock_guard lock(mutex_);
  erasing_.erase(tenant);
}

void Adjacency::stop() {
  if (!background_.stop(kLongestStop))
    logger_.error("erasures in the shared cache did not end in time");
}

}  // namespace asahi::memory::knowledge
