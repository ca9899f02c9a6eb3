#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/routing/model_registry.h"

namespace asahi::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kGood = R"(providers:
  acme: {api_key_env: ACME_KEY, region: us, cached_input_ratio: 0.1, cache_write_ratio: 1.25, cache_write_1h_ratio: 2}
models:
  - name: big
    provider: acme
    cost_per_1k_input_tokens: 0.003
    cost_per_1k_output_tokens: 0.015
    avg_latency_ms: 150
    quality_score: 4.1
    max_input_tokens: 200000
    max_output_tokens: 4096
)";

/// `kGood` with one line replaced.
std::string with(std::string_view from, std::string_view to) {
  std::string text = kGood;
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string first_fault(const std::string& yaml) {
  const RegistryLoad load = parse_registry(yaml, "models.yaml");
  EXPECT_EQ(load.registry, nullptr);
  if (load.faults.empty()) return "";
  const auto& f = load.faults.front();
  return f.origin + " " + f.path + " [" + f.value + "] " + f.rule;
}

TEST(RegistryYaml, ReadsAModelWithItsVendorsDefaults) {
  const RegistryLoad load = parse_registry(kGood, "models.yaml");
  ASSERT_NE(load.registry, nullptr);
  const ModelProfile& m = *load.registry->get("big");
  EXPECT_EQ(m.vendor_model, "big");
  EXPECT_EQ(m.api_key_env, "ACME_KEY");
  EXPECT_EQ(m.region, "us");
  EXPECT_EQ(m.input, TokenPrice::per_1k(0.003));
  EXPECT_EQ(m.output, TokenPrice::per_1k(0.015));
  EXPECT_EQ(m.cached_input, TokenPrice::per_1k(0.0003));
  EXPECT_EQ(m.cache_write, TokenPrice::per_1k(0.00375));
  EXPECT_EQ(m.cache_write_1h, TokenPrice::per_1k(0.006));
  EXPECT_EQ(m.audio_input, m.input);
  EXPECT_EQ(m.audio_output, m.output);
  EXPECT_EQ(m.avg_latency_ms, 150);
  EXPECT_DOUBLE_EQ(m.quality, 4.1);
  EXPECT_EQ(m.availability, Availability::kAvailable);
  EXPECT_EQ(m.supports, (Capabilities{Capability::kChat, Capability::kStreaming}));
}

TEST(RegistryYaml, AModelMaySayOtherwise) {
  const RegistryLoad load =
      parse_registry(with("    avg_latency_ms: 150\n", R"(    avg_latency_ms: 150
    vendor_model: vendors/big-v2
    region: eu
    api_key_env: OTHER_KEY
    cost_per_1k_cached_input_tokens: 0.001
    cost_per_1k_audio_input_tokens: 0.04
    availability: degraded
    description: "Big, and slow"
    supports: [chat, tools, images]
    aliases: [big-2024, big-latest]
)"),
                     "models.yaml");
  ASSERT_NE(load.registry, nullptr) << load.faults.front().rule;
  const ModelProfile& m = *load.registry->get("big-latest");
  EXPECT_EQ(m.vendor_model, "vendors/big-v2");
  EXPECT_EQ(m.region, "eu");
  EXPECT_EQ(m.api_key_env, "OTHER_KEY");
  EXPECT_EQ(m.cached_input, TokenPrice::per_1k(0.001));
  EXPECT_EQ(m.audio_input, TokenPrice::per_1k(0.04));
  EXPECT_EQ(m.availability, Availability::kDegraded);
  EXPECT_EQ(m.description, "Big, and slow");
  EXPECT_EQ(to_string(m.supports), "chat, tools, images");
}

TEST(RegistryYaml, WithoutVendorDefaultsCachedInputCostsAsInput) {
  const RegistryLoad load =
      parse_registry(with("provider: acme", "provider: other"), "models.yaml");
  ASSERT_NE(load.registry, nullptr);
  const ModelProfile& m = *load.registry->get("big");
  EXPECT_EQ(m.cached_input, m.input);
  EXPECT_EQ(m.cache_write_1h, m.input);
  EXPECT_EQ(m.region, "");
}

TEST(RegistryYaml, FaultsNameFileLineFieldValueAndRule) {
  EXPECT_EQ(first_fault(with("quality_score: 4.1", "quality_score: 6")),
            "models.yaml:9 models[0].quality_score [6] must be a number from 0 to 5");
  EXPECT_EQ(
      first_fault(with("cost_per_1k_input_tokens: 0.003", "cost_per_1k_input_tokens: cheap")),
      "models.yaml:6 models[0].cost_per_1k_input_tokens [cheap] must be a number from 0 to 10");
  EXPECT_EQ(
      first_fault(with("max_input_tokens: 200000", "max_input_tokens: 200k")),
      "models.yaml:10 models[0].max_input_tokens [200k] must be an integer from 1 to 100000000");
  EXPECT_EQ(first_fault(with("avg_latency_ms: 150", "avg_latency_ms: 1.5")),
            "models.yaml:8 models[0].avg_latency_ms [1.5] must be an integer from 0 to 600000");
  EXPECT_EQ(first_fault(with("    quality_score: 4.1\n", "")),
            "models.yaml:4 models[0].quality_score [] is missing");
  EXPECT_EQ(first_fault(with("name: big", "name: [big]")),
            "models.yaml:4 models[0].name [(a list)] must be a text");
  EXPECT_EQ(first_fault(with("name: big", "name: big model")),
            "models.yaml:4 models[0].name [big model] must be 1 to 128 characters without spaces");
}

TEST(RegistryYaml, NotANumberIsNoNumber) {
  for (const char* word : {".nan", "nan", ".inf", "-1", "''", "'4.1'", "1.5.2", "four"}) {
    const auto yaml = with("quality_score: 4.1", std::string("quality_score: ") + word);
    EXPECT_THAT(first_fault(yaml), HasSubstr("must be a number from 0 to 5")) << word;
  }
}

TEST(RegistryYaml, UnknownAndRepeatedKeysAreFaults) {
  EXPECT_THAT(
      first_fault(with("quality_score", "qualty_score")),
      HasSubstr("models.yaml:9 models[0].qualty_score [4.1] is not a known key; did you mean "
                "'quality_score'?"));
  EXPECT_THAT(first_fault(with("region: us", "zone: us")),
              HasSubstr("models.yaml:2 providers.acme.zone [us] is not a known key"));
  EXPECT_THAT(first_fault(std::string(kGood) + "model: []\n"),
              HasSubstr("model [(a list)] is not a known key"));
  EXPECT_THAT(first_fault(with("    avg_latency_ms: 150\n",
                               "    avg_latency_ms: 150\n    avg_latency_ms: 160\n")),
              HasSubstr("models.yaml:9:5: the key 'avg_latency_ms' is given twice"));
}

TEST(RegistryYaml, UnknownCapabilityAndAvailabilityListWhatIsAllowed) {
  EXPECT_THAT(
      first_fault(with("quality_score: 4.1", "quality_score: 4.1\n    supports: [chat, smell]")),
      HasSubstr("models[0].supports [smell] must hold only chat, embeddings, tools"));
  EXPECT_THAT(
      first_fault(with("quality_score: 4.1", "quality_score: 4.1\n    availability: maybe")),
      HasSubstr("[maybe] must be available, degraded or unavailable"));
}

TEST(RegistryYaml, ReportsAllFaultsAtOnce) {
  const RegistryLoad load = parse_registry(
      "models:\n  - name: a\n  - {name: b, provider: x, quality_score: 9}\n  - 7\n", "m.yaml");
  EXPECT_EQ(load.registry, nullptr);
  // a: provider, input price, context, output price, latency, quality, answer; b: six and its
  // quality; 7: no mapping.
  EXPECT_EQ(load.faults.size(), 6 + 1 + 5 + 1 + 1U);
}

TEST(RegistryYaml, RefusesWhatIsNotARegistry) {
  EXPECT_THAT(first_fault(""), HasSubstr("must be a mapping"));
  EXPECT_THAT(first_fault("just text"), HasSubstr("must be a mapping"));
  EXPECT_THAT(first_fault("models: []"), HasSubstr("must be a list of 1 to 1000 models"));
  EXPECT_THAT(first_fault("models: {a: 1}"), HasSubstr("must be a list of 1 to 1000 models"));
  EXPECT_THAT(first_fault("models:\n  - {name: x\n"), HasSubstr("models.yaml:"));
  EXPECT_THAT(first_fault("models: " + std::string(40, '[') + std::string(40, ']')),
              HasSubstr("nested deeper"));
  EXPECT_THAT(first_fault("models: &a [*a]"), HasSubstr("anchors (&name) are not supported"));
}

TEST(RegistryYaml, ARepeatedModelOverwritesWithAWarning) {
  std::string yaml = kGood;
  yaml += yaml.substr(yaml.find("  - name"));
  yaml.replace(yaml.rfind("quality_score: 4.1"), 18, "quality_score: 3.0");
  const RegistryLoad load = parse_registry(yaml, "models.yaml");
  ASSERT_NE(load.registry, nullptr);
  EXPECT_EQ(load.registry->size(), 1U);
  EXPECT_DOUBLE_EQ(load.registry->get("big")->quality, 3.0);
  ASSERT_EQ(load.warnings.size(), 1U);
  EXPECT_THAT(load.warnings[0], HasSubstr("models.yaml:12: 'big' is defined again"));
}

TEST(RegistryYaml, AnAliasOfTwoModelsIsAFault) {
  std::string yaml = with("quality_score: 4.1", "quality_score: 4.1\n    aliases: [latest]");
  std::string second = yaml.substr(yaml.find("  - name"));
  second.replace(second.find("big"), 3, "two");
  EXPECT_THAT(first_fault(yaml + second),
              HasSubstr("models[1].aliases [(a list)] 'latest' already stands for 'big'"));
}

TEST(RegistryYaml, WritesWhatItReads) {
  const auto registry = default_registry();
  const RegistryLoad again = parse_registry(to_yaml(*registry), "written");
  ASSERT_NE(again.registry, nullptr) << again.faults.front().path << again.faults.front().rule;
  ASSERT_EQ(again.registry->size(), registry->size());
  for (std::size_t i = 0; i < registry->size(); ++i) {
    EXPECT_EQ(again.registry->all()[i], registry->all()[i]) << registry->all()[i].name;
  }
}

class RegistryFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("asahi_registry_" + std::to_string(::getpid()) + "_" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "models.yaml").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Writes, with a modification time `step` seconds later than real: no waiting for the clock to
  /// tick.
  void write(const std::string& text, int step = 0) {
    std::ofstream(path_, std::ios::binary) << text;
    std::filesystem::last_write_time(
        path_, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(step));
  }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(RegistryFile, LoadsAFile) {
  write(kGood);
  const RegistryLoad load = load_registry(path_);
  ASSERT_NE(load.registry, nullptr);
  EXPECT_EQ(load.registry->size(), 1U);
}

TEST_F(RegistryFile, AMissingOrHugeFileIsAFault) {
  EXPECT_THAT(load_registry(path_).faults.at(0).rule, HasSubstr(path_));
  EXPECT_EQ(load_registry(path_).faults.at(0).origin, path_);
  EXPECT_FALSE(load_registry(folder_.string()).faults.empty());
  write(std::string(1024 * 1024 + 1, '#'));
  EXPECT_THAT(load_registry(path_).faults.at(0).rule, HasSubstr("larger than 1048576 bytes"));
}

TEST_F(RegistryFile, ReloadTakesAGoodFile) {
  write(kGood);
  RegistryHolder holder(load_registry(path_).registry, path_);
  EXPECT_FALSE(holder.file_changed());
  write(with("quality_score: 4.1", "quality_score: 3.3"), 5);
  EXPECT_TRUE(holder.file_changed());
  EXPECT_TRUE(holder.reload().faults.empty());
  EXPECT_FALSE(holder.file_changed());
  EXPECT_DOUBLE_EQ(holder.get()->get("big")->quality, 3.3);
}

TEST_F(RegistryFile, ReloadKeepsTheOldRegistryOnAFault) {
  write(kGood);
  RegistryHolder holder(load_registry(path_).registry, path_);
  const auto before = holder.get();
  write(with("quality_score: 4.1", "quality_score: 33"), 5);
  const RegistryLoad load = holder.reload();
  ASSERT_EQ(load.faults.size(), 1U);
  EXPECT_EQ(load.faults[0].origin, path_ + ":9");
  EXPECT_EQ(holder.get(), before);
  EXPECT_FALSE(holder.file_changed()) << "the same fault must not be reported at every poll";
}

TEST_F(RegistryFile, AFileThatIsGoneKeepsTheRegistry) {
  write(kGood);
  RegistryHolder holder(load_registry(path_).registry, path_);
  std::filesystem::remove(path_);
  EXPECT_FALSE(holder.file_changed());
  EXPECT_FALSE(holder.reload().faults.empty());
  EXPECT_EQ(holder.get()->size(), 1U);
}

}  // namespace
}  // namespace asahi::gateway
