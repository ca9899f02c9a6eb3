#include "memory/embedding/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "memory/embedding/measured.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class EmbedderChoice : public ::testing::Test {
 protected:
  EmbedderChoice() {
    folder_ = fs::temp_directory_path() /
              ("embedder_choice_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    config_.embedding.model_path = folder_.string();
  }
  ~EmbedderChoice() override { fs::remove_all(folder_); }
  void write(const fs::path& file) {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << "no model";
  }

  fs::path folder_;
  MemoryConfig config_;
};

TEST_F(EmbedderChoice, WithoutAModelTextsAreHashed) {
  const ChosenEmbedder chosen = choose_embedder(config_);
  EXPECT_EQ(chosen.embedder->traits().tag, "local-1/384");
  EXPECT_EQ(embedding_mode(chosen.embedder->traits().tag), "fallback");
  EXPECT_EQ(chosen.problem, "");
}

TEST_F(EmbedderChoice, RandomVectorsAreTheSameEverywhere) {
  config_.embedding.fallback = "hash_random";
  config_.embedding_dimension = 64;
  const ChosenEmbedder one = choose_embedder(config_), other = choose_embedder(config_);
  const auto vector = [](const ChosenEmbedder& chosen, const char* text) {
    return *chosen.embedder->try_embed(text)->vector;
  };
  EXPECT_EQ(one.embedder->traits().tag, "hash_random-1/64");
  EXPECT_EQ(vector(one, "apollo"), vector(other, "apollo"));
  const auto apollo = vector(one, "apollo"), gemini = vector(one, "gemini");
  EXPECT_NEAR(llm::cosine(apollo, apollo), 1, 1e-6);
  EXPECT_LT(std::abs(llm::cosine(apollo, gemini)), 0.5);
  EXPECT_EQ(embedding_mode(one.embedder->traits().tag), "fallback");
}

TEST_F(EmbedderChoice, FindsTheModelsFile) {
  EXPECT_EQ(model_file(config_.embedding), "");
  write("all-MiniLM-L6-v2/onnx/model.onnx");
  EXPECT_THAT(model_file(config_.embedding), HasSubstr("onnx/model.onnx"));
  write("all-MiniLM-L6-v2/model.onnx");
  EXPECT_THAT(model_file(config_.embedding), HasSubstr("v2/model.onnx"));
  write("bge/model.onnx");
  config_.embedding.model = "bge";
  EXPECT_THAT(model_file(config_.embedding), HasSubstr("bge/model.onnx"));
  config_.embedding.model_path += "/bge/model.onnx";
  EXPECT_THAT(model_file(config_.embedding), HasSubstr("bge/model.onnx"));
}

TEST_F(EmbedderChoice, WhatIsEmbeddedIsCounted) {
  telemetry::Registry metrics;
  MeasuredEmbedder measured(choose_embedder(config_).embedder, metrics, system_clock());
  EXPECT_TRUE(measured.try_embed("apollo"));
  memory::testing::OnLoop loop;
  const auto many = loop.wait<std::vector<llm::Embedded>>(
      [&] { return measured.embed({"a", "b"}, llm::EmbedPurpose::kDocument, {}); });
  ASSERT_TRUE(many);
  const std::string text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("embedding_generated_total{mode=\"fallback\"} 3"));
  EXPECT_THAT(text, HasSubstr("embedding_batch_generated_total{mode=\"fallback\"} 1"));
  EXPECT_THAT(text, HasSubstr("akosha_embedding_batch_size_sum{mode=\"fallback\"} 2"));
}

TEST_F(EmbedderChoice, AModelThatCannotBeUsedIsToldAndDoesNotStopTheStart) {
  write("all-MiniLM-L6-v2/model.onnx");
  const ChosenEmbedder chosen = choose_embedder(config_);
  EXPECT_EQ(chosen.embedder->traits().tag, "local-1/384");
  EXPECT_THAT(chosen.problem, HasSubstr("memory.embedding."));
  EXPECT_EQ(embedding_mode("onnx/0123456789abcdef/384"), "real");
}

}  // namespace
}  // namespace asahi::memory
