#include "gateway/cache/semantic_tier.h"

#include <array>

#include "llm/embed/onnx/onnx_embedder.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// Where the thresholds lie among what was learned.
constexpr std::string_view kAllOrgs, kThresholds = "thresholds";

struct UsualModel {
  std::string_view provider, model;
  std::size_t width;
};
/// What the spec names (§3.7); an Ollama server has what its operator pulled.
constexpr std::array<UsualModel, 2> kUsual = {
    {{"cohere", "embed-english-v3.0", 1024}, {"openai", "text-embedding-3-small", 1024}}};

/// 1, 2, 4 seconds, then 4 seconds each.
std::vector<milliseconds> waits_of(int retries) {
  std::vector<milliseconds> waits;
  for (int i = 0; i < retries; ++i) waits.emplace_back(1'000 << std::min(i, 2));
  return waits;
}

Result<std::unique_ptr<llm::TextEmbedder>> onnx_embedder(const EmbeddingsConfig& config) {
  using Pooling = llm::OnnxEmbedderOptions::Pooling;
  llm::OnnxEmbedderOptions options;
  options.model = config.onnx.model;
  options.tokenizer = config.onnx.tokenizer;
  options.runtime = config.onnx.runtime;
  options.pooling = config.onnx.pooling == "mean"  ? Pooling::kMean
                    : config.onnx.pooling == "cls" ? Pooling::kFirst
                                                   : Pooling::kAuto;
  options.prefix = config.onnx.prefix;
  options.max_tokens = config.onnx.max_tokens;
  options.width = config.dimension;
  options.batch = config.batch_size;
  options.threads = config.onnx.threads;
  options.timeout = milliseconds(static_cast<std::int64_t>(config.timeout_seconds * 1'000));
  auto made = llm::make_onnx_embedder(std::move(options));
  if (!made) {
    std::string& field = made.error().field;
    field = (field == "dimension" ? "embeddings." : "embeddings.onnx.") + field;
    made.error().message = field + ": " + made.error().message;
  }
  return made;
}

Result<std::unique_ptr<llm::TextEmbedder>> bare_embedder(const EmbeddingsConfig& config,
                                                         VendorSet& vendors) {
  constexpr std::size_t kLocalWidth = 256;
  const std::size_t local_width = config.dimension == 0 ? kLocalWidth : config.dimension;
  if (config.provider == "local") return llm::make_local_embedder(local_width);
  if (config.provider == "mock") return llm::make_mock_text_embedder(0, local_width);
  if (config.provider == "onnx") return onnx_embedder(config);
  llm::Embedder* vendor = vendors.embedder(config.provider);
  if (vendor == nullptr || !vendors.usable(config.provider)) {
    Logger("cache").warning("the embedder's vendor has no key: texts are embedded in this process",
                            {{"provider", config.provider}});
    return llm::make_local_embedder(kLocalWidth);
  }
  llm::VendorEmbedderOptions options;
  options.provider = config.provider;
  for (const UsualModel& usual : kUsual) {
    if (usual.provider != config.provider) continue;
    options.model = usual.model;
    options.width = usual.width;
  }
  if (!config.model_name.empty()) options.model = config.model_name;
  if (config.dimension > 0) options.width = config.dimension;
  options.send_width = options.model.starts_with("text-embedding-3");
  options.batch = config.batch_size;
  options.timeout = milliseconds(static_cast<std::int64_t>(config.timeout_seconds * 1'000));
  options.waits = waits_of(config.max_retries);
  return llm::make_vendor_embedder(*vendor, std::move(options));
}

}  // namespace

Result<std::unique_ptr<llm::TextEmbedder>> make_text_embedder(const EmbeddingsConfig& config,
                                                              VendorSet& vendors) {
  ASAHI_TRY(auto embedder, bare_embedder(config, vendors));
  if (config.cache_size == 0) return embedder;
  return std::make_unique<llm::MemoEmbedder>(std::move(embedder), config.cache_size);
}

Task<void> keep_thresholds(SemanticTier& tier, sql::Database& database, const Clock& clock) {
  semantic::EntryRows rows(database);
  co_return co_await rows.keep_knowledge(std::string(kAllOrgs), std::string(kThresholds),
                                         tier.tuner->encode(), clock.now());
}

Aw<void> read_thresholds(SemanticTier& tier, sql::Database& database) {
  const semantic::EntryRows rows(database);
  const auto kept = co_await rows.knowledge(std::string(kAllOrgs), std::string(kThresholds));
  if (!kept || kept->empty()) co_return;
  if (auto restored = tier.tuner->restore(*kept); !restored)
    Logger("cache").warning("the thresholds of the semantic cache cannot be read",
                            {{"error", restored.error().message}});
}

Result<std::unique_ptr<SemanticTier>> make_semantic_tier(SemanticTierParts parts) {
  const GatewayConfig& config = parts.config;
  const Tier2Config& wanted = config.cache.tier2;
  if (!wanted.enabled) return nullptr;
  auto tier = std::make_unique<SemanticTier>();
  ASAHI_TRY(tier->embedder, make_text_embedder(config.embeddings, parts.vendors));
  const llm::EmbedderTraits& traits = tier->embedder->traits();
  const bool works_here = tier->embedder->try_embed("a").has_value();
  vector::OpenOptions opening{.provider = config.vector_db.provider,
                              .index_name = config.vector_db.index_name,
                              .api_key = config.vector_db.api_key,
                              .host = config.vector_db.host,
                              .namespace_per_tenant = config.vector_db.namespace_per_tenant,
                              .region = config.vector_db.region,
                              .timeout = milliseconds(config.vector_db.timeout_ms)};
  opening.space = {.model = SemanticCache::space_of(traits, wanted.contextual),
                   .dimensions = traits.width,
                   .filter_fields = {std::string(SemanticCache::kContextField)}};
  opening.folder = config.app.data_dir + "/vectors";
  opening.local.max_entries = wanted.max_entries;
  ASAHI_TRY(tier->index, vector::open_index(std::move(opening), parts.clients, &parts.database));
  tier->tuner = std::make_unique<semantic::ThresholdTuner>();
  for (const auto& [task, row] : config.tasks) {
    if (row.semantic_threshold <= 0) continue;
    for (const auto sensitivity : {semantic::Sensitivity::kHigh, semantic::Sensitivity::kMedium,
                                   semantic::Sensitivity::kLow}) {
      if (auto set = tier->tuner->set(task, sensitivity, row.semantic_threshold); !set)
        return std::unexpected(std::move(set.error()));
    }
  }
  SemanticCache::Options options;
  options.top_k = wanted.top_k;
  options.quality_penalty = wanted.quality_penalty_weight;
  // Vectors that cost a call are kept; those made here follow from the text.
  options.store_vectors = !works_here;
  options.contextual = wanted.contextual;
  options.compare = !parts.vendors.mock();
  options.bound = {.delta = wanted.error_bound, .audit = wanted.audit_share};
  if (!works_here && config.embeddings.fallback == "local") {
    tier->stand_in = std::make_unique<StandIn>(StandIn::Options{.max_entries = wanted.max_entries},
                                               llm::make_local_embedder(), parts.clock);
  }
  tier->cache = std::make_unique<SemanticCache>(
      options, SemanticCache::Parts{.embedder = *tier->embedder,
                                    .index = *tier->index.index,
                                    .local = tier->index.local,
                                    .database = parts.database,
                                    .tuner = *tier->tuner,
                                    .clock = parts.clock,
                                    .home = parts.home,
                                    .stand_in = tier->stand_in.get()});
  return tier;
}

}  // namespace asahi::gateway
