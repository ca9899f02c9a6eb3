#include "gateway/routing/model_registry.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace asahi::gateway {
namespace {

using testing::ElementsAre;

ModelProfile model(std::string name, double quality, int latency, double price,
                   std::string provider = "acme") {
  ModelProfile m;
  m.name = std::move(name);
  m.provider = std::move(provider);
  m.quality = quality;
  m.avg_latency_ms = latency;
  m.input = m.output = TokenPrice::per_1k(price);
  m.max_input_tokens = 8000;
  m.max_output_tokens = 1000;
  return m;
}

std::vector<std::string> names(const Registry& registry, std::span<const std::uint32_t> order) {
  std::vector<std::string> result;
  for (const auto i : order) result.push_back(registry.all()[i].name);
  return result;
}

TEST(ModelRegistry, FindsByNameAndAlias) {
  RegistryBuilder builder;
  ModelProfile m = model("gpt", 4, 100, 0.001);
  m.aliases = {"gpt-2024-08-06", "gpt-latest"};
  ASSERT_TRUE(builder.add(m));
  const auto registry = builder.build();
  ASSERT_NE(registry->get("gpt"), nullptr);
  EXPECT_EQ(registry->get("gpt-latest"), registry->get("gpt"));
  EXPECT_EQ(registry->index_of("gpt-2024-08-06"), 0U);
  EXPECT_EQ(registry->get("GPT"), nullptr);
  EXPECT_EQ(registry->get(""), nullptr);
}

TEST(ModelRegistry, TheVendorsNameDefaultsToTheName) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("gpt", 4, 100, 0.001)));
  EXPECT_EQ(builder.get("gpt")->vendor_model, "gpt");
}

TEST(ModelRegistry, AddingANameAgainOverwritesAndSaysSo) {
  RegistryBuilder builder;
  EXPECT_EQ(*builder.add(model("a", 4, 100, 0.001)), RegistryBuilder::Added::kNew);
  EXPECT_EQ(*builder.add(model("a", 3, 100, 0.001)), RegistryBuilder::Added::kReplaced);
  EXPECT_EQ(builder.all().size(), 1U);
  EXPECT_DOUBLE_EQ(builder.get("a")->quality, 3);
}

TEST(ModelRegistry, RemovesByName) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 100, 0.001)));
  EXPECT_TRUE(builder.remove("a"));
  EXPECT_FALSE(builder.remove("a"));
  EXPECT_TRUE(builder.build()->empty());
}

TEST(ModelRegistry, RefusesProfilesThatBreakARule) {
  const struct {
    std::string field;
    std::function<void(ModelProfile&)> spoil;
  } rows[] = {
      {"name", [](ModelProfile& m) { m.name = ""; }},
      {"name", [](ModelProfile& m) { m.name = "two words"; }},
      {"name", [](ModelProfile& m) { m.name = std::string(129, 'x'); }},
      {"provider", [](ModelProfile& m) { m.provider = ""; }},
      {"vendor_model", [](ModelProfile& m) { m.vendor_model = "a b"; }},
      {"cost_per_1k_input_tokens", [](ModelProfile& m) { m.input.pico_per_token = -1; }},
      {"cost_per_1k_output_tokens", [](ModelProfile& m) { m.output = TokenPrice::per_1k(10.1); }},
      {"cost_per_1k_cached_input_tokens", [](ModelProfile& m) { m.cached_input = {-1}; }},
      {"avg_latency_ms", [](ModelProfile& m) { m.avg_latency_ms = -1; }},
      {"quality_score", [](ModelProfile& m) { m.quality = 5.1; }},
      {"quality_score", [](ModelProfile& m) { m.quality = std::nan(""); }},
      {"max_input_tokens", [](ModelProfile& m) { m.max_input_tokens = 0; }},
      {"max_output_tokens", [](ModelProfile& m) { m.max_output_tokens = 0; }},
      {"supports", [](ModelProfile& m) { m.supports = {Capability::kTools}; }},
      {"aliases", [](ModelProfile& m) { m.aliases = {"a b"}; }},
  };
  for (const auto& row : rows) {
    ModelProfile m = model("a", 4, 100, 0.001);
    row.spoil(m);
    RegistryBuilder builder;
    const auto added = builder.add(m);
    ASSERT_FALSE(added) << row.field;
    EXPECT_EQ(added.error().field, row.field);
    EXPECT_TRUE(builder.all().empty());
  }
}

TEST(ModelRegistry, ANameOrAliasStandsForOneModelOnly) {
  RegistryBuilder builder;
  ModelProfile a = model("a", 4, 100, 0.001);
  a.aliases = {"latest"};
  ASSERT_TRUE(builder.add(a));
  ModelProfile b = model("b", 4, 100, 0.001);
  b.aliases = {"latest"};
  EXPECT_EQ(builder.add(b).error().field, "aliases");
  b.aliases = {"a"};
  EXPECT_EQ(builder.add(b).error().code, Errc::kConflict);
  EXPECT_EQ(builder.add(model("latest", 4, 100, 0.001)).error().field, "name");
}

TEST(ModelRegistry, AnAliasThatRepeatsTheNameIsDropped) {
  RegistryBuilder builder;
  ModelProfile a = model("a", 4, 100, 0.001);
  a.aliases = {"x", "a", "x"};
  ASSERT_TRUE(builder.add(a));
  EXPECT_THAT(builder.get("a")->aliases, ElementsAre("x"));
}

TEST(ModelRegistry, RanksByQualityPerDollarWithTiesByQualityLatencyName) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("dear", 5, 100, 0.010)));
  ASSERT_TRUE(builder.add(model("tie-b", 4, 100, 0.002)));
  ASSERT_TRUE(builder.add(model("tie-a", 4, 100, 0.002)));
  ASSERT_TRUE(builder.add(model("tie-fast", 4, 90, 0.002)));
  ASSERT_TRUE(builder.add(model("tie-poor", 2, 10, 0.001)));
  const auto registry = builder.build();
  EXPECT_THAT(names(*registry, registry->by_value()),
              ElementsAre("tie-fast", "tie-a", "tie-b", "tie-poor", "dear"));
  EXPECT_THAT(names(*registry, registry->by_quality()),
              ElementsAre("dear", "tie-fast", "tie-a", "tie-b", "tie-poor"));
}

TEST(ModelRegistry, R22_FreeModelsRankBeforePricedOnesByQuality) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("cheap", 5, 10, 0.000001)));
  ASSERT_TRUE(builder.add(model("free-poor", 2, 100, 0)));
  ASSERT_TRUE(builder.add(model("free-good", 3, 900, 0)));
  const auto registry = builder.build();
  EXPECT_THAT(names(*registry, registry->by_value()),
              ElementsAre("free-good", "free-poor", "cheap"));
}

TEST(ModelRegistry, FiltersByQualityAndLatencyBestValueFirst) {
  RegistryBuilder builder;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(builder.add(model(fmt::format("m{:02}", i), i / 10.0, i * 10, 0.001)));
  }
  ModelProfile off = model("off", 4.9, 10, 0.001);
  off.availability = Availability::kUnavailable;
  ASSERT_TRUE(builder.add(off));
  ModelProfile vectors = model("vectors", 4.9, 10, 0.001);
  vectors.supports = {Capability::kEmbeddings};
  ASSERT_TRUE(builder.add(vectors));
  const auto registry = builder.build();
  const auto found = registry->filter(4.0, 430);
  std::vector<std::string> found_names;
  for (const auto* m : found) found_names.push_back(m->name);
  EXPECT_THAT(found_names, ElementsAre("m43", "m42", "m41", "m40"));
}

TEST(ModelRegistry, NumbersVendors) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 1, 1, "x")));
  ASSERT_TRUE(builder.add(model("b", 4, 1, 1, "y")));
  ASSERT_TRUE(builder.add(model("c", 4, 1, 1, "x")));
  const auto registry = builder.build();
  EXPECT_THAT(std::vector(registry->providers().begin(), registry->providers().end()),
              ElementsAre("x", "y"));
  EXPECT_EQ(registry->provider_of(2), 0U);
}

TEST(RegistryHolder, EditsACopyAndKeepsOldSnapshots) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 100, 0.001)));
  RegistryHolder holder(builder.build());
  const auto before = holder.get();
  ASSERT_TRUE(holder.edit([](RegistryBuilder& b) -> Result<void> {
    ASAHI_TRY([[maybe_unused]] const auto added, b.add(model("b", 4, 100, 0.001)));
    return {};
  }));
  EXPECT_EQ(before->size(), 1U);
  EXPECT_EQ(holder.get()->size(), 2U);
}

TEST(RegistryHolder, AFailedEditChangesNothing) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 100, 0.001)));
  RegistryHolder holder(builder.build());
  const auto before = holder.get();
  const auto done = holder.edit([](RegistryBuilder& b) -> Result<void> {
    b.remove("a");
    return fail(Errc::kConflict, "no");
  });
  EXPECT_FALSE(done);
  EXPECT_EQ(holder.get(), before);
}

TEST(RegistryHolder, ReadersAndWritersMayRunTogether) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 100, 0.001)));
  RegistryHolder holder(builder.build());
  std::atomic<bool> wrong = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        if (holder.get()->get("a") == nullptr) wrong = true;
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(holder.edit([&](RegistryBuilder& b) -> Result<void> {
      ASAHI_TRY([[maybe_unused]] const auto added, b.add(model(fmt::format("m{}", i), 4, 1, 1)));
      return {};
    }));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(holder.get()->size(), 101U);
}

TEST(RegistryHolder, WithoutAFileReloadGoesBackToTheStart) {
  RegistryBuilder builder;
  ASSERT_TRUE(builder.add(model("a", 4, 100, 0.001)));
  RegistryHolder holder(builder.build());
  ASSERT_TRUE(holder.edit([](RegistryBuilder& b) -> Result<void> {
    b.remove("a");
    return {};
  }));
  EXPECT_FALSE(holder.file_changed());
  EXPECT_TRUE(holder.reload().faults.empty());
  EXPECT_EQ(holder.get()->size(), 1U);
}

}  // namespace
}  // namespace asahi::gateway
