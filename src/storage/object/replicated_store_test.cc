#include "storage/object/replicated_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "storage/object/folder_store.h"

namespace asahi::object {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A bucket that may be away, and counts what it is asked.
class Bucket final : public ObjectStore {
 public:
  explicit Bucket(const std::string& folder) : real_(FolderStore::open(folder).value()) {}
  std::optional<Errc> away;                        ///< every call fails so
  std::function<void(const std::string&)> before;  ///< told of each key that is put or erased

  Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                         const PutOptions& options) override {
    if (away) return refuse();
    if (before) before("put " + key);
    return real_->put(key, bytes, options);
  }
  Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                              const PutOptions& options) override {
    if (away) return refuse();
    return real_->put_file(key, path, options);
  }
  Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                               const PutOptions& options) override {
    if (away) return refuse();
    if (before) before("upload " + key);
    return real_->begin_upload(key, options);
  }
  Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                          const ReadOptions& options) override {
    if (away) return refuse();
    ++reads;
    return real_->read(key, sink, options);
  }
  Result<std::optional<ObjectInfo>> head(const std::string& key) override {
    if (away) return refuse();
    return real_->head(key);
  }
  Result<Page> list(const ListQuery& query) override {
    if (away) return refuse();
    return real_->list(query);
  }
  Result<void> erase(const std::string& key) override {
    if (away) return refuse();
    if (before) before("erase " + key);
    if (away) return refuse();
    return real_->erase(key);
  }
  void stop() override { real_->stop(); }
  std::string where() const override { return real_->where(); }

  int reads = 0;

 private:
  std::unexpected<Error> refuse() const { return fail(*away, "the provider is away"); }
  std::unique_ptr<ObjectStore> real_;
};

class Replicated : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / "asahi-replicas-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    open();
  }
  void TearDown() override {
    store_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  /// A process begins; what the former one knew is gone.
  void open(ReplicatedStore::Options options = {}) {
    auto first = std::make_unique<Bucket>(folder_ + "/first");
    auto a = std::make_unique<Bucket>(folder_ + "/a"), b = std::make_unique<Bucket>(folder_ + "/b");
    first_ = first.get(), a_ = a.get(), b_ = b.get();
    std::vector<std::unique_ptr<ObjectStore>> replicas;
    replicas.push_back(std::move(a));
    replicas.push_back(std::move(b));
    options.stood_in = [this](const std::string& where, const Error& why) {
      told_.push_back(where.substr(where.rfind('/') + 1) + ": " + why.message);
    };
    store_ = std::make_unique<ReplicatedStore>(std::move(first), std::move(replicas), clock_,
                                               std::move(options));
  }
  /// What the bucket holds for its callers.
  std::map<std::string, std::string> held(const std::string& bucket) const {
    std::map<std::string, std::string> found;
    const auto folder = FolderStore::open(folder_ + "/" + bucket).value();
    EXPECT_TRUE(folder->each("", [&](const ObjectInfo& object) {
      if (!object.key.starts_with("asahi-replication/"))
        found[object.key] = folder->get(object.key, 1 << 20).value();
      return true;
    }));
    return found;
  }
  /// Files of the replication itself: notes in the first bucket, records in replicas.
  std::size_t own_files(const std::string& bucket) const {
    std::size_t count = 0;
    const auto folder = FolderStore::open(folder_ + "/" + bucket).value();
    EXPECT_TRUE(folder->each("asahi-replication/", [&](const ObjectInfo&) { return ++count > 0; }));
    return count;
  }
  using Objects = std::map<std::string, std::string>;

  std::string folder_;
  ManualClock clock_{system_clock().now()};  ///< files have the machine's times
  Bucket *first_ = nullptr, *a_ = nullptr, *b_ = nullptr;
  std::vector<std::string> told_;
  std::unique_ptr<ReplicatedStore> store_;
};

TEST_F(Replicated, PutsAreAcknowledgedByTheFirstAndFollowedByTheOthers) {
  ASSERT_TRUE(store_->put("x/1", "one"));
  auto upload = store_->begin_upload("x/2").value();
  ASSERT_TRUE(upload->write("two"));
  ASSERT_TRUE(upload->finish());
  EXPECT_THAT(held("a"), IsEmpty());
  EXPECT_EQ(store_->states()[0].waiting, 2U);
  clock_.advance(std::chrono::seconds(5));
  EXPECT_EQ(*store_->states()[0].since, clock_.steady_now() - std::chrono::seconds(5));
  ASSERT_TRUE(store_->follow());
  const Objects both = {{"x/1", "one"}, {"x/2", "two"}};
  EXPECT_EQ(held("a"), both);
  EXPECT_EQ(held("b"), both);
  EXPECT_EQ(store_->states()[1].waiting, 0U);
  EXPECT_EQ(store_->states()[1].since, std::nullopt);
}

TEST_F(Replicated, WhatIsPutAgainIsCopiedAgain) {
  ASSERT_TRUE(store_->put("x", "old"));
  ASSERT_TRUE(store_->follow());
  ASSERT_TRUE(store_->put("x", "new"));
  ASSERT_TRUE(store_->follow());
  EXPECT_EQ(held("a"), (Objects{{"x", "new"}}));
  EXPECT_EQ(store_->states()[0].copied, 2U);
  ASSERT_TRUE(store_->reconcile());
  EXPECT_EQ(store_->states()[0].copied, 2U) << "what is there is not brought again";
}

TEST_F(Replicated, OneThatIsAwayKeepsNobodyElseWaiting) {
  a_->away = Errc::kUnavailable;
  ASSERT_TRUE(store_->put("x", "one"));
  EXPECT_EQ(store_->follow().error().code, Errc::kUnavailable);
  EXPECT_EQ(held("b"), (Objects{{"x", "one"}}));
  EXPECT_EQ(store_->states()[0].waiting, 1U);
  EXPECT_EQ(store_->states()[0].failed, 1U);
  a_->away.reset();
  ASSERT_TRUE(store_->follow());
  EXPECT_EQ(held("a"), (Objects{{"x", "one"}}));
}

TEST_F(Replicated, AProcessThatDiedIsCaughtUpWithByComparing) {
  ASSERT_TRUE(store_->put("x/1", "one"));
  ASSERT_TRUE(store_->put("x/2", "two"));
  open();
  const auto compared = store_->reconcile();
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(compared->copied, 4U);
  EXPECT_EQ(held("a"), (Objects{{"x/1", "one"}, {"x/2", "two"}}));
  EXPECT_EQ(*store_->states()[0].compared, clock_.now());
}

TEST_F(Replicated, WhatAFullQueueForgetsIsFoundByComparing) {
  open({.most_waiting = 1});
  ASSERT_TRUE(store_->put("x/1", "one"));
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(store_->put("x/2", "two"));
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(store_->follow());
  EXPECT_EQ(held("a").size(), 1U);
  EXPECT_EQ(*store_->states()[0].since, clock_.steady_now() - std::chrono::seconds(1))
      << "it says that something is missing";
  ASSERT_TRUE(store_->reconcile());
  EXPECT_EQ(held("a").size(), 2U);
  EXPECT_EQ(store_->states()[0].since, std::nullopt);
}

TEST_F(Replicated, ErasuresFollowAndLeaveNothingBehind) {
  ASSERT_TRUE(store_->put("x", "one"));
  ASSERT_TRUE(store_->follow());
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_EQ(own_files("first"), 1U) << "noted";
  ASSERT_TRUE(store_->follow());
  EXPECT_THAT(held("a"), IsEmpty());
  EXPECT_THAT(held("b"), IsEmpty());
  EXPECT_EQ(own_files("first") + own_files("a") + own_files("b"), 0U);
}

TEST_F(Replicated, AnErasureSurvivesACrashBetweenTheBuckets) {
  ASSERT_TRUE(store_->put("x", "secret"));
  ASSERT_TRUE(store_->follow());
  ASSERT_TRUE(store_->erase("x"));
  open();
  EXPECT_EQ(held("a").size(), 1U);
  const auto compared = store_->reconcile();
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(compared->erased, 2U);
  EXPECT_THAT(held("a"), IsEmpty());
  EXPECT_THAT(held("b"), IsEmpty());
  EXPECT_EQ(own_files("first"), 0U);
}

TEST_F(Replicated, AnErasureWaitsForAReplicaThatIsAway) {
  ASSERT_TRUE(store_->put("x", "secret"));
  ASSERT_TRUE(store_->follow());
  b_->away = Errc::kTimeout;
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_FALSE(store_->follow());
  EXPECT_THAT(held("a"), IsEmpty());
  EXPECT_EQ(own_files("first"), 1U) << "the note stays until nobody has it";
  open();  // and is found by whoever comes
  ASSERT_TRUE(store_->reconcile());
  EXPECT_THAT(held("b"), IsEmpty());
  EXPECT_EQ(own_files("first"), 0U);
}

TEST_F(Replicated, NothingIsErasedThatWasNotNoted) {
  ASSERT_TRUE(store_->put("x", "one"));
  ASSERT_TRUE(store_->follow());
  first_->before = [&](const std::string& what) {
    if (what == "erase x") first_->away = Errc::kUnavailable;
  };
  EXPECT_FALSE(store_->erase("x"));
  first_->away.reset();
  first_->before = {};
  ASSERT_TRUE(store_->reconcile());
  EXPECT_EQ(held("a"), (Objects{{"x", "one"}})) << "it is still there in the first bucket";
  EXPECT_EQ(own_files("first"), 1U) << "it may be under way";
  clock_.advance(std::chrono::hours(2));
  ASSERT_TRUE(store_->reconcile());
  EXPECT_EQ(own_files("first"), 0U) << "it is not";
  EXPECT_EQ(held("a"), (Objects{{"x", "one"}}));
}

TEST_F(Replicated, WhatIsErasedWhileItIsCopiedIsGoneEverywhere) {
  ASSERT_TRUE(store_->put("x", "secret"));
  a_->before = [&](const std::string& what) {
    // Another process erases it, and has nothing to erase here yet.
    if (what == "upload x") ASSERT_TRUE(FolderStore::open(folder_ + "/first").value()->erase("x"));
  };
  (void)store_->follow();
  (void)store_->follow();
  EXPECT_THAT(held("a"), IsEmpty());
}

TEST_F(Replicated, AFirstBucketThatLostItsObjectsTakesNobodyWithIt) {
  for (const std::string key : {"x/1", "x/2", "x/3"}) ASSERT_TRUE(store_->put(key, key));
  ASSERT_TRUE(store_->follow());
  fs::remove(folder_ + "/first/x/1");
  const auto compared = store_->reconcile();
  ASSERT_TRUE(compared);
  EXPECT_EQ(compared->unexplained, 2U);
  EXPECT_EQ(store_->states()[0].unexplained, 1U);
  EXPECT_EQ(held("a").size(), 3U);
  ASSERT_TRUE(store_->reconcile(true)) << "who asks for it has it";
  EXPECT_EQ(held("a").size(), 2U);
  EXPECT_EQ(store_->states()[0].unexplained, 0U);
  fs::remove_all(folder_ + "/first/x");
  const auto refused = store_->reconcile(true);
  ASSERT_FALSE(refused) << "that is no erasure but another bucket";
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_EQ(held("a").size(), 2U);
}

TEST_F(Replicated, ReadsGoToAReplicaWhileTheFirstIsAwayAndAreFlagged) {
  const auto put = store_->put("x", "0123456789").value();
  ASSERT_TRUE(store_->follow());
  first_->away = Errc::kUnavailable;
  EXPECT_EQ(store_->get("x", 100).value(), "0123456789");
  EXPECT_EQ(store_->get("x", 100, {.offset = 4, .length = 2}).value(), "45");
  EXPECT_EQ(store_->get("x", 100, {.only_if_etag = put.etag}).value(), "0123456789");
  EXPECT_EQ(store_->head("x").value()->etag, put.etag) << "as the first bucket names it";
  EXPECT_EQ(store_->list({})->objects.size(), 1U);
  EXPECT_EQ(store_->states()[0].reads, 5U);
  EXPECT_THAT(told_.at(0), "a: the provider is away");
  a_->away = Errc::kTimeout;
  EXPECT_EQ(store_->get("x", 100).value(), "0123456789") << "or to the next";
  EXPECT_EQ(store_->states()[1].reads, 1U);
}

TEST_F(Replicated, WhatAReplicaLacksIsNotMissing) {
  ASSERT_TRUE(store_->put("x", "one"));
  first_->away = Errc::kUnavailable;
  EXPECT_EQ(store_->get("x", 100).error().code, Errc::kUnavailable);
  EXPECT_EQ(store_->head("x").error().code, Errc::kUnavailable);
}

TEST_F(Replicated, WhatTheFirstLacksIsMissing) {
  ASSERT_TRUE(store_->put("x", "one"));
  ASSERT_TRUE(store_->follow());
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_EQ(store_->get("x", 100).error().code, Errc::kNotFound) << "a replica still has it";
  EXPECT_EQ(store_->head("x").value(), std::nullopt);
}

TEST_F(Replicated, AReplicaThatIsBehindDoesNotPassForTheNewObject) {
  ASSERT_TRUE(store_->put("x", "old"));
  ASSERT_TRUE(store_->follow());
  const auto fresh = store_->put("x", "new").value();
  first_->away = Errc::kUnavailable;
  EXPECT_EQ(store_->get("x", 100, {.only_if_etag = fresh.etag}).error().code, Errc::kUnavailable);
}

TEST_F(Replicated, ADamagedCopyIsNotGivenOut) {
  ASSERT_TRUE(store_->put("x", "0123456789"));
  ASSERT_TRUE(store_->follow());
  std::ofstream(folder_ + "/a/x", std::ios::trunc) << "012345678X";
  first_->away = Errc::kUnavailable;
  EXPECT_EQ(store_->get("x", 100).value(), "0123456789") << "of the other replica";
  std::ofstream(folder_ + "/b/x", std::ios::trunc) << "012345678X";
  EXPECT_FALSE(store_->get("x", 100));
}

TEST_F(Replicated, ConditionsAreTheFirstBucketsAlone) {
  ASSERT_TRUE(store_->put("x", "one"));
  ASSERT_TRUE(store_->follow());
  EXPECT_EQ(store_->put("x", "two", {.only_if_absent = true}).error().code, Errc::kConflict);
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_TRUE(store_->put("x", "two", {.only_if_absent = true})) << "replicas still have the old";
  first_->away = Errc::kUnavailable;
  EXPECT_EQ(store_->put("y", "one").error().code, Errc::kUnavailable);
  first_->away.reset();
  ASSERT_TRUE(store_->follow());
  EXPECT_EQ(held("a"), (Objects{{"x", "two"}})) << "put again: no erasure any more";
}

TEST_F(Replicated, ItsOwnObjectsAreNobodyElses) {
  ASSERT_TRUE(store_->put("x", "one"));
  ASSERT_TRUE(store_->erase("x"));
  EXPECT_TRUE(store_->list({})->objects.empty());
  EXPECT_TRUE(store_->list({.folders = true})->folders.empty());
  EXPECT_EQ(store_->put("asahi-replication/x", "y").error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(store_->put("asahi-replications", "y")) << "a name of its own";
}

TEST_F(Replicated, CarriesLargeAndEmptyObjects) {
  const std::string large(9 << 20, 'x');
  ASSERT_TRUE(store_->put("large", large));
  ASSERT_TRUE(store_->put("empty", ""));
  ASSERT_TRUE(store_->follow());
  first_->away = Errc::kUpstream;
  EXPECT_TRUE(store_->get("large", 10 << 20).value() == large);
  EXPECT_EQ(store_->get("empty", 10).value(), "");
}

}  // namespace
}  // namespace asahi::object
