#include "memory/warm/warm_store.h"

#include "memory/summary/quantise.h"

namespace asahi::memory {
namespace {

/// Duplicates were looked for when the memories came in.
class NoNearDuplicates final : public hot::NearDuplicates {
 public:
  void reserve(std::size_t) override {}
  void add(std::uint32_t, const Fingerprint&) override {}
  void remove(std::uint32_t, const Fingerprint&) override {}
  void candidates(const Fingerprint&, double, std::vector<std::uint32_t>& out) const override {
    out.clear();
  }
  double similarity(const Text&, const Text&) const override { return 0; }
  std::size_t bytes() const override { return 0; }
};

}  // namespace

Result<std::unique_ptr<WarmStore>> WarmStore::open(HotOptions options) {
  options.engine.make_near_duplicates = [] { return std::make_unique<NoNearDuplicates>(); };
  ASAHI_TRY(auto rows, HotStore::open(std::move(options)));
  return std::unique_ptr<WarmStore>(new WarmStore(std::move(rows)));
}

Task<std::vector<UpsertOutcome>> WarmStore::upsert_batch(std::vector<Memory> memories,
                                                         UpsertOptions options) {
  for (std::size_t i = 0; i < memories.size(); ++i) {
    auto kept = quantise(memories[i].embedding);
    if (!kept) {
      kept.error().field = "memories[" + std::to_string(i) + "].embedding";
      co_return std::unexpected(std::move(kept.error()));
    }
    memories[i].embedding = dequantised(*kept);
  }
  options.deduplicate = false;
  co_return co_await rows_->upsert_batch(std::move(memories), options);
}

Task<std::uint64_t> WarmStore::replace_vectors(std::vector<NewVector> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto kept = quantise(rows[i].embedding);
    if (!kept) {
      kept.error().field = "rows[" + std::to_string(i) + "].embedding";
      co_return std::unexpected(std::move(kept.error()));
    }
    rows[i].embedding = dequantised(*kept);
  }
  co_return co_await rows_->replace_vectors(std::move(rows));
}

Task<StorePage> WarmStore::search(StoreQuery query) {
  ASAHI_CO_TRY(StorePage page, co_await rows_->search(std::move(query)));
  for (StoreHit& hit : page.hits) hit.tier = Tier::kWarm;
  if (const auto facet = page.facets.find("tier"); facet != page.facets.end()) {
    if (auto count = facet->second.extract(std::string(tier_name(Tier::kHot)))) {
      count.key() = tier_name(Tier::kWarm);
      facet->second.insert(std::move(count));
    }
  }
  co_return page;
}

}  // namespace asahi::memory
