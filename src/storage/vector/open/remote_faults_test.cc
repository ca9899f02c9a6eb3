// Databases that are away, slow, overloaded, broken or lying: typed errors, bounded tries, and
// never a foreign item.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "net/blocking.h"
#include "storage/vector/open/open_index.h"
#include "storage/vector/testing/fake_database.h"

namespace asahi::vector {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using vector_testing::FakeDatabase;
using Fault = FakeDatabase::Fault;

constexpr std::size_t kWidth = 8;

class RemoteFaults : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string& provider = GetParam();
    if (provider == "pinecone") fake_ = vector_testing::fake_pinecone();
    if (provider == "weaviate") fake_ = vector_testing::fake_weaviate();
    if (provider == "qdrant") fake_ = vector_testing::fake_qdrant();
    if (provider == "milvus") fake_ = vector_testing::fake_milvus();
    options_.provider = provider;
    options_.api_key = Secret(std::string(FakeDatabase::kKey));
    options_.space = {"test-1", kWidth, {"topic"}};
    options_.timeout = 10s;
    loops_.start();
    open();
  }
  void TearDown() override {
    index_.reset();
    loops_.stop();
  }

  void open() {
    if (options_.provider == "pinecone") {
      options_.pinecone_control = fake_->url();
    } else {
      options_.host = fake_->url();
    }
    auto opened = open_index(options_, clients_, nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    index_ = std::move(opened->index);
  }
  template <class T>
  Result<T> await(std::function<Task<T>()> body) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(body));
  }
  Result<void> put(std::string id, Metadata metadata = {}) {
    return await<void>([&] {
      std::vector<Item> items{{id, std::vector<float>(kWidth, 1.0F), metadata}};
      return index_->upsert("acme", std::move(items));
    });
  }
  Result<std::vector<Hit>> query() {
    return await<std::vector<Hit>>([&] {
      Query one;
      one.vector = std::vector<float>(kWidth, 1.0F);
      return index_->query("acme", std::move(one));
    });
  }
  /// The collection is there, and the fake's log empty.
  void warm() {
    const auto done = put("first");
    ASSERT_TRUE(done) << done.error().message;
    fake_->requests();
  }

  OpenOptions options_;
  std::unique_ptr<FakeDatabase> fake_;
  net::LoopPool loops_{1};
  net::PerLoop<http::Client> clients_{
      loops_,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::unique_ptr<Index> index_;
};

TEST_P(RemoteFaults, TriesAgainAfterATransientError) {
  warm();
  fake_->fail_next({Fault::kStatus, 503, ""}, 2);
  const auto hits = query();
  ASSERT_TRUE(hits) << hits.error().message;
  EXPECT_EQ(hits->size(), 1u);
  EXPECT_EQ(fake_->requests().size(), 3u);
}

TEST_P(RemoteFaults, GivesUpAfterThreeTries) {
  warm();
  fake_->fail_next({Fault::kStatus, 500, ""}, 5);
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kUpstream);
  EXPECT_EQ(hits.error().upstream_status, 500);
  EXPECT_THAT(hits.error().message, HasSubstr(GetParam()));
  EXPECT_EQ(fake_->requests().size(), 3u);
}

TEST_P(RemoteFaults, WaitsAsLongAsItIsToldTo) {
  warm();
  fake_->fail_next({Fault::kStatus, 429, "1"});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(query());
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1s);
}

TEST_P(RemoteFaults, DoesNotWaitPastItsDeadline) {
  warm();
  fake_->fail_next({Fault::kStatus, 429, "60"}, 3);
  const auto start = std::chrono::steady_clock::now();
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kRateLimited);
  EXPECT_EQ(hits.error().retry_after, 60s);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_EQ(fake_->requests().size(), 1u);
}

TEST_P(RemoteFaults, ASlowDatabaseIsATimeout) {
  warm();
  options_.timeout = 300ms;
  open();
  fake_->fail_next({Fault::kSlow, 200, ""}, 3);
  const auto start = std::chrono::steady_clock::now();
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST_P(RemoteFaults, ACutAnswerIsAskedForAgain) {
  warm();
  fake_->fail_next({Fault::kCut, 200, ""}, 2);
  EXPECT_TRUE(query());
  fake_->fail_next({Fault::kCut, 200, ""}, 5);
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kUpstream);
}

TEST_P(RemoteFaults, NonsenseIsAnError) {
  warm();
  fake_->fail_next({Fault::kNonsense, 200, ""});
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kUpstream);
  EXPECT_THAT(hits.error().message, HasSubstr("JSON"));
  fake_->fail_next({Fault::kNonsense, 200, ""});
  EXPECT_FALSE(put("x"));
}

TEST_P(RemoteFaults, ARefusedKeyIsNotTriedAgain) {
  options_.api_key = Secret("wrong-key");
  open();
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_EQ(hits.error().code, Errc::kUnauthenticated);
  EXPECT_THAT(hits.error().message, Not(HasSubstr("wrong-key")));
  EXPECT_EQ(fake_->requests().size(), 1u);
  EXPECT_EQ(await<void>([&] { return index_->ping(); }).error().code, Errc::kUnauthenticated);
}

TEST_P(RemoteFaults, ADatabaseThatIsAwayIsUnavailable) {
  warm();
  options_.timeout = 1s;
  open();
  fake_.reset();
  const auto hits = query();
  ASSERT_FALSE(hits);
  EXPECT_TRUE(hits.error().code == Errc::kUnavailable || hits.error().code == Errc::kTimeout)
      << to_string(hits.error().code);
  EXPECT_FALSE(await<void>([&] { return index_->ping(); }));
}

TEST_P(RemoteFaults, ACollectionThatWasDroppedIsMadeAgain) {
  warm();
  fake_->wipe();
  static_cast<void>(query());
  EXPECT_TRUE(put("again")) << "at the latest after one failed call";
  EXPECT_EQ(query()->size(), 1u);
}

TEST_P(RemoteFaults, MadeByAnotherReplicaMeanwhile) {
  warm();
  open();
  EXPECT_TRUE(put("second"));
  EXPECT_EQ(query()->size(), 2u);
}

/// What the database itself mixes up does not get through.
TEST_P(RemoteFaults, AForeignItemInTheAnswerIsDropped) {
  warm();
  fake_->tamper([](auto& collections) {
    for (auto& [name, collection] : collections) {
      FakeDatabase::Point foreign = collection.points.begin()->second;
      foreign.properties["asahi_tenant"] = "other";
      collection.points["ffffffff-ffff-8fff-8fff-ffffffffffff"] = std::move(foreign);
    }
  });
  const auto hits = query();
  ASSERT_TRUE(hits) << hits.error().message;
  ASSERT_EQ(hits->size(), 1u);
  EXPECT_EQ(hits->at(0).id, "first");
}

INSTANTIATE_TEST_SUITE_P(Databases, RemoteFaults,
                         testing::Values("pinecone", "weaviate", "qdrant", "milvus"),
                         [](const auto& info) { return info.param; });

class Pinecone : public RemoteFaults {};
INSTANTIATE_TEST_SUITE_P(Only, Pinecone, testing::Values("pinecone"),
                         [](const auto& info) { return info.param; });

TEST_P(Pinecone, MakesTheIndexOnFirstUse) {
  options_.region = "eu-west-1";
  open();
  ASSERT_TRUE(put("a"));
  EXPECT_THAT(fake_->requests(),
              testing::ElementsAre("GET /indexes/asahi-vectors", "POST /indexes",
                                   "GET /indexes/asahi-vectors", "POST /vectors/upsert"));
}

TEST_P(Pinecone, AnIndexOfAnotherWidthIsRefused) {
  warm();
  options_.space.dimensions = kWidth + 1;
  open();
  const auto done = await<void>([&] {
    std::vector<Item> items{{"a", std::vector<float>(kWidth + 1, 1.0F), {}}};
    return index_->upsert("acme", std::move(items));
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().field, "vector_db.index_name");
  EXPECT_THAT(done.error().message, HasSubstr("8 numbers"));
}

TEST_P(Pinecone, ANamedHostIsUsedAsItIs) {
  warm();
  options_.host = fake_->url();
  options_.pinecone_control = "http://127.0.0.1:1";
  auto opened = open_index(options_, clients_, nullptr);
  ASSERT_TRUE(opened);
  index_ = std::move(opened->index);
  EXPECT_EQ(query()->size(), 1u);
}

TEST_P(Pinecone, MetadataBeyondItsLimitIsRefusedHere) {
  warm();
  const auto done = put("a", {{"text", std::string(41 * 1024, 'x')}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::kTooLarge);
  EXPECT_TRUE(fake_->requests().empty());
}

}  // namespace
}  // namespace asahi::vector
