// The index in this process: recall, deletion, bounds, files, threads. What it shares with the
// other backends is in ../index_contract_test.cc.
#include "storage/vector/local/local_index.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "storage/vector/local/checked_file.h"
#include "storage/vector/local/id_table.h"
#include "storage/vector/local/simd.h"
#include "storage/vector/testing/vectors.h"

namespace asahi::vector {
namespace {

using testing::HasSubstr;
using vector_testing::Clusters;
using vector_testing::cosine;

constexpr std::size_t kWidth = 96;

LocalOptions options_of(std::size_t dimensions = kWidth) {
  LocalOptions options;
  options.space = {"test-1", dimensions, {"topic", "good"}};
  options.exact_rows = 64;
  return options;
}

std::string id_of(std::size_t number) { return fmt::format("item-{}", number); }

struct Filled {
  Filled(LocalOptions options, std::size_t count, std::uint64_t seed = 7)
      : index(options), clusters(options.space.dimensions, 40, seed) {
    for (std::size_t i = 0; i < count; ++i) add();
  }
  void add() {
    vectors.push_back(clusters.next());
    const std::size_t number = vectors.size() - 1;
    const Item item{id_of(number),
                    vectors.back(),
                    {{"topic", fmt::format("t{}", number % 10)}, {"number", double(number)}}};
    const auto done = index.put("acme", std::span(&item, 1));
    EXPECT_TRUE(done) << done.error().message;
  }
  std::vector<std::string> nearest(const std::vector<float>& to, std::size_t k,
                                   const std::set<std::string>& without = {},
                                   int topic = -1) const {
    std::vector<std::pair<double, std::string>> all;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      if (without.contains(id_of(i)) || (topic >= 0 && i % 10 != std::size_t(topic))) continue;
      all.emplace_back(-cosine(to, vectors[i]), id_of(i));
    }
    std::ranges::sort(all);
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::min(k, all.size()); ++i) out.push_back(all[i].second);
    return out;
  }
  double recall(std::size_t queries, const std::set<std::string>& without = {}, int topic = -1) {
    double found = 0;
    for (std::size_t q = 0; q < queries; ++q) {
      Query query{clusters.next(), 10, {}, false};
      if (topic >= 0) query.filter = {{"topic", fmt::format("t{}", topic)}};
      const auto right = nearest(query.vector, 10, without, topic);
      const auto hits = index.search("acme", query);
      EXPECT_TRUE(hits);
      for (const Hit& hit : *hits) {
        EXPECT_FALSE(without.contains(hit.id)) << "an erased item was found";
        found += std::ranges::count(right, hit.id) > 0 ? 1.0 : 0.0;
      }
    }
    return found / static_cast<double>(queries * 10);
  }

  LocalIndex index;
  Clusters clusters;
  std::vector<std::vector<float>> vectors;
};

TEST(Simd, AgreesWithPlainSums) {
  std::minstd_rand random(3);
  for (const std::size_t length : {64, 128, 1024, 8192}) {
    alignas(64) static std::int8_t a[8192], b[8192];
    alignas(64) static std::int16_t query[8192];
    std::int64_t bytes = 0, words = 0, sum = 0;
    for (std::size_t i = 0; i < length; ++i) {
      a[i] = static_cast<std::int8_t>(random() % 256);
      b[i] = static_cast<std::int8_t>(random() % 256);
      query[i] = static_cast<std::int16_t>(random() % 4001 - 2000);
      bytes += a[i] * b[i];
      words += query[i] * b[i];
      sum += a[i];
    }
    const std::int8_t* const row = b;
    std::int32_t out = 0;
    simd::dot_rows(query, &row, 1, length, &out);
    EXPECT_EQ(out, words);
    EXPECT_EQ(simd::sum_of(a, length), sum);
    // Four at once, and the rest.
    const std::vector<const std::int8_t*> rows(7, b);
    std::vector<std::int32_t> products(rows.size());
    simd::dot_bytes(a, static_cast<std::int32_t>(sum), rows.data(), rows.size(), length,
                    products.data());
    EXPECT_THAT(products, testing::Each(bytes));
    std::int64_t halves = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const int byte = static_cast<std::uint8_t>(b[i / 64 * 32 + i % 32]);
      const int half = i % 64 < 32 ? byte & 15 : byte >> 4;
      halves += query[i] * (half < 8 ? half : half - 16);
    }
    EXPECT_EQ(simd::dot_halves(query, reinterpret_cast<const std::uint8_t*>(b), length), halves);
  }
  EXPECT_FALSE(simd::target().empty());
}

TEST(LocalIndex, FindsTheNearestAmongMany) {
  Filled filled(options_of(), 4000);
  EXPECT_GE(filled.recall(200), 0.97);
}

TEST(LocalIndex, ABytePerNumberFindsThemToo) {
  LocalOptions options = options_of();
  options.precision = Precision::kByte;
  Filled filled(options, 4000);
  EXPECT_GE(filled.recall(200), 0.95);
  const auto hits = filled.index.search("acme", {filled.vectors[17], 1, {}, false});
  ASSERT_TRUE(hits);
  EXPECT_EQ(hits->at(0).id, id_of(17));
  EXPECT_NEAR(hits->at(0).score, 1, 0.002);
}

TEST(IdTable, FindsWhatWasAddedAndNotWhatWasRemoved) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 3000; ++i) ids.push_back(id_of(i));
  const auto id = [&](std::uint32_t row) -> std::string_view { return ids[row]; };
  IdTable table;
  EXPECT_EQ(table.find("item-0", id), IdTable::kNone);
  table.remove("item-0", id);
  std::set<std::uint32_t> there;
  std::minstd_rand random(11);
  for (int step = 0; step < 20'000; ++step) {
    const auto row = static_cast<std::uint32_t>(random() % ids.size());
    if (there.erase(row) > 0) {
      table.remove(ids[row], id);
    } else {
      table.add(ids[row], row);
      there.insert(row);
    }
    ASSERT_EQ(table.size(), there.size());
  }
  for (std::uint32_t row = 0; row < ids.size(); ++row) {
    ASSERT_EQ(table.find(ids[row], id), there.contains(row) ? row : IdTable::kNone);
  }
}

TEST(LocalIndex, FewItemsAreComparedOneByOne) {
  Filled filled(options_of(), 60);
  EXPECT_EQ(filled.recall(100), 1.0);
}

TEST(LocalIndex, ScoresAreCosines) {
  Filled filled(options_of(), 2000);
  for (int i = 0; i < 20; ++i) {
    const auto query = filled.clusters.next();
    const auto hits = filled.index.search("acme", {query, 5, {}, false});
    ASSERT_EQ(hits->size(), 5u);
    for (const Hit& hit : *hits) {
      const std::size_t number = std::stoul(hit.id.substr(5));
      EXPECT_NEAR(hit.score, cosine(query, filled.vectors[number]), 1e-4);
    }
  }
}

TEST(LocalIndex, WideVectorsDoNotOverflow) {
  LocalOptions options = options_of(kMaxDimensions);
  LocalIndex index(options);
  const std::vector<float> same(kMaxDimensions, 1.0F), opposite(kMaxDimensions, -1.0F);
  const std::vector<Item> items{{"a", same, {}}, {"b", opposite, {}}};
  ASSERT_TRUE(index.put("t", items));
  const auto hits = index.search("t", {same, 2, {}, false});
  EXPECT_NEAR(hits->at(0).score, 1, 1e-4);
  EXPECT_NEAR(hits->at(1).score, -1, 1e-4);
}

TEST(LocalIndex, FiltersAmongMany) {
  Filled filled(options_of(), 4000);
  EXPECT_GE(filled.recall(50, {}, 3), 0.97);
  const auto hits = filled.index.search(
      "acme", {filled.clusters.next(), 50, {{"topic", std::string("t3")}}, true});
  ASSERT_EQ(hits->size(), 50u);
  for (const Hit& hit : *hits) EXPECT_EQ(std::get<std::string>(hit.metadata[0].value), "t3");
}

TEST(LocalIndex, AFilterThatMostPassUsesTheGraph) {
  LocalOptions options = options_of();
  options.search_effort = 32;
  LocalIndex index(options);
  Clusters clusters(kWidth, 40, 3);
  std::vector<std::vector<float>> vectors;
  for (std::size_t i = 0; i < 4000; ++i) {
    vectors.push_back(clusters.next());
    const Item item{id_of(i), vectors.back(), {{"good", i % 8 != 0}}};
    ASSERT_TRUE(index.put("acme", std::span(&item, 1)));
  }
  double found = 0;
  for (int q = 0; q < 50; ++q) {
    const auto query = clusters.next();
    std::vector<std::pair<double, std::string>> right;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      if (i % 8 != 0) right.emplace_back(-cosine(query, vectors[i]), id_of(i));
    }
    std::ranges::partial_sort(right, right.begin() + 10);
    const auto hits = index.search("acme", {query, 10, {{"good", true}}, false});
    for (const Hit& hit : *hits) {
      for (int i = 0; i < 10; ++i) found += right[static_cast<std::size_t>(i)].second == hit.id;
    }
  }
  EXPECT_GE(found / 500, 0.93);
}

TEST(LocalIndex, AFilterThatFewPassFindsAllOfThem) {
  Filled filled(options_of(), 4000);
  // One in a thousand: fewer than asked for.
  const std::vector<Item> rare{{"a", filled.clusters.next(), {{"good", true}}},
                               {"b", filled.clusters.next(), {{"good", true}}},
                               {"c", filled.clusters.next(), {{"good", true}}}};
  ASSERT_TRUE(filled.index.put("acme", rare));
  const auto hits =
      filled.index.search("acme", {filled.clusters.next(), 10, {{"good", true}}, false});
  ASSERT_EQ(hits->size(), 3u);
}

LocalOptions late_options() {
  LocalOptions options = options_of();
  options.max_unlinked = 100'000;
  return options;
}

TEST(LocalIndex, WhatWaitsForItsLinksIsFoundAtOnce) {
  Filled filled(late_options(), 0);
  std::vector<Item> items;
  for (std::size_t i = 0; i < 3000; ++i) {
    filled.vectors.push_back(filled.clusters.next());
    items.push_back({id_of(i), filled.vectors.back(), {{"topic", fmt::format("t{}", i % 10)}}});
  }
  ASSERT_TRUE(filled.index.put("acme", items));
  for (std::size_t i = 0; i < 3000; i += 100) {
    const auto hits = filled.index.search("acme", {filled.vectors[i], 1, {}, false});
    ASSERT_EQ(hits->at(0).id, id_of(i));
  }
  // Half linked, by whomever; some of both halves erased and replaced.
  while (filled.index.unlinked() > 1500) filled.index.link(50);
  std::set<std::string> gone;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 3000; i += 7) ids.push_back(id_of(i));
  gone.insert(ids.begin(), ids.end());
  EXPECT_EQ(filled.index.remove("acme", ids), ids.size());
  for (std::size_t i = 1; i < 3000; i += 7) {
    filled.vectors[i] = filled.clusters.next();
    const Item item{id_of(i), filled.vectors[i], {{"topic", fmt::format("t{}", i % 10)}}};
    ASSERT_TRUE(filled.index.put("acme", std::span(&item, 1)));
  }
  EXPECT_GE(filled.recall(50, gone), 0.97);
  EXPECT_GE(filled.recall(50, gone, 3), 0.97);
  while (filled.index.link(1000)) {
  }
  EXPECT_EQ(filled.index.unlinked(), 0u);
  EXPECT_EQ(filled.index.size(), 3000 - ids.size());
  EXPECT_GE(filled.recall(100, gone), 0.97);
}

TEST(LocalIndex, TheWritingThreadLinksWhatWaits) {
  Filled filled(late_options(), 1500);
  for (int i = 0; i < 60'000 && filled.index.unlinked() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(filled.index.unlinked(), 0u);
  EXPECT_GE(filled.recall(50), 0.97);
}

TEST(LocalIndex, WithTooManyWaitingWritesLinkThemselves) {
  LocalOptions options = options_of();
  options.max_unlinked = 200;
  Filled filled(options, 1500);
  EXPECT_LE(filled.index.unlinked(), 201u);
  EXPECT_GE(filled.recall(50), 0.97);
}

TEST(LocalIndex, ErasedItemsAreNeverFound) {
  Filled filled(options_of(), 3000);
  std::set<std::string> gone;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 3000; i += 3) ids.push_back(id_of(i));
  gone.insert(ids.begin(), ids.end());
  EXPECT_EQ(filled.index.remove("acme", ids), 1000u);
  EXPECT_EQ(filled.index.remove("acme", ids), 0u);
  EXPECT_EQ(filled.index.size("acme"), 2000u);
  EXPECT_GE(filled.recall(200, gone), 0.95);
  // Their places are used again, without growing.
  const std::size_t before = filled.index.bytes();
  for (int i = 0; i < 1000; ++i) filled.add();
  EXPECT_LT(filled.index.bytes(), before + before / 3);
  EXPECT_GE(filled.recall(200, gone), 0.95);
}

TEST(LocalIndex, KeepsItsRecallThroughAThousandTurnovers) {
  LocalOptions options = options_of();
  options.max_entries = 1000;
  std::set<std::string> gone;
  options.on_evict = [&](std::string_view tenant, std::string_view id) {
    EXPECT_EQ(tenant, "acme");
    gone.emplace(id);
  };
  Filled filled(options, 4000);
  EXPECT_EQ(filled.index.size(), 1000u);
  EXPECT_EQ(gone.size(), 3000u);
  EXPECT_TRUE(gone.contains(id_of(0)) && gone.contains(id_of(2999)));
  EXPECT_GE(filled.recall(200, gone), 0.95);
}

TEST(LocalIndex, EvictsFromTheLargestTenant) {
  LocalOptions options = options_of();
  options.max_entries = 100;
  LocalIndex index(options);
  Clusters clusters(kWidth, 4, 1);
  const auto put = [&](std::string_view tenant, const std::string& id) {
    const Item item{id, clusters.next(), {}};
    EXPECT_TRUE(index.put(tenant, std::span(&item, 1)));
  };
  for (int i = 0; i < 10; ++i) put("small", id_of(std::size_t(i)));
  for (int i = 0; i < 500; ++i) put("large", id_of(std::size_t(i)));
  EXPECT_EQ(index.size("small"), 10u);
  EXPECT_EQ(index.size("large"), 90u);
}

TEST(LocalIndex, RefusesWhenFullIfAskedTo) {
  LocalOptions options = options_of();
  options.max_entries = 10;
  options.when_full = WhenFull::kRefuse;
  LocalIndex index(options);
  Clusters clusters(kWidth, 4, 1);
  for (std::size_t i = 0; i < 10; ++i) {
    const Item item{id_of(i), clusters.next(), {}};
    ASSERT_TRUE(index.put("t", std::span(&item, 1)));
  }
  const Item more{"more", clusters.next(), {}};
  const auto refused = index.put("t", std::span(&more, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  const Item again{id_of(3), clusters.next(), {}};
  EXPECT_TRUE(index.put("t", std::span(&again, 1))) << "an overwrite needs no room";
}

TEST(LocalIndex, HoldsItsBoundOfMemory) {
  LocalOptions options = options_of();
  options.max_bytes = 300 * 1024;
  LocalIndex index(options);
  Clusters clusters(kWidth, 4, 1);
  for (std::size_t i = 0; i < 3000; ++i) {
    const Item item{id_of(i), clusters.next(), {{"text", std::string(100, 'x')}}};
    ASSERT_TRUE(index.put("t", std::span(&item, 1)));
  }
  EXPECT_LE(index.bytes(), 310u * 1024);
  EXPECT_GT(index.size(), 300u);
}

TEST(LocalIndex, MemoryOfATenantThatShrankIsGivenBack) {
  LocalOptions options = options_of();
  options.max_entries = 20'000;
  Filled filled(options, 9000);
  const std::size_t before = filled.index.bytes();
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 8500; ++i) ids.push_back(id_of(i));
  EXPECT_EQ(filled.index.remove("acme", ids), 8500u);
  EXPECT_LT(filled.index.bytes(), before / 4);
  const std::set<std::string> gone(ids.begin(), ids.end());
  EXPECT_GE(filled.recall(50, gone), 0.97);
}

TEST(LocalIndex, TheSameInsertsMakeTheSameIndex) {
  LocalOptions options = options_of();
  const auto file = std::filesystem::path(testing::TempDir()) / "vectors_same";
  std::string first;
  for (int round = 0; round < 2; ++round) {
    options.file = file.string() + std::to_string(round);
    Filled filled(options, 1500);
    ASSERT_TRUE(filled.index.save_now());
    const auto mapped = MappedFile::open(options.file);
    ASSERT_TRUE(mapped);
    if (round == 0) first = mapped->bytes();
    if (round == 1) EXPECT_TRUE(mapped->bytes() == first);
  }
}

class LocalIndexFile : public testing::Test {
 protected:
  LocalIndexFile() {
    folder_ = testing::TempDir() + fmt::format("asahi_vectors_{}", ::getpid());
    std::filesystem::create_directories(folder_);
    options_ = options_of();
    options_.file = folder_ + "/vectors.bin";
  }
  ~LocalIndexFile() override { std::filesystem::remove_all(folder_); }

  std::string contents() const {
    std::ifstream in(options_.file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string folder_;
  LocalOptions options_;
};

TEST_F(LocalIndexFile, ComesBackAsItWas) {
  Filled filled(options_, 2000);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 300; ++i) ids.push_back(id_of(i * 2));
  filled.index.remove("acme", ids);
  const std::vector<Item> other{{"x", filled.vectors[0], {{"good", true}, {"n", 1.5}}}};
  ASSERT_TRUE(filled.index.put("other", other));
  ASSERT_TRUE(filled.index.save_now());

  LocalIndex again(options_);
  const auto loaded = again.load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(again.size(), filled.index.size());
  EXPECT_EQ(again.size("acme"), 1700u);
  for (int i = 0; i < 50; ++i) {
    const Query query{filled.clusters.next(), 10, {}, true};
    const auto a = filled.index.search("acme", query), b = again.search("acme", query);
    ASSERT_EQ(a->size(), b->size());
    for (std::size_t k = 0; k < a->size(); ++k) {
      EXPECT_EQ(a->at(k).id, b->at(k).id);
      EXPECT_EQ(a->at(k).metadata, b->at(k).metadata);
    }
  }
  const auto found = again.search("other", {filled.vectors[0], 3, {{"good", true}}, true});
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->at(0).metadata, other[0].metadata);
  // And it goes on from there.
  const std::vector<Item> more{{"y", filled.vectors[3], {}}};
  ASSERT_TRUE(again.put("acme", more));
  EXPECT_EQ(again.search("acme", {filled.vectors[3], 2, {}, false})->at(0).score, 1.0F);
}

TEST_F(LocalIndexFile, WhatWaitsForItsLinksComesBackToo) {
  options_.max_unlinked = 100'000;
  Filled filled(options_, 0);
  std::vector<Item> items;
  for (std::size_t i = 0; i < 2000; ++i) items.push_back({id_of(i), filled.clusters.next(), {}});
  ASSERT_TRUE(filled.index.put("acme", items));
  ASSERT_TRUE(filled.index.save_now());
  LocalIndex again(options_);
  ASSERT_TRUE(again.load());
  while (again.link(1000)) {
  }
  for (std::size_t i = 0; i < 2000; i += 50) {
    EXPECT_EQ(again.search("acme", {items[i].vector, 1, {}, false})->at(0).id, id_of(i));
  }
}

TEST_F(LocalIndexFile, OfAnOlderVersionStaysOut) {
  LocalIndex index(options_);
  EXPECT_EQ(index.load_bytes("asahi vectors 1\n and more").error().code, Errc::kConflict);
}

TEST_F(LocalIndexFile, OtherFilterFieldsAreFoundInWhatWasKept) {
  {
    Filled filled(options_, 500);
    ASSERT_TRUE(filled.index.save_now());
  }
  options_.space.filter_fields = {"number", "topic", "good"};
  LocalIndex again(options_);
  ASSERT_TRUE(again.load());
  Clusters clusters(kWidth, 40, 7);
  const Query query{clusters.next(), 10, {{"topic", std::string("t3")}, {"number", 13.0}}, true};
  const auto hits = again.search("acme", query);
  ASSERT_EQ(hits->size(), 1u);
  EXPECT_EQ(hits->at(0).id, id_of(13));
}

TEST_F(LocalIndexFile, AMissingFileIsNotFound) {
  LocalIndex index(options_);
  EXPECT_EQ(index.load().error().code, Errc::kNotFound);
}

TEST_F(LocalIndexFile, AnyChangedByteIsFound) {
  {
    Filled filled(options_, 200);
    ASSERT_TRUE(filled.index.save_now());
  }
  const std::string good = contents();
  std::minstd_rand random(5);
  for (int i = 0; i < 200; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    LocalIndex index(options_);
    const auto loaded = index.load_bytes(bad);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::kCorrupt);
    EXPECT_EQ(index.size(), 0u);
  }
}

TEST_F(LocalIndexFile, ACutFileIsFound) {
  {
    Filled filled(options_, 200);
    ASSERT_TRUE(filled.index.save_now());
  }
  const std::string good = contents();
  for (std::size_t size = 0; size < good.size(); size += 997) {
    LocalIndex index(options_);
    EXPECT_EQ(index.load_bytes(std::string_view(good).substr(0, size)).error().code,
              Errc::kCorrupt);
  }
  LocalIndex index(options_);
  EXPECT_EQ(index.load_bytes(good + "x").error().code, Errc::kCorrupt);
}

TEST_F(LocalIndexFile, VectorsOfAnotherModelStayOut) {
  {
    Filled filled(options_, 20);
    ASSERT_TRUE(filled.index.save_now());
  }
  LocalOptions other = options_;
  other.space.model = "test-2";
  LocalIndex index(other);
  const auto loaded = index.load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::kConflict);
  EXPECT_EQ(index.size(), 0u);
}

TEST_F(LocalIndexFile, AFullDiskLeavesTheOldFileAndTheIndex) {
  Filled filled(options_, 300);
  ASSERT_TRUE(filled.index.save_now());
  const std::string before = contents();
  filled.add();
  // A limit on the size of files fails writes as a full disk does.
  struct rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const struct rlimit small{4096, limit.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const auto saved = filled.index.save_now();
  setrlimit(RLIMIT_FSIZE, &limit);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::kUnavailable);
  EXPECT_THAT(saved.error().message, HasSubstr("stay in memory"));
  EXPECT_TRUE(contents() == before);
  EXPECT_FALSE(std::filesystem::exists(options_.file + ".new"));
  EXPECT_EQ(filled.index.size(), 301u);
  EXPECT_TRUE(filled.index.save_now());
}

TEST_F(LocalIndexFile, AFolderThatIsGoneIsAnError) {
  options_.file = folder_ + "/none/vectors.bin";
  Filled filled(options_, 3);
  EXPECT_EQ(filled.index.save_now().error().code, Errc::kUnavailable);
}

/// With links made by the writes, and by the index's own thread.
class LocalIndexThreads : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Unlinked, LocalIndexThreads, testing::Values(0, 500));

TEST_P(LocalIndexThreads, SearchesRunBesideWrites) {
  LocalOptions options = options_of();
  options.max_entries = 1500;
  options.max_unlinked = GetParam();
  Filled filled(options, 1000);
  std::atomic<bool> stop = false;
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < 64; ++i) queries.push_back(filled.clusters.next());
  std::vector<std::thread> readers;
  std::atomic<std::size_t> searches = 0;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      for (std::size_t i = 0; !stop; ++i) {
        Query query{queries[(i + std::size_t(t) * 31) % queries.size()], 5, {}, true};
        if (i % 3 == 0) query.filter = {{"topic", std::string("t1")}};
        const auto hits = filled.index.search("acme", query);
        ASSERT_TRUE(hits);
        for (const Hit& hit : *hits) {
          ASSERT_GE(hit.score, -1.0F);
          ASSERT_LE(hit.score, 1.0F);
          ASSERT_EQ(hit.metadata.size(), 2u);
        }
        ++searches;
      }
    });
  }
  for (int i = 0; i < 1500; ++i) {
    filled.add();
    if (i % 5 == 0) {
      const std::vector<std::string> ids{id_of(static_cast<std::size_t>(i * 7 % 2000))};
      filled.index.remove("acme", ids);
    }
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_GT(searches, 100u);
}

TEST(LocalIndex, TellsWhatItHolds) {
  Filled filled(options_of(), 200);
  EXPECT_TRUE(filled.index.contains("acme", id_of(7)));
  EXPECT_FALSE(filled.index.contains("acme", "unknown"));
  EXPECT_FALSE(filled.index.contains("rival", id_of(7)));
  EXPECT_THAT(filled.index.tenants(), testing::ElementsAre("acme"));
  const std::vector<std::string> gone{id_of(7)};
  filled.index.remove("acme", gone);
  EXPECT_FALSE(filled.index.contains("acme", id_of(7)));
  const auto ids = filled.index.ids("acme");
  EXPECT_EQ(ids.size(), 199U);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).count(id_of(7)), 0U);
  EXPECT_TRUE(filled.index.ids("rival").empty());
}

TEST(LocalIndex, TellsOfEvictionsWhoeverListensNow) {
  LocalOptions options = options_of();
  options.max_entries = 3;
  Filled filled(options, 3);
  std::vector<std::string> told;
  filled.index.on_evict([&told](std::string_view tenant, std::string_view id) {
    told.push_back(fmt::format("{} {}", tenant, id));
  });
  filled.add();
  filled.index.on_evict({});
  filled.add();
  EXPECT_THAT(told, testing::ElementsAre("acme " + id_of(0)));
}

}  // namespace
}  // namespace asahi::vector
