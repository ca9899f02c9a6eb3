// The cold tier over a folder and over a real S3-protocol server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "memory/cold/keys.h"
#include "memory/cold/store.h"
#include "storage/columnar/private_folder.h"
#include "storage/object/folder_store.h"
#include "storage/object/s3_store.h"
#include "storage/object/testing/s3_server.h"

namespace asahi::memory::cold {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

enum class Backend { kFolder, kS3 };

/// Fails from the n-th commit on, as a process does that is killed there.
class DyingCatalogue final : public Catalogue {
 public:
  explicit DyingCatalogue(Catalogue& real) : real_(real) {}
  Result<std::vector<ColdFile>> load() override { return real_.load(); }
  Result<void> commit(const CatalogueChange& change) override {
    if (left == 0) return fail(Errc::kUnavailable, "killed");
    --left;
    return real_.commit(change);
  }
  int left = 1'000'000;

 private:
  Catalogue& real_;
};

/// An object store with something of the test's before a file is put.
class HookedObjects final : public object::ObjectStore {
 public:
  explicit HookedObjects(std::unique_ptr<object::ObjectStore> real) : real_(std::move(real)) {}
  std::function<void()> before_put_file;

  Result<object::ObjectInfo> put(const std::string& key, std::string_view bytes,
                                 const object::PutOptions& options = {}) override {
    return real_->put(key, bytes, options);
  }
  Result<object::ObjectInfo> put_file(const std::string& key, const std::string& path,
                                      const object::PutOptions& options = {}) override {
    if (before_put_file) std::exchange(before_put_file, {})();
    return real_->put_file(key, path, options);
  }
  Result<std::unique_ptr<object::Upload>> begin_upload(
      const std::string& key, const object::PutOptions& options = {}) override {
    return real_->begin_upload(key, options);
  }
  Result<object::ObjectInfo> read(const std::string& key, const object::Sink& sink,
                                  const object::ReadOptions& options = {}) override {
    return real_->read(key, sink, options);
  }
  Result<std::optional<object::ObjectInfo>> head(const std::string& key) override {
    return real_->head(key);
  }
  Result<object::Page> list(const object::ListQuery& query) override { return real_->list(query); }
  Result<void> erase(const std::string& key) override { return real_->erase(key); }
  void stop() override { real_->stop(); }
  std::string where() const override { return real_->where(); }

 private:
  std::unique_ptr<object::ObjectStore> real_;
};

class ColdStoreContract : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::kFolder) {
      objects_ = std::make_unique<HookedObjects>(
          object::FolderStore::open(folder_.path() + "/objects").value());
    } else {
      const auto& server = object_testing::S3Server::shared();
      if (!server) GTEST_SKIP() << server.error().message;
      server_ = server->get();
      server_->reset();
      static int tests = 0;
      objects_ = std::make_unique<HookedObjects>(
          object::S3Store::open(server_->options("cold" + std::to_string(++tests))).value());
    }
    open();
  }
  void TearDown() override { store_.reset(); }

  void open() {
    store_.reset();
    tier_.reset();
    ColdOptions options;
    options.temp_folder = folder_.path() + "/temp";
    options.file = {.group_rows = 100, .page_rows = 32};
    options.whole_bytes = whole_bytes_;
    options.archive.storage_class = archive_class_;
    catalogue_ = std::make_unique<FileCatalogue>(folder_.path() + "/catalogue");
    dying_ = std::make_unique<DyingCatalogue>(*catalogue_);
    auto opened = ColdTier::open(*objects_, *dying_, clock_, options);
    ASSERT_TRUE(opened) << opened.error().message;
    tier_ = *std::move(opened);
    store_ = std::make_unique<ColdStore>(*tier_, 2, 64);
  }
  template <class T>
  Result<T> wait(std::function<Task<T>()> body) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(body));
  }
  Result<std::vector<UpsertOutcome>> upsert(std::vector<Memory> memories) {
    return wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      co_return co_await store_->upsert_batch(memories, {});
    });
  }
  std::optional<Memory> get(const Key& key) {
    auto got =
        wait<std::vector<std::optional<Memory>>>([&]() -> Task<std::vector<std::optional<Memory>>> {
          std::vector<Key> keys = {key};
          co_return co_await store_->get(keys);
        });
    EXPECT_TRUE(got) << got.error().message;
    return got ? got->at(0) : std::nullopt;
  }
  Result<ColdPage> search(StoreQuery query) {
    return wait<ColdPage>(
        [&]() -> Task<ColdPage> { co_return co_await store_->search_all(query); });
  }
  Result<std::uint64_t> erase(std::vector<Key> keys) {
    return wait<std::uint64_t>(
        [&]() -> Task<std::uint64_t> { co_return co_await store_->delete_batch(keys); });
  }
  Result<Compacted> compact() {
    return wait<Compacted>([&]() -> Task<Compacted> { co_return co_await store_->compact(60s); });
  }
  std::vector<std::string> object_keys() {
    std::vector<std::string> keys;
    EXPECT_TRUE(objects_->each("", [&](const object::ObjectInfo& object) {
      keys.push_back(object.key);
      return true;
    }));
    return keys;
  }
  static std::vector<std::string> ids(const ColdPage& page) {
    std::vector<std::string> out;
    for (const StoreHit& hit : page.page.hits) out.push_back(hit.key.conversation_id);
    return out;
  }

  static Memory memory(const std::string& id, const std::string& text, int day = 0,
                       const std::string& system = "agent", const std::string& tenant = "org") {
    Memory out;
    out.key = {.tenant = tenant, .system_id = system, .conversation_id = id};
    out.content = text;
    out.timestamp = parse_rfc3339("2026-03-01T12:00:00Z").value() + day * 24h;
    out.uploaded_at = out.timestamp + 1h;
    out.metadata = R"({"project":"apollo","tags":["a","b"]})";
    out.content_hash = sha256(text);
    out.fingerprint.fill(7);
    return out;
  }
  static StoreQuery words(const std::string& text) {
    StoreQuery query;
    query.tenant = "org";
    query.mode = SearchMode::kKeyword;
    query.text = text;
    return query;
  }

  columnar::PrivateFolder folder_ = columnar::PrivateFolder::make("").value();
  object_testing::S3Server* server_ = nullptr;
  ManualClock clock_{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  std::uint64_t whole_bytes_ = 2 << 20;
  std::string archive_class_;
  net::LoopPool loops_{1};
  std::unique_ptr<HookedObjects> objects_;
  std::unique_ptr<FileCatalogue> catalogue_;
  std::unique_ptr<DyingCatalogue> dying_;
  std::unique_ptr<ColdTier> tier_;
  std::unique_ptr<ColdStore> store_;

  ColdStoreContract() { loops_.start(); }
};

TEST_P(ColdStoreContract, GivesBackWhatItTookEvenAfterARestart) {
  Memory with_vector = memory("v", "has a vector");
  with_vector.embedding = {0.6F, -0.8F, 0, 0};
  with_vector.embedding_model = "m";
  ASSERT_THAT(upsert({memory("a", "one"), with_vector, memory("b", "two", 31)}).value(),
              ElementsAre(UpsertOutcome::kStored, UpsertOutcome::kStored, UpsertOutcome::kStored));
  for (const std::uint64_t whole : {2ULL << 20, 0ULL}) {
    whole_bytes_ = whole;
    open();
    EXPECT_EQ(get(memory("a", "").key), memory("a", "one"));
    EXPECT_EQ(get(with_vector.key), as_kept(with_vector));
    EXPECT_EQ(get(memory("b", "").key), memory("b", "two", 31));
    EXPECT_EQ(get(memory("c", "").key), std::nullopt);
    EXPECT_EQ(get(memory("a", "", 0, "other").key), std::nullopt);
    EXPECT_EQ(get(memory("a", "", 0, "agent", "other").key), std::nullopt);
  }
  const auto sums =
      wait<std::vector<std::optional<Digest>>>([&]() -> Task<std::vector<std::optional<Digest>>> {
        std::vector<Key> keys = {with_vector.key, memory("c", "").key};
        co_return co_await store_->checksum(keys);
      });
  EXPECT_EQ(sums->at(0), row_checksum(as_kept(with_vector)));
  EXPECT_EQ(sums->at(1), std::nullopt);
  const auto keys = object_keys();
  ASSERT_THAT(keys, SizeIs(2));  // one per month
  EXPECT_TRUE(keys[0].starts_with("org/conversations/agent/2026/03/01/batch_20261122_100000_"));
  EXPECT_TRUE(keys[1].starts_with("org/conversations/agent/2026/04/01/"));
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/temp"));
}

TEST_P(ColdStoreContract, ChangesNothingWhenTheSameComesAgain) {
  ASSERT_TRUE(upsert({memory("a", "one"), memory("b", "two")}));
  EXPECT_THAT(upsert({memory("a", "one"), memory("b", "older text", -1),
                      memory("b", "newer text", 1), memory("b", "newer text", 1)})
                  .value(),
              ElementsAre(UpsertOutcome::kUnchanged, UpsertOutcome::kOlder,
                          UpsertOutcome::kReplaced, UpsertOutcome::kUnchanged));
  EXPECT_EQ(get(memory("b", "").key)->content, "newer text");
  const TierStats stats = tier_->stats("org");
  EXPECT_EQ(stats.records, 2U);
  EXPECT_EQ(stats.oldest, memory("a", "").timestamp);
  EXPECT_EQ(tier_->stats("other").records, 0U);
  EXPECT_THAT(ids(search(words("text")).value()), ElementsAre("b"));
}

TEST_P(ColdStoreContract, RefusesWhatIsNoMemory) {
  EXPECT_EQ(upsert({}).error().code, Errc::kInvalidArgument);
  Memory wrong = memory("a", "x");
  wrong.embedding = {std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(upsert({wrong}).error().field, "memories[0].embedding");
  EXPECT_EQ(upsert({memory("ok", "x"), memory("a", "x", 0, "../up")}).error().field,
            "memories[1].system_id");
  EXPECT_THAT(object_keys(), IsEmpty());
}

TEST_P(ColdStoreContract, FindsWordsAndPrunesByTimeAndSystem) {
  ASSERT_TRUE(upsert({memory("a", "The deployment failed with a timeout", 0),
                      memory("b", "Deployments succeeded; deployments are fine", 31),
                      memory("c", "Nothing of interest", 32),
                      memory("d", "timeout of a deployment", 0, "second"),
                      memory("e", "timeout of a deployment", 0, "agent", "another-org")}));
  auto found = search(words("deployment timeouts")).value();
  EXPECT_TRUE(found.complete);
  EXPECT_EQ(found.page.total, 3U);
  EXPECT_THAT(ids(found), ::testing::Contains("a"));
  EXPECT_EQ(ids(found).back(), "b");
  EXPECT_EQ(found.page.hits[0].tier, Tier::kCold);
  EXPECT_THAT(found.page.hits[0].explanation.matched_terms, SizeIs(2));
  EXPECT_GT(found.page.hits[0].explanation.bm25.value(), 0);

  StoreQuery query = words("deployment");
  query.filter.start = memory("", "", 31).timestamp;
  found = search(query).value();
  EXPECT_THAT(ids(found), ElementsAre("b"));
  EXPECT_EQ(found.files, 1U) << "only files of that time are read";
  query = words("deployment");
  query.filter.system_ids = {"second", "agent"};
  query.filter.systems_allowed = {{"second"}};
  EXPECT_THAT(ids(search(query).value()), ElementsAre("d"));
  query = words("deployment");
  query.filter.metadata = {{"tags", "b"}, {"project", "apollo"}};
  query.facets = {"system_id", "tags", "date", "date:month"};
  query.limit = 1;
  found = search(query).value();
  EXPECT_THAT(ids(found), SizeIs(1));
  EXPECT_EQ(found.page.total, 3U);
  EXPECT_EQ(found.page.facets["tags"]["a"], 4U);
  EXPECT_EQ(found.page.facets["system_id"]["second"], 1U);
  EXPECT_EQ(found.page.facets["date"]["2026-03-01"], 2U);
  EXPECT_GE(found.page.facets["date:month"]["2026-03"], 2U);
  query.filter.metadata = {{"tags", "z"}};
  EXPECT_EQ(search(query)->page.total, 0U);
  query = words("");
  EXPECT_THAT(ids(search(query).value()), ElementsAre("c", "b", "a", "d"));
}

TEST_P(ColdStoreContract, RescoresVectorsOfOneModel) {
  const auto with = [](Memory m, std::vector<float> vector, const std::string& model) {
    m.embedding = std::move(vector);
    m.embedding_model = model;
    return m;
  };
  ASSERT_TRUE(
      upsert({with(memory("x", "first axis"), {1, 0, 0}, "m"),
              with(memory("y", "between"), {0.8F, 0.6F, 0}, "m"),
              with(memory("z", "third axis"), {0, 0, 1}, "m"),
              with(memory("w", "another model"), {1, 0, 0}, "n"), memory("n", "no vector")}));
  StoreQuery query;
  query.tenant = "org";
  query.mode = SearchMode::kSemantic;
  query.embedding = {1, 0, 0};
  query.embedding_model = "m";
  query.threshold = 0.5;
  const auto found = search(query).value();
  EXPECT_THAT(ids(found), ElementsAre("x", "y"));
  EXPECT_NEAR(*found.page.hits[1].similarity, 0.8, 0.01);
  query.mode = SearchMode::kHybrid;
  query.text = "third";
  EXPECT_EQ(search(query)->page.hits.size(), 3U);
}

TEST_P(ColdStoreContract, ErasesAtOnceAndForGoodWithACompaction) {
  std::vector<Memory> many;
  for (int i = 0; i < 300; ++i) many.push_back(memory("id" + std::to_string(1'000 + i), "word"));
  ASSERT_TRUE(upsert(many));
  ASSERT_TRUE(upsert({memory("late", "word")}));
  EXPECT_EQ(erase({many[7].key, many[7].key, memory("unknown", "").key}).value(), 1U);
  EXPECT_EQ(erase({many[7].key}).value(), 0U);
  EXPECT_EQ(get(many[7].key), std::nullopt);
  open();
  EXPECT_EQ(get(many[7].key), std::nullopt);
  EXPECT_EQ(search(words("word"))->page.total, 300U);
  EXPECT_EQ(tier_->stats("org").records, 300U);

  const auto sums_before = row_checksum(*get(many[8].key));
  const auto done = compact();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->files_before, 2U);
  EXPECT_EQ(done->files_after, 1U);
  EXPECT_EQ(done->rows_dropped, 1U);
  EXPECT_EQ(search(words("word"))->page.total, 300U);
  EXPECT_EQ(row_checksum(*get(many[8].key)), sums_before);
  EXPECT_THAT(object_keys(), SizeIs(3)) << "readers of the old files finish";
  clock_.advance(1h);
  EXPECT_EQ(compact()->objects_erased, 2U);
  EXPECT_THAT(object_keys(), SizeIs(1));
  EXPECT_EQ(compact()->files_before, 0U) << "nothing is left to do";
  EXPECT_EQ(get(many[299].key)->content, "word");

  EXPECT_EQ(wait<std::uint64_t>([&]() -> Task<std::uint64_t> {
              co_return co_await store_->delete_system("org", "agent");
            }).value(),
            300U);
  EXPECT_EQ(search(words("word"))->page.total, 0U);
  clock_.advance(1h);
  ASSERT_TRUE(compact());
  EXPECT_THAT(object_keys(), IsEmpty());
}

TEST_P(ColdStoreContract, AnswersFromTheOthersWhenAFileIsDamagedOrMissing) {
  whole_bytes_ = 0;  // the hard case: only what is read is checked
  for (const std::uint64_t whole : {2ULL << 20, 0ULL}) {
    whole_bytes_ = whole;
    open();
    const std::string system = whole == 0 ? "second" : "agent";
    ASSERT_TRUE(upsert({memory("a", "word", 0, system), memory("b", "word", 31, system),
                        memory("c", "word", 62, system)}));
    open();
    std::vector<std::string> keys;
    for (const std::string& key : object_keys()) {
      if (key.contains("/" + system + "/")) keys.push_back(key);
    }
    ASSERT_THAT(keys, SizeIs(3));
    std::string bytes = objects_->get(keys[0], 1 << 20).value();
    for (std::size_t i = 4; i < bytes.size() - 8; i += 40) bytes[i] = static_cast<char>(~bytes[i]);
    ASSERT_TRUE(objects_->put(keys[0], bytes));
    ASSERT_TRUE(objects_->erase(keys[1]));
    StoreQuery query = words("word");
    query.filter.system_ids = {system};
    const auto found = search(query);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_THAT(ids(*found), ElementsAre("c"));
    EXPECT_FALSE(found->complete);
    std::vector<Errc> why;
    for (const Unread& unread : found->unread) why.push_back(unread.error.code);
    EXPECT_THAT(why, UnorderedElementsAre(Errc::kCorrupt, Errc::kNotFound));
    const auto got = tier_->get({memory("a", "", 0, system).key, memory("b", "", 0, system).key,
                                 memory("c", "", 0, system).key});
    EXPECT_EQ(got[0].error().code, Errc::kCorrupt);
    EXPECT_EQ(got[1].error().code, Errc::kNotFound);
    EXPECT_EQ(got[2].value()->content, "word");
    query.filter.end = memory("", "", 62).timestamp;
    EXPECT_FALSE(search(query)) << "when nothing can be read, that is an error";
    // Storing them again heals it.
    ASSERT_TRUE(upsert({memory("a", "word", 0, system), memory("b", "word", 31, system)}));
    EXPECT_EQ(get(memory("a", "", 0, system).key)->content, "word");
    EXPECT_TRUE(compact());
    EXPECT_EQ(get(memory("b", "", 0, system).key)->content, "word");
  }
}

TEST_P(ColdStoreContract, ABatchOfManySystemsAndMonthsTakesTwoCommits) {
  dying_->left = 2;
  ASSERT_TRUE(upsert({memory("a", "word", 0, "one"), memory("b", "word", 31, "one"),
                      memory("c", "word", 0, "two"), memory("d", "word", 5, "three")}));
  EXPECT_EQ(dying_->left, 0);
  EXPECT_THAT(object_keys(), SizeIs(4));
  open();
  EXPECT_EQ(search(words("word"))->page.total, 4U);
}

TEST_P(ColdStoreContract, IsWholeWhereverItIsKilled) {
  ASSERT_TRUE(upsert({memory("a", "first"), memory("b", "first", 1)}));
  for (int commits = 0; commits < 8; ++commits) {
    open();
    dying_->left = commits;
    const std::string text = "text " + std::to_string(commits);
    const auto done = upsert({memory("a", text, commits + 2), memory("n", text, commits + 2)});
    const auto compacted = compact();
    open();
    const auto a = get(memory("a", "").key), n = get(memory("n", "").key);
    ASSERT_TRUE(a);
    if (done) {
      EXPECT_EQ(a->content, text);
      EXPECT_EQ(n->content, text);
    } else {
      EXPECT_NE(a->content, text);
    }
    EXPECT_EQ(search(words("first text"))->page.total, tier_->stats("org").records);
    EXPECT_EQ(tier_->stats("org").records, n ? 3U : 2U);
    const auto files = catalogue_->load().value();
    EXPECT_THAT(object_keys(), SizeIs(files.size())) << "nothing is left that nobody knows";
    (void)compacted;
  }
}

TEST_P(ColdStoreContract, SmallFilesAreMergedAsTheyGather) {
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(tier_->tidy(Clock::Steady::max())->files_before, 0U) << "not ripe: " << i;
    ASSERT_TRUE(upsert({memory("id" + std::to_string(i), "word", i % 3)}));
  }
  ASSERT_TRUE(upsert({memory("april", "word", 31), memory("other", "word", 0, "second")}));
  EXPECT_EQ(erase({memory("id3", "").key}).value(), 1U);
  const auto done = tier_->tidy(Clock::Steady::max()).value();
  EXPECT_EQ(done.files_before, 8U);
  EXPECT_EQ(done.files_after, 1U);
  EXPECT_EQ(done.rows_dropped, 1U);
  open();
  EXPECT_EQ(search(words("word"))->files, 3U) << "of other months and systems they stay";
  EXPECT_EQ(search(words("word"))->page.total, 9U);
  EXPECT_EQ(get(memory("id5", "").key)->timestamp, memory("", "", 2).timestamp);
  EXPECT_EQ(get(memory("id3", "").key), std::nullopt);
  clock_.advance(1h);
  EXPECT_EQ(tier_->tidy(Clock::Steady::max())->objects_erased, 8U);
  EXPECT_THAT(object_keys(), SizeIs(3));
}

TEST_P(ColdStoreContract, WhatChangesWhileFilesAreMergedStaysChanged) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(upsert({memory("id" + std::to_string(i), "old")}));
  objects_->before_put_file = [this] {
    EXPECT_EQ(tier_->erase({memory("id1", "").key}).value(), 1U);
    EXPECT_THAT(tier_->upsert({memory("id2", "new", 1)}).value(),
                ElementsAre(UpsertOutcome::kReplaced));
  };
  EXPECT_EQ(tier_->tidy(Clock::Steady::max())->files_before, 8U);
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(get(memory("id1", "").key), std::nullopt);
    EXPECT_EQ(get(memory("id2", "").key)->content, "new");
    EXPECT_EQ(get(memory("id3", "").key)->content, "old");
    EXPECT_EQ(search(words("old new"))->page.total, 7U);
    EXPECT_EQ(tier_->stats("org").records, 7U);
    open();
  }
}

TEST_P(ColdStoreContract, ASystemThatIsErasedWhileItsFilesAreMergedIsGone) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(upsert({memory("id" + std::to_string(i), "old")}));
  objects_->before_put_file = [this] {
    EXPECT_EQ(tier_->erase_system("org", "agent").value(), 8U);
  };
  EXPECT_EQ(tier_->tidy(Clock::Steady::max())->files_after, 0U);
  EXPECT_EQ(tier_->stats("org").records, 0U);
  clock_.advance(1h);
  ASSERT_TRUE(compact());
  EXPECT_THAT(object_keys(), IsEmpty());
}

TEST_P(ColdStoreContract, AMergeIsWholeWhereverItIsKilled) {
  for (int commits = 0; commits < 4; ++commits) {
    const std::string system = "agent" + std::to_string(commits);
    for (int i = 0; i < 8; ++i)
      ASSERT_TRUE(upsert({memory("id" + std::to_string(i), "word", 0, system)}));
    dying_->left = commits;
    const auto done = tier_->tidy(Clock::Steady::max());
    const bool merged = commits >= 2;  // listed, then there instead of the others
    EXPECT_EQ(done.has_value(), merged);
    open();
    StoreQuery query = words("word");
    query.filter.system_ids = {system};
    const auto found = search(query).value();
    EXPECT_EQ(found.page.total, 8U);
    EXPECT_EQ(found.files, merged ? 1U : 8U);
    // What was not merged now would be the next time.
    ASSERT_TRUE(tier_->tidy(Clock::Steady::max()));
    EXPECT_THAT(object_keys(), SizeIs(catalogue_->load()->size()))
        << "nothing is left that nobody knows";
  }
}

TEST_P(ColdStoreContract, AProcessThatStartsInTheSameSecondTakesNoNameTwice) {
  for (int process = 0; process < 4; ++process) {
    open();
    ASSERT_TRUE(upsert({memory("id" + std::to_string(process), "word")}));
  }
  EXPECT_EQ(search(words("word"))->page.total, 4U);
  EXPECT_THAT(object_keys(), SizeIs(4));
}

TEST_P(ColdStoreContract, StopsASearchAtItsDeadline) {
  ASSERT_TRUE(upsert({memory("a", "word"), memory("b", "word", 1)}));
  const auto late = tier_->search(words("word"), clock_.steady_now());
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->complete);
  EXPECT_THAT(ids(*late), IsEmpty());
}

TEST_P(ColdStoreContract, SnapshotIsAWholeTier) {
  ASSERT_TRUE(upsert({memory("a", "word"), memory("b", "word", 1)}));
  EXPECT_EQ(erase({memory("b", "").key}).value(), 1U);
  const std::string copy = folder_.path() + "/copy";
  using Left = std::vector<HeldFile>;
  ASSERT_TRUE(wait<Left>([&] { return store_->snapshot(copy, {}); }));
  const auto objects = object::FolderStore::open(copy + "/objects").value();
  FileCatalogue catalogue(copy + "/catalogue");
  const auto tier = ColdTier::open(*objects, catalogue, clock_, {}).value();
  EXPECT_EQ(tier->search(words("word"), Clock::Steady::max())->page.total, 1U);
}

TEST_P(ColdStoreContract, ASnapshotLeavesOutWhatIsHeld) {
  ASSERT_TRUE(upsert({memory("a", "word")}));
  const std::string key = object_keys().front();
  const Digest sum = sha256(objects_->get(key, 1 << 20).value());
  ASSERT_TRUE(upsert({memory("b", "word", 1)}));
  const std::string copy = folder_.path() + "/copy";
  const auto held = std::make_shared<const std::set<Digest>>(std::set<Digest>{sum});
  const auto left_out =
      wait<std::vector<HeldFile>>([&] { return store_->snapshot(copy, held); }).value();
  ASSERT_THAT(left_out, SizeIs(1));
  EXPECT_EQ(left_out.front().path, "objects/" + key);
  EXPECT_EQ(left_out.front().sha256, sum);
  EXPECT_FALSE(std::filesystem::exists(copy + "/objects/" + key));
  EXPECT_THAT(FileCatalogue(copy + "/catalogue").load().value(), SizeIs(2)) << "the list is whole";
}

TEST_P(ColdStoreContract, WhatIsOlderThanItIsKeptIsErasedOnRequestOnly) {
  ASSERT_TRUE(upsert({memory("a", "word", 0), memory("b", "word", 1), memory("c", "word", 2),
                      memory("d", "word", 31), memory("e", "word", 62),
                      memory("x", "word", 0, "agent", "another")}));
  EXPECT_EQ(erase({memory("a", "").key}).value(), 1U);
  const auto expire = [this](int day, bool only_count) {
    return wait<Expired>([&, day, only_count]() -> Task<Expired> {
             co_return co_await store_->expire("org", memory("", "", day).timestamp, only_count);
           })
        .value();
  };
  EXPECT_EQ(expire(0, false).records, 0U) << "what is exactly as old stays";
  EXPECT_EQ(expire(2, true).records, 1U);
  EXPECT_EQ(tier_->stats("org").records, 4U) << "counted only";
  EXPECT_EQ(expire(2, false).records, 1U) << "in a file with younger ones: a tombstone";
  EXPECT_EQ(get(memory("b", "").key), std::nullopt);
  EXPECT_EQ(get(memory("c", "").key)->content, "word");
  const Expired rest = expire(62, false);
  EXPECT_EQ(rest.records, 2U);
  EXPECT_EQ(rest.files, 2U);
  open();
  EXPECT_THAT(ids(search(words("word")).value()), ElementsAre("e"));
  EXPECT_EQ(tier_->stats("another").records, 1U) << "other organisations'";
  clock_.advance(1h);
  ASSERT_TRUE(compact());
  EXPECT_THAT(object_keys(), SizeIs(2));
}

TEST_P(ColdStoreContract, FilesOfAYearAgoGoToTheArchivesClass) {
  ASSERT_TRUE(upsert({memory("old", "word", -400), memory("young", "word")}));
  EXPECT_EQ(compact()->files_before, 0U);
  archive_class_ = "STANDARD_IA";  // the test's server knows no other that is cheaper
  open();
  if (server_ != nullptr) (void)server_->requests();
  EXPECT_EQ(compact()->files_before, 1U);
  std::map<std::string, std::string> classes;
  for (const ColdFile& file : catalogue_->load().value()) {
    if (file.state == FileState::kLive)
      classes[file.newest < clock_.now() - std::chrono::days(365) ? "old" : "young"] =
          file.storage_class;
  }
  EXPECT_EQ(classes["old"], "STANDARD_IA");
  EXPECT_EQ(classes["young"], "");
  EXPECT_EQ(compact()->files_before, 0U) << "once";
  open();
  EXPECT_EQ(search(words("word"))->page.total, 2U) << "and it is still found";
  ASSERT_TRUE(upsert({memory("older", "word", -500)}));
  EXPECT_EQ(compact()->files_before, 0U) << "what comes so old goes there at once";
}

TEST_P(ColdStoreContract, PutsLargeFilesInParts) {
  if (GetParam() != Backend::kS3) GTEST_SKIP() << "a folder knows no parts";
  std::vector<Memory> many;
  for (int i = 0; i < 20'000; ++i) {
    many.push_back(memory("id" + std::to_string(100'000 + i), "word"));
    for (std::size_t k = 0; k < 128; ++k)
      many.back().fingerprint[k] = static_cast<std::uint32_t>(i) * 2'654'435'761U + k * 40'503U;
    many.back().embedding.assign(384, 0.05F);
    many.back().embedding[static_cast<std::size_t>(i) % 384] = 0.1F;
    many.back().embedding_model = "m";
  }
  (void)server_->requests();
  ASSERT_TRUE(upsert(many));
  EXPECT_GT(tier_->stats("org").bytes, 16U << 20);
  int parts = 0;
  for (const std::string& request : server_->requests()) parts += request.contains("partNumber=");
  EXPECT_GE(parts, 3);
  EXPECT_EQ(get(many[12'345].key), as_kept(many[12'345]));
}

INSTANTIATE_TEST_SUITE_P(Backends, ColdStoreContract,
                         ::testing::Values(Backend::kFolder, Backend::kS3), [](const auto& info) {
                           return info.param == Backend::kFolder ? "folder" : "s3";
                         });

}  // namespace
}  // namespace asahi::memory::cold
