// The models that ship: the table of gateway spec §3.11.
#include "gateway/routing/model_registry.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

struct Row {
  const char* name;
  const char* provider;
  double input, output;
  int latency;
  double quality;
  std::int64_t context, answer;
  const char* region;
};
constexpr std::int64_t k1M = 1'048'576;
constexpr Row kTable[] = {
    {"gpt-4-turbo", "openai", 0.010, 0.030, 200, 4.6, 128'000, 4096, "us"},
    {"claude-opus-4", "anthropic", 0.015, 0.075, 180, 4.5, 200'000, 4096, "us"},
    {"claude-3-5-sonnet", "anthropic", 0.003, 0.015, 150, 4.1, 200'000, 4096, "us"},
    {"claude-3-5-haiku", "anthropic", 0.001, 0.005, 80, 3.8, 200'000, 4096, "us"},
    {"mistral-7b", "mistral", 0.001, 0.003, 120, 3.2, 32'000, 2048, "eu"},
    {"gpt-4o", "openai", 0.0025, 0.010, 200, 4.6, 128'000, 16'384, "us"},
    {"gpt-4o-mini", "openai", 0.00015, 0.0006, 120, 4.0, 128'000, 16'384, "us"},
    {"o3", "openai", 0.010, 0.040, 800, 4.8, 200'000, 100'000, "us"},
    {"claude-opus-4-6", "anthropic", 0.015, 0.075, 300, 4.8, 200'000, 32'000, "us"},
    {"claude-sonnet-4-6", "anthropic", 0.003, 0.015, 180, 4.5, 200'000, 64'000, "us"},
    {"claude-haiku-4-5", "anthropic", 0.00025, 0.00125, 100, 3.8, 200'000, 8192, "us"},
    {"gemini-2.5-pro", "google", 0.00125, 0.010, 400, 4.7, k1M, 65'536, ""},
    {"gemini-2.5-flash", "google", 0.00015, 0.0006, 150, 4.2, k1M, 65'536, ""},
    {"gemini-2.0-flash", "google", 0.00010, 0.00040, 120, 4.0, k1M, 8192, ""},
    {"gemini-2.0-flash-lite", "google", 0.000075, 0.00030, 80, 3.5, k1M, 8192, ""},
    {"gemini-1.5-pro", "google", 0.00125, 0.005, 350, 4.3, 2 * k1M, 8192, ""},
    {"gemini-1.5-flash", "google", 0.000075, 0.00030, 100, 3.7, k1M, 8192, ""},
    {"deepseek-chat", "deepseek", 0.00007, 0.0011, 250, 4.0, 64'000, 8192, ""},
    {"deepseek-reasoner", "deepseek", 0.00055, 0.00219, 600, 4.4, 64'000, 8192, ""},
    {"deepseek-coder", "deepseek", 0.00014, 0.00028, 200, 4.1, 128'000, 8192, ""},
    {"mistral-large-latest", "mistral", 0.002, 0.006, 300, 4.5, 128'000, 8192, "eu"},
    {"mistral-small-latest", "mistral", 0.0001, 0.0003, 120, 3.8, 128'000, 8192, "eu"},
    {"codestral-latest", "mistral", 0.0003, 0.0009, 150, 4.2, 256'000, 8192, "eu"},
};

TEST(DefaultModels, HoldTheTableOfTheSpecification) {
  const auto registry = default_registry();
  for (const Row& row : kTable) {
    const ModelProfile* m = registry->get(row.name);
    ASSERT_NE(m, nullptr) << row.name;
    EXPECT_EQ(m->provider, row.provider) << row.name;
    EXPECT_EQ(m->input, TokenPrice::per_1k(row.input)) << row.name;
    EXPECT_EQ(m->output, TokenPrice::per_1k(row.output)) << row.name;
    EXPECT_EQ(m->avg_latency_ms, row.latency) << row.name;
    EXPECT_DOUBLE_EQ(m->quality, row.quality) << row.name;
    EXPECT_EQ(m->max_input_tokens, row.context) << row.name;
    EXPECT_EQ(m->max_output_tokens, row.answer) << row.name;
    EXPECT_EQ(m->region, row.region) << row.name;
    EXPECT_TRUE(m->supports.has(Capability::kChat)) << row.name;
    EXPECT_FALSE(m->description.empty()) << row.name;
    EXPECT_LE(m->cached_input, m->input) << row.name;
  }
}

TEST(DefaultModels, HoldThe23RowsALocalModelAndEmbedders) {
  const auto registry = default_registry();
  int chat = 0, embeddings = 0;
  for (const auto& m : registry->all()) {
    chat += m.supports.has(Capability::kChat) ? 1 : 0;
    embeddings += m.supports.has(Capability::kEmbeddings) ? 1 : 0;
  }
  EXPECT_EQ(std::size(kTable), 23U);
  EXPECT_EQ(chat, 24);
  EXPECT_EQ(embeddings, 4);
}

TEST(DefaultModels, TheFreeLocalModelWaitsToBeSwitchedOn) {
  const auto registry = default_registry();
  const ModelProfile* local = registry->get("llama3.2");
  ASSERT_NE(local, nullptr);
  EXPECT_TRUE(local->is_free());
  EXPECT_EQ(local->api_key_env, "");
  EXPECT_EQ(local->availability, Availability::kUnavailable);
}

TEST(DefaultModels, CachedInputHasItsVendorsDiscount) {
  const auto registry = default_registry();
  const struct {
    const char* name;
    double cached, write, write_1h;
  } rows[] = {{"gpt-4-turbo", 0.010, 0.010, 0.010},
              {"gpt-4o", 0.00125, 0.0025, 0.0025},
              {"o3", 0.0025, 0.010, 0.010},
              {"claude-3-5-sonnet", 0.0003, 0.00375, 0.006},
              {"gemini-2.5-pro", 0.0003125, 0.00125, 0.00125},
              {"deepseek-chat", 0.0000182, 0.00007, 0.00007}};
  for (const auto& row : rows) {
    const ModelProfile& m = *registry->get(row.name);
    EXPECT_EQ(m.cached_input, TokenPrice::per_1k(row.cached)) << row.name;
    EXPECT_EQ(m.cache_write, TokenPrice::per_1k(row.write)) << row.name;
    EXPECT_EQ(m.cache_write_1h, TokenPrice::per_1k(row.write_1h)) << row.name;
  }
}

TEST(DefaultModels, DatedNamesAreAliases) {
  const auto registry = default_registry();
  EXPECT_EQ(registry->get("claude-3-5-sonnet-20241022")->name, "claude-3-5-sonnet");
  EXPECT_EQ(registry->get("gpt-4o-2024-08-06")->name, "gpt-4o");
  EXPECT_EQ(registry->get("claude-3-5-haiku")->vendor_model, "claude-3-5-haiku-20241022");
}

TEST(DefaultModels, EmbeddersHaveListPrices) {
  const auto registry = default_registry();
  const struct {
    const char* name;
    const char* provider;
    double price;
  } rows[] = {{"text-embedding-3-small", "openai", 0.00002},
              {"text-embedding-3-large", "openai", 0.00013},
              {"embed-english-v3.0", "cohere", 0.0001},
              {"nomic-embed-text", "ollama", 0}};
  for (const auto& row : rows) {
    const ModelProfile& m = *registry->get(row.name);
    EXPECT_EQ(m.provider, row.provider);
    EXPECT_EQ(m.input, TokenPrice::per_1k(row.price)) << row.name;
    EXPECT_FALSE(m.supports.has(Capability::kChat)) << row.name;
  }
}

}  // namespace
}  // namespace asahi::gateway
