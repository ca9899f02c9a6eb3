#include "memory/wiring/knowledge.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "base/ids.h"
#include "net/blocking.h"

namespace asahi::memory {

namespace {

/// The name under which the place in a store's writings is kept. It lies in the store's folder, so
/// that another store in its place is known as another one.
Result<std::string> feed_name_of(const std::string& folder) {
  if (folder == ":memory:") return std::string("hot in memory");
  const std::filesystem::path path = std::filesystem::path(folder) / "derived.id";
  std::string name;
  if (std::ifstream in(path); in >> name && name.starts_with("hot_")) return name;
  name = random_id("hot_", 16);
  std::ofstream out(path);
  out << name << '\n';
  out.close();
  if (!out) return fail(Errc::kUnavailable, fmt::format("'{}' cannot be written", path.string()));
  return name;
}

knowledge::GraphStore::Options graph_options(const MemoryConfig& config) {
  return {.limits = {.entities = config.graph.max_entities,
                     .edges = config.graph.max_edges,
                     .facts = 2 * config.graph.max_edges}};
}

knowledge::Knowledge::Options knowledge_options(const MemoryConfig& config) {
  knowledge::Knowledge::Options options;
  options.series_kept.five_minutes = std::chrono::days(config.analytics.retention_days);
  return options;
}

}  // namespace

/// The hot tier's writings; whether a memory is still somewhere is asked of all tiers.
class KnowledgeWiring::HotFeed final : public knowledge::MemoryFeed {
 public:
  HotFeed(hot::Engine& engine, net::LoopPool& loops) : engine_(engine), loops_(loops) {}
  void set_tiers(std::vector<Store*> tiers) { tiers_ = std::move(tiers); }

  std::uint64_t end() override { return engine_.last_written(); }
  bool wait(std::uint64_t since, std::chrono::milliseconds most, std::stop_token stop) override {
    return engine_.wait_written(since, most, std::move(stop));
  }
  Page after(std::uint64_t since, std::size_t limit) override {
    hot::WrittenPage written = engine_.written_since(since, limit);
    Page page{.upto = written.upto};
    page.rows.reserve(written.rows.size());
    for (hot::Written& row : written.rows)
      page.rows.push_back({std::move(row.memory), row.duplicate});
    return page;
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    std::vector<bool> there = engine_.has(keys);
    for (Store* const tier : tiers_) {
      if (tier->tier() == Tier::kHot) continue;
      std::vector<std::size_t> places;
      std::vector<Key> missing;
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (there[i]) continue;
        places.push_back(i);
        missing.push_back(keys[i]);
      }
      if (missing.empty()) break;
      using Found = Result<std::vector<std::optional<Memory>>>;
      const auto found = net::run_sync<Found>(
          loops_.at(0), [tier, &missing]() -> Aw<Found> { return tier->get(missing); });
      if (!found) return std::unexpected(found.error());
      for (std::size_t i = 0; i < places.size(); ++i) there[places[i]] = (*found)[i].has_value();
    }
    return there;
  }

 private:
  hot::Engine& engine_;
  net::LoopPool& loops_;
  std::vector<Store*> tiers_;
};

KnowledgeWiring::KnowledgeWiring(Parts parts, std::string feed_name)
    : parts_(parts),
      knowledge_(parts.database, parts.clock, parts.metrics, graph_options(parts.config),
                 knowledge_options(parts.config)),
      feed_(std::make_unique<HotFeed>(parts.engine, parts.loops)) {
  options_.feed_name = std::move(feed_name);
}

KnowledgeWiring::~KnowledgeWiring() { stop(); }

Result<std::unique_ptr<KnowledgeWiring>> KnowledgeWiring::make(Parts parts) {
  ASAHI_TRY(std::string name, feed_name_of(parts.config.hot.path));
  return std::unique_ptr<KnowledgeWiring>(new KnowledgeWiring(parts, std::move(name)));
}

void KnowledgeWiring::start(std::vector<Store*> tiers) {
  feed_->set_tiers(std::move(tiers));
  deriver_ = std::make_unique<knowledge::Deriver>(
      knowledge::Deriver::Parts{*feed_, knowledge_.graph(), knowledge_.series(), parts_.database,
                                parts_.clock, parts_.metrics},
      options_);
  deriver_->start();
}

void KnowledgeWiring::stop() {
  if (deriver_ != nullptr) deriver_->stop();
}

}  // namespace asahi::memory
