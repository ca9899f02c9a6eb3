// What every backend of vector::Index promises, run over each of them: in this process, on
// databases that speak the vendors' wire formats, and on a real PostgreSQL with pgvector.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <thread>

#include "net/blocking.h"
#include "storage/sql/testing/pgvector_server.h"
#include "storage/vector/open/open_index.h"
#include "storage/vector/testing/fake_database.h"
#include "storage/vector/testing/vectors.h"

namespace asahi::vector {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using vector_testing::Clusters;
using vector_testing::cosine;
using vector_testing::FakeDatabase;

enum class Backend {
  kLocal,
  kLocalByte,
  kPinecone,
  kPineconeShared,
  kWeaviate,
  kQdrant,
  kMilvus,
  kPostgres,
};

std::string name_of(Backend backend) {
  switch (backend) {
    case Backend::kLocal:
      return "local";
    case Backend::kLocalByte:
      return "local_byte";
    case Backend::kPinecone:
      return "pinecone";
    case Backend::kPineconeShared:
      return "pinecone_shared";
    case Backend::kWeaviate:
      return "weaviate";
    case Backend::kQdrant:
      return "qdrant";
    case Backend::kMilvus:
      return "milvus";
    case Backend::kPostgres:
      return "postgres";
  }
  return "";
}

constexpr std::size_t kWidth = 16;

class IndexContract : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    options_.space = {"test-1", kWidth, {"topic", "good", "n"}};
    options_.timeout = 10s;  // a busy machine is not what is tested here
    options_.region = "eu-west-1";
    // Tests share a database; each has tenants of its own.
    static int number = 0;
    tenant_ = fmt::format("tenant-{}", ++number);
    const std::string backend = name_of(GetParam());
    options_.provider = backend;
    switch (GetParam()) {
      case Backend::kLocalByte:
        options_.local.precision = Precision::kByte;
        [[fallthrough]];
      case Backend::kLocal:
        options_.provider = "local";
        break;
      case Backend::kPineconeShared:
        options_.namespace_per_tenant = false;
        [[fallthrough]];
      case Backend::kPinecone:
        options_.provider = "pinecone";
        fake_ = vector_testing::fake_pinecone();
        options_.pinecone_control = fake_->url();
        break;
      case Backend::kWeaviate:
        fake_ = vector_testing::fake_weaviate();
        break;
      case Backend::kQdrant:
        fake_ = vector_testing::fake_qdrant();
        break;
      case Backend::kMilvus:
        fake_ = vector_testing::fake_milvus();
        break;
      case Backend::kPostgres: {
        const auto url = sql::testing::PgVectorServer::url();
        if (!url) GTEST_SKIP() << url.error().message;
        sql::DatabaseOptions database;
        database.url = *url;
        database.pool_size = 1;  // PGlite has one session for all
        database.statement_timeout = 20s;
        database.connect_timeout = 20s;
        auto opened = sql::open_database(database);
        ASSERT_TRUE(opened) << opened.error().message;
        database_ = std::move(*opened);
        break;
      }
    }
    if (fake_) {
      options_.api_key = Secret(std::string(FakeDatabase::kKey));
      if (options_.provider != "pinecone") options_.host = fake_->url();
    }
    loops_.start();
    index_ = open(options_);
  }
  void TearDown() override {
    index_.reset();
    database_.reset();
    loops_.stop();
  }

  std::unique_ptr<Index> open(const OpenOptions& options) {
    auto opened = open_index(options, clients_, database_.get());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(opened->index) : nullptr;
  }

  template <class T>
  Result<T> await(std::function<Task<T>()> body) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(body));
  }
  Result<void> upsert(std::vector<Item> items, std::string tenant = "") {
    return await<void>([&] { return index_->upsert(tenant.empty() ? tenant_ : tenant, items); });
  }
  std::vector<Hit> query(Query query, std::string tenant = "") {
    auto hits = await<std::vector<Hit>>(
        [&] { return index_->query(tenant.empty() ? tenant_ : tenant, query); });
    EXPECT_TRUE(hits) << hits.error().message;
    return hits.value_or(std::vector<Hit>());
  }
  Result<void> erase(std::vector<std::string> ids) {
    return await<void>([&] { return index_->erase(tenant_, ids); });
  }
  std::uint64_t count(std::string tenant = "") {
    const auto counted =
        await<std::uint64_t>([&] { return index_->count(tenant.empty() ? tenant_ : tenant); });
    EXPECT_TRUE(counted) << counted.error().message;
    return counted.value_or(999'999);
  }
  static std::vector<std::string> ids_of(const std::vector<Hit>& hits) {
    std::vector<std::string> ids;
    for (const Hit& hit : hits) ids.push_back(hit.id);
    return ids;
  }
  static std::vector<float> axis(std::size_t at, float more = 0) {
    std::vector<float> out(kWidth);
    out[at] = 1;
    out[(at + 1) % kWidth] += more;
    return out;
  }
  /// How far scores of rounded vectors may be off, at few dimensions.
  /// Of scores: the index in this process keeps 8 or 12 bits a number.
  double tolerance() const {
    if (GetParam() == Backend::kLocalByte) return 4e-3;
    return GetParam() == Backend::kLocal ? 5e-4 : 1e-4;
  }

  OpenOptions options_;
  std::string tenant_;
  std::unique_ptr<FakeDatabase> fake_;
  std::unique_ptr<sql::Database> database_;
  net::LoopPool loops_{1};
  net::PerLoop<http::Client> clients_{
      loops_,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::unique_ptr<Index> index_;
};

TEST_P(IndexContract, NamesItselfAndIsThere) {
  EXPECT_EQ(index_->backend(), options_.provider);
  EXPECT_EQ(index_->space().dimensions, kWidth);
  const auto there = await<void>([&] { return index_->ping(); });
  EXPECT_TRUE(there) << there.error().message;
}

TEST_P(IndexContract, AnUnknownTenantIsEmpty) {
  EXPECT_EQ(count(), 0u);
  EXPECT_TRUE(query({axis(0), 5, {}, true}).empty());
  EXPECT_TRUE(erase({"x"}));
  EXPECT_TRUE(await<void>([&] { return index_->erase_all(tenant_); }));
}

TEST_P(IndexContract, FindsTheNearestBestFirst) {
  ASSERT_TRUE(upsert({{"far", axis(5), {}},
                      {"near", axis(0, 0.1F), {}},
                      {"same", axis(0), {}},
                      {"opposite", {-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {}}}));
  const auto hits = query({axis(0), 10, {}, true});
  EXPECT_THAT(ids_of(hits), ElementsAre("same", "near", "far", "opposite"));
  EXPECT_NEAR(hits[0].score, 1, tolerance());
  EXPECT_NEAR(hits[1].score, cosine(axis(0), axis(0, 0.1F)), tolerance());
  EXPECT_NEAR(hits[2].score, 0, tolerance());
  EXPECT_NEAR(hits[3].score, -1, tolerance());
  for (const Hit& hit : hits) EXPECT_TRUE(hit.score >= -1 && hit.score <= 1);
  EXPECT_EQ(query({axis(0), 2, {}, true}).size(), 2u);
}

TEST_P(IndexContract, LengthsOfVectorsDoNotMatter) {
  std::vector<float> tall = axis(0, 1);
  for (float& number : tall) number *= 1000;
  ASSERT_TRUE(upsert({{"tall", tall, {}}, {"flat", axis(0), {}}}));
  std::vector<float> tiny = axis(0);
  for (float& number : tiny) number *= 1e-6F;
  const auto hits = query({tiny, 2, {}, true});
  EXPECT_THAT(ids_of(hits), ElementsAre("flat", "tall"));
  EXPECT_NEAR(hits[0].score, 1, tolerance());
  EXPECT_NEAR(hits[1].score, std::sqrt(0.5), tolerance());
}

TEST_P(IndexContract, AgreesWithComparingAll) {
  Clusters clusters(kWidth, 5, 11);
  std::vector<Item> items;
  for (int i = 0; i < 80; ++i) items.push_back({fmt::format("i{}", i), clusters.next(), {}});
  ASSERT_TRUE(upsert(items));
  for (int q = 0; q < 5; ++q) {
    const auto vector = clusters.next();
    std::vector<double> right;
    for (const Item& item : items) right.push_back(cosine(vector, item.vector));
    std::ranges::sort(right, std::greater<>{});
    const auto hits = query({vector, 5, {}, false});
    ASSERT_EQ(hits.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(hits[i].score, right[i], tolerance());
  }
}

TEST_P(IndexContract, MetadataComesBack) {
  const Metadata metadata{{"topic", std::string("héllo \"quoted\" \\ / {braces}\n$1 ?")},
                          {"good", true},
                          {"n", -2.5},
                          {"zero", 0.0},
                          {"empty", std::string()}};
  ASSERT_TRUE(upsert({{"a", axis(0), metadata}, {"b", axis(1), {}}}));
  auto hits = query({axis(0), 2, {}, true});
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_THAT(hits[0].metadata, testing::UnorderedElementsAreArray(metadata));
  EXPECT_TRUE(hits[1].metadata.empty());
  EXPECT_TRUE(query({axis(0), 1, {}, false})[0].metadata.empty());
}

TEST_P(IndexContract, TheSameIdOverwrites) {
  ASSERT_TRUE(upsert({{"a", axis(0), {{"topic", std::string("old")}, {"n", 1.0}}}}));
  ASSERT_TRUE(upsert({{"a", axis(3), {{"topic", std::string("new")}}}}));
  EXPECT_EQ(count(), 1u);
  const auto hits = query({axis(3), 5, {}, true});
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_NEAR(hits[0].score, 1, tolerance());
  EXPECT_THAT(hits[0].metadata, ElementsAre(Field{"topic", std::string("new")}));
}

TEST_P(IndexContract, OfTwoInOneBatchTheLastCounts) {
  ASSERT_TRUE(upsert({{"a", axis(0), {}}, {"b", axis(1), {}}, {"a", axis(2), {}}}));
  EXPECT_EQ(count(), 2u);
  EXPECT_THAT(ids_of(query({axis(2), 1, {}, false})), ElementsAre("a"));
}

TEST_P(IndexContract, FiltersByEqualityOfAllFields) {
  ASSERT_TRUE(upsert({{"a", axis(0), {{"topic", std::string("x")}, {"good", true}, {"n", 1.0}}},
                      {"b", axis(0), {{"topic", std::string("x")}, {"good", false}, {"n", 1.5}}},
                      {"c", axis(0), {{"topic", std::string("true")}, {"n", 3.0}}},
                      {"d", axis(0), {}}}));
  const auto ids = [&](Metadata filter) {
    auto found = ids_of(query({axis(0), 10, std::move(filter), true}));
    std::ranges::sort(found);
    return found;
  };
  EXPECT_THAT(ids({{"topic", std::string("x")}}), ElementsAre("a", "b"));
  EXPECT_THAT(ids({{"topic", std::string("x")}, {"good", true}}), ElementsAre("a"));
  EXPECT_THAT(ids({{"good", false}}), ElementsAre("b"));
  EXPECT_THAT(ids({{"n", 1.5}}), ElementsAre("b"));
  EXPECT_THAT(ids({{"n", 3.0}}), ElementsAre("c"));
  EXPECT_THAT(ids({{"good", true}, {"n", 1.5}}), ElementsAre());
  EXPECT_THAT(ids({{"topic", std::string("X")}}), ElementsAre()) << "case counts";
  EXPECT_THAT(ids({{"good", std::string("true")}}), ElementsAre()) << "kinds do not mix";
}

TEST_P(IndexContract, FilterTextsCannotBreakOut) {
  const std::vector<std::string> texts{
      "a' OR '1'='1", "\" or \"\"==\"", "x\\\"} and {", "]) { asahi_id }", "%", "日本語", "a b"};
  std::vector<Item> items;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    items.push_back({fmt::format("i{}", i), axis(0), {{"topic", texts[i]}}});
  }
  ASSERT_TRUE(upsert(items));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_THAT(ids_of(query({axis(0), 20, {{"topic", texts[i]}}, true})),
                ElementsAre(fmt::format("i{}", i)));
  }
}

TEST_P(IndexContract, TenantsShareNothing) {
  const std::string other = tenant_ + "x";
  ASSERT_TRUE(upsert({{"a", axis(0), {{"topic", std::string("mine")}}}}));
  ASSERT_TRUE(
      upsert({{"a", axis(0), {{"topic", std::string("theirs")}}}, {"b", axis(0), {}}}, other));
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(count(other), 2u);
  const auto hits = query({axis(0), 10, {}, true});
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(std::get<std::string>(hits[0].metadata[0].value), "mine");
  EXPECT_TRUE(query({axis(0), 10, {{"topic", std::string("theirs")}}, true}).empty());
  ASSERT_TRUE(erase({"b", "a"}));
  EXPECT_EQ(count(other), 2u);
  ASSERT_TRUE(upsert({{"a", axis(0), {}}}));
  ASSERT_TRUE(await<void>([&] { return index_->erase_all(tenant_); }));
  EXPECT_EQ(count(), 0u);
  EXPECT_EQ(count(other), 2u);
}

TEST_P(IndexContract, TenantsMayBeNamedOddly) {
  const std::vector<std::string> names{tenant_ + " a/b?c=d", tenant_ + "~é\"'\\", tenant_ + "*"};
  for (const std::string& name : names) ASSERT_TRUE(upsert({{name, axis(0), {}}}, name));
  for (const std::string& name : names) {
    EXPECT_THAT(ids_of(query({axis(0), 5, {}, false}, name)), ElementsAre(name));
    EXPECT_EQ(count(name), 1u);
  }
}

TEST_P(IndexContract, OddIdsAreIds) {
  std::vector<Item> items;
  const std::vector<std::string> ids{
      "with space", "slash/and?query",    "quote\"'`", "ünïcode-日本", "%41", "A", "a",
      "${x}",       std::string(256, 'z')};
  for (const std::string& id : ids) items.push_back({id, axis(0), {}});
  ASSERT_TRUE(upsert(items));
  EXPECT_EQ(count(), ids.size());
  EXPECT_THAT(ids_of(query({axis(0), 20, {}, false})), testing::UnorderedElementsAreArray(ids));
  ASSERT_TRUE(erase({"quote\"'`", "A"}));
  EXPECT_EQ(count(), ids.size() - 2);
}

TEST_P(IndexContract, ErasesByIdFilterAndAll) {
  std::vector<Item> items;
  for (int i = 0; i < 120; ++i) {
    items.push_back({fmt::format("i{}", i),
                     axis(std::size_t(i) % kWidth),
                     {{"topic", fmt::format("t{}", i % 2)}}});
  }
  ASSERT_TRUE(upsert(items));
  ASSERT_TRUE(erase({"i0", "i1", "unknown"}));
  EXPECT_EQ(count(), 118u);
  ASSERT_TRUE(
      await<void>([&] { return index_->erase_where(tenant_, {{"topic", std::string("t1")}}); }));
  EXPECT_EQ(count(), 59u);
  for (const Hit& hit : query({axis(1), 100, {}, true})) {
    EXPECT_EQ(std::get<std::string>(hit.metadata[0].value), "t0");
  }
  const auto refused = await<void>([&] { return index_->erase_where(tenant_, {}); });
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  ASSERT_TRUE(await<void>([&] { return index_->erase_all(tenant_); }));
  EXPECT_EQ(count(), 0u);
  EXPECT_TRUE(query({axis(1), 10, {}, true}).empty());
}

TEST_P(IndexContract, LargeBatchesAreSplit) {
  std::vector<Item> items;
  Clusters clusters(kWidth, 10, 3);
  for (int i = 0; i < 730; ++i) {
    items.push_back({fmt::format("i{}", i), clusters.next(), {{"n", double(i)}}});
  }
  ASSERT_TRUE(upsert(items));
  EXPECT_EQ(count(), 730u);
  const auto hits = query({items[729].vector, 1, {}, true});
  EXPECT_EQ(hits[0].id, "i729");
  std::vector<std::string> ids;
  for (int i = 0; i < 700; ++i) ids.push_back(fmt::format("i{}", i));
  ASSERT_TRUE(erase(ids));
  EXPECT_EQ(count(), 30u);
}

TEST_P(IndexContract, RefusesWhatBreaksTheRules) {
  const auto refused = [&](std::vector<Item> items, std::string_view field) {
    const auto done = upsert(std::move(items));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(done.error().field, field);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  refused({{"a", {1, 2, 3}, {}}}, "items[0].vector");
  refused({{"a", axis(0), {}}, {"b", std::vector<float>(kWidth), {}}}, "items[1].vector");
  refused({{"a", std::vector<float>(kWidth, nan), {}}}, "items[0].vector");
  refused({{"a", std::vector<float>(kWidth, infinite), {}}}, "items[0].vector");
  refused({{"", axis(0), {}}}, "items[0].id");
  refused({{std::string("a\nb"), axis(0), {}}}, "items[0].id");
  refused({{std::string(257, 'x'), axis(0), {}}}, "items[0].id");
  refused({{"a", axis(0), {{"bad name", true}}}}, "items[0].metadata.?");
  EXPECT_EQ(count(), 0u) << "a refused batch leaves nothing";
  const auto query_of = [&](Query query) {
    return await<std::vector<Hit>>([&] { return index_->query(tenant_, query); }).error().field;
  };
  EXPECT_EQ(query_of({{1, 2}, 5, {}, true}), "vector");
  EXPECT_EQ(query_of({axis(0), 0, {}, true}), "top_k");
  EXPECT_EQ(query_of({axis(0), 5, {{"undeclared", true}}, true}), "filter");
  EXPECT_EQ(await<std::uint64_t>([&] { return index_->count(""); }).error().field, "tenant");
}

TEST_P(IndexContract, ModelsDoNotMeet) {
  ASSERT_TRUE(upsert({{"a", axis(0), {}}}));
  OpenOptions other = options_;
  other.space.model = "test-2";
  index_ = open(other);
  EXPECT_EQ(count(), 0u);
  EXPECT_TRUE(query({axis(0), 5, {}, true}).empty());
  ASSERT_TRUE(upsert({{"b", axis(0), {}}}));
  EXPECT_THAT(ids_of(query({axis(0), 5, {}, true})), ElementsAre("b"));
}

TEST_P(IndexContract, ManyCallsAtOnce) {
  std::vector<Item> items;
  for (std::size_t i = 0; i < kWidth; ++i) items.push_back({fmt::format("i{}", i), axis(i), {}});
  ASSERT_TRUE(upsert(items));
  std::atomic<int> left = 40;
  std::promise<void> done;
  for (int i = 0; i < 40; ++i) {
    loops_.at(0).spawn("call", [&, i]() -> Aw<void> {
      Query one;
      one.vector = axis(std::size_t(i) % kWidth);
      one.top_k = 1;
      const auto hits = co_await index_->query(tenant_, one);
      EXPECT_TRUE(hits) << hits.error().message;
      if (hits && !hits->empty()) {
        EXPECT_EQ(hits->at(0).id, fmt::format("i{}", std::size_t(i) % kWidth));
      }
      if (--left == 0) done.set_value();
    });
  }
  done.get_future().wait();
}

INSTANTIATE_TEST_SUITE_P(Backends, IndexContract,
                         testing::Values(Backend::kLocal, Backend::kLocalByte, Backend::kPinecone,
                                         Backend::kPineconeShared, Backend::kWeaviate,
                                         Backend::kQdrant, Backend::kMilvus, Backend::kPostgres),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace asahi::vector
