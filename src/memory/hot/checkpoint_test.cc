#include "memory/hot/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "memory/hot/engine.h"
#include "memory/hot/testing/samples.h"
#include "memory/rank/hot_keyword.h"

namespace asahi::memory::hot {
namespace {

namespace fs = std::filesystem;
using hot_testing::direction;
using hot_testing::erase;
using hot_testing::sample;
using hot_testing::TemporaryFolder;
using hot_testing::upsert;
using testing::SizeIs;

constexpr std::size_t kRows = 300;

enum class Save : std::uint8_t { kNever, kAlways };

EngineOptions options_of(const std::string& folder, Save save) {
  EngineOptions out;
  out.folder = folder;
  out.log.segment_bytes = 32 << 10;
  out.log.smallest_segment = 8 << 10;
  out.vectors.exact_rows = 50;
  out.checkpoint_rows = save == Save::kAlways ? 1 : SIZE_MAX;
  out.make_keyword = [] { return rank::make_keyword_index(system_clock()); };
  return out;
}

std::unique_ptr<Engine> start(EngineOptions options) {
  auto engine = Engine::open(std::move(options));
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}
std::unique_ptr<Engine> start(const std::string& folder, Save save) {
  return start(options_of(folder, save));
}

Memory numbered(std::uint64_t number, std::uint64_t version = 0) {
  Memory out =
      sample(std::to_string(number),
             "word" + std::to_string(number) + " version" + std::to_string(version) + " common",
             static_cast<std::int64_t>(version));
  out.embedding = direction(number * 100 + version, 16);
  out.embedding_model = "m";
  return out;
}

void write(Engine& engine, std::uint64_t from, std::uint64_t to, std::uint64_t version = 0) {
  std::vector<Memory> memories;
  for (std::uint64_t i = from; i < to; ++i) memories.push_back(numbered(i, version));
  ASSERT_TRUE(upsert(engine, memories));
}

/// A store of kRows linked rows, closed, with a checkpoint.
void fill_and_close(const std::string& folder) {
  const auto engine = start(folder, Save::kAlways);
  write(*engine, 0, kRows);
  engine->wait_until_linked();
}

std::vector<std::string> answers(const Engine& engine, const StoreQuery& query) {
  std::vector<std::string> out;
  const auto page = engine.search(query);
  if (!page) return {page.error().message};
  for (const StoreHit& hit : page->hits) {
    out.push_back(hit.key.conversation_id + " " + hit.text);
  }
  return out;
}

/// What every row is found by: its words, its vector.
std::vector<std::vector<std::string>> all_answers(const Engine& engine) {
  std::vector<std::vector<std::string>> out;
  StoreQuery query;
  query.tenant = "acme";
  query.embedding_model = "m";
  query.limit = 3;
  for (std::uint64_t i = 0; i < kRows + 40; ++i) {
    for (const std::uint64_t version : {0, 1}) {
      const Memory row = numbered(i, version);
      query.mode = SearchMode::kKeyword;
      query.text = "word" + std::to_string(i) + " version" + std::to_string(version);
      query.limit = 1;
      out.push_back(answers(engine, query));
      query.mode = SearchMode::kSemantic;
      query.embedding = row.embedding;
      out.push_back(answers(engine, query));
    }
  }
  return out;
}

/// What the log alone says: a copy of it, opened without a checkpoint.
std::vector<std::vector<std::string>> answers_of_log(const std::string& folder) {
  const TemporaryFolder copy;
  fs::copy(folder + "/shard_000", copy.path() + "/shard_000");
  EngineOptions options = options_of(copy.path(), Save::kNever);
  options.vectors.exact_rows = SIZE_MAX;
  return all_answers(*start(std::move(options)));
}

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(folder + "/checkpoint")) {
    out.push_back(entry.path().string());
  }
  std::ranges::sort(out);
  return out;
}

std::string graph_file(const std::string& folder) {
  for (const std::string& file : files_of(folder)) {
    if (file.find("graph-") != std::string::npos) return file;
  }
  return {};
}

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void set_bytes(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(HotCheckpoint, AStartTakesWordsAndLinksFromIt) {
  const TemporaryFolder folder;
  fill_and_close(folder.path());
  const auto engine = start(folder.path(), Save::kNever);
  const EngineStats stats = engine->engine_stats();
  EXPECT_EQ(stats.restored_rows, kRows);
  EXPECT_EQ(stats.restored_links, kRows);
  EXPECT_EQ(stats.unlinked, 0U);
  EXPECT_EQ(all_answers(*engine), answers_of_log(folder.path()));
}

TEST(HotCheckpoint, WhatWasWrittenSinceWins) {
  const TemporaryFolder folder;
  fill_and_close(folder.path());
  {
    const auto engine = start(folder.path(), Save::kNever);
    write(*engine, 0, 60, 1);
    std::vector<Key> gone;
    for (int i = 60; i < 120; ++i) gone.push_back({"acme", "agent", std::to_string(i)});
    ASSERT_TRUE(erase(*engine, gone));
    write(*engine, kRows, kRows + 40);  // in the slots of the gone
    engine->wait_until_linked();
    engine->wait_until_compact();
  }
  const auto engine = start(folder.path(), Save::kNever);
  const EngineStats stats = engine->engine_stats();
  EXPECT_EQ(stats.restored_rows, kRows - 120);
  EXPECT_EQ(stats.restored_links, kRows - 120);
  const auto right = answers_of_log(folder.path());
  EXPECT_EQ(all_answers(*engine), right);
  engine->wait_until_linked();
  EXPECT_EQ(all_answers(*engine), right);
}

TEST(HotCheckpoint, DamageAnywhereCostsTheCopyNeverAnAnswer) {
  const TemporaryFolder folder;
  fill_and_close(folder.path());
  const auto right = answers_of_log(folder.path());
  std::mt19937_64 random(5);
  const auto files = files_of(folder.path());
  ASSERT_THAT(files, SizeIs(2));
  for (const std::string& file : files) {
    const std::string whole = bytes_of(file);
    for (int round = 0; round < 6; ++round) {
      std::string changed = whole;
      if (round % 3 == 0) {
        changed.resize(random() % whole.size());
      } else {
        changed[random() % whole.size()] ^= static_cast<char>(1 << random() % 8);
      }
      set_bytes(file, changed);
      const auto engine = start(folder.path(), Save::kNever);
      const EngineStats stats = engine->engine_stats();
      EXPECT_EQ(stats.restored_links, 0U) << file;
      EXPECT_EQ(stats.restored_rows, file == graph_file(folder.path()) ? kRows : 0U) << file;
      ASSERT_EQ(all_answers(*engine), right) << file << " round " << round;
    }
    set_bytes(file, whole);
  }
}

TEST(HotCheckpoint, AMissingGraphIsLinkedAnewAndSavedAgain) {
  const TemporaryFolder folder;
  fill_and_close(folder.path());
  fs::remove(graph_file(folder.path()));
  {
    const auto engine = start(folder.path(), Save::kAlways);
    EXPECT_EQ(engine->engine_stats().restored_rows, kRows);
    EXPECT_EQ(engine->engine_stats().restored_links, 0U);
    engine->wait_until_linked();
  }
  EXPECT_EQ(start(folder.path(), Save::kNever)->engine_stats().restored_links, kRows);
}

/// A backup brought back beside a newer checkpoint: numbers of its rows are given out again.
TEST(HotCheckpoint, AnOlderLogBesideANewerCheckpointIsObeyed) {
  const TemporaryFolder folder, backup;
  {
    const auto engine = start(folder.path(), Save::kNever);
    write(*engine, 0, 100);
    ASSERT_TRUE(engine->copy_to(backup.path()));
  }
  {
    const auto engine = start(folder.path(), Save::kAlways);
    write(*engine, 100, 200);
    engine->wait_until_linked();
  }
  fs::remove_all(folder.path() + "/shard_000");
  fs::copy(backup.path() + "/shard_000", folder.path() + "/shard_000");
  {
    write(*start(folder.path(), Save::kNever), 200, kRows);
  }
  const auto engine = start(folder.path(), Save::kNever);
  EXPECT_EQ(engine->engine_stats().restored_rows, 100U);
  EXPECT_EQ(all_answers(*engine), answers_of_log(folder.path()));
}

TEST(HotCheckpoint, KeepsOneGenerationAndWhatDidNotChange) {
  const TemporaryFolder folder;
  fill_and_close(folder.path());
  const std::string first = graph_file(folder.path());
  for (std::uint64_t round = 1; round < 6; ++round) {
    const auto engine = start(folder.path(), Save::kAlways);
    Memory without_vector = sample("w" + std::to_string(round), "round " + std::to_string(round));
    ASSERT_TRUE(upsert(*engine, {without_vector}));
  }
  EXPECT_EQ(graph_file(folder.path()), first);
  for (std::uint64_t round = 1; round < 4; ++round) {
    const auto engine = start(folder.path(), Save::kAlways);
    write(*engine, 0, 10, round);
    engine->wait_until_linked();
  }
  EXPECT_NE(graph_file(folder.path()), first);
  EXPECT_THAT(files_of(folder.path()), SizeIs(2));
}

TEST(HotCheckpoint, WhereItCannotBeWrittenTheStoreWorksOn) {
  const TemporaryFolder folder;
  set_bytes(folder.path() + "/checkpoint", "a file where the folder should be");
  {
    const auto engine = start(folder.path(), Save::kAlways);
    write(*engine, 0, kRows);
    engine->wait_until_linked();
    while (engine->engine_stats().checkpoint_failures == 0) std::this_thread::yield();
  }
  const auto engine = start(folder.path(), Save::kNever);
  EXPECT_EQ(all_answers(*engine), answers_of_log(folder.path()));
}

TEST(HotCheckpoint, NoneLiesBesideAnEncryptedLog) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() + "/checkpoint");
  set_bytes(folder.path() + "/checkpoint/checkpoint", "from before the key was set");
  EngineOptions options = options_of(folder.path(), Save::kAlways);
  options.log.key.emplace().fill(7);
  {
    const auto engine = start(options);
    write(*engine, 0, 100);
    engine->wait_until_linked();
  }
  EXPECT_FALSE(fs::exists(folder.path() + "/checkpoint"));
  EXPECT_EQ(start(options)->stats("acme").records, 100U);
}

}  // namespace
}  // namespace asahi::memory::hot
