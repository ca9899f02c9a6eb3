#include "memory/cold/row_cache.h"

#include <gtest/gtest.h>

#include <atomic>

namespace asahi::memory::cold {
namespace {

using namespace std::chrono_literals;

class RowCacheTest : public ::testing::Test {
 protected:
  void TearDown() override { work_.join(); }
  RowCache::Rows get(RowCache& cache, const std::string& name) {
    return cache
        .get(name,
             [this]() -> Result<RowCache::Rows> {
               ++loads_;
               auto rows = std::make_shared<SearchRows>("org", "agent");
               rows->finish();
               return rows;
             })
        .get()
        .value();
  }
  static std::uint64_t size() {
    SearchRows rows("org", "agent");
    rows.finish();
    return rows.bytes();
  }

  ManualClock clock_{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  boost::asio::thread_pool work_{2};
  std::atomic<int> loads_{0};
};

TEST_F(RowCacheTest, RowsAreReadOnceAndStayWithinTheirMemory) {
  RowCache cache(2 * size(), clock_, work_);
  const auto first = get(cache, "a");
  EXPECT_EQ(get(cache, "a"), first);
  EXPECT_EQ(loads_, 1);
  get(cache, "b");
  get(cache, "c");
  EXPECT_EQ(cache.bytes(), 2 * size());
}

TEST_F(RowCacheTest, ASearchOverMoreThanFitsPushesOutOnlyWhatNobodyUsedOfLate) {
  RowCache cache(2 * size(), clock_, work_);
  for (int round = 0; round < 3; ++round) {
    for (const char* name : {"a", "b", "c"}) get(cache, name);
  }
  EXPECT_EQ(loads_, 5) << "c each time; the others once";
  clock_.advance(RowCache::kFresh);
  get(cache, "b");
  get(cache, "c");
  get(cache, "c");
  EXPECT_EQ(loads_, 6) << "c is kept in the place of a";
  get(cache, "a");
  EXPECT_EQ(loads_, 7);
}

TEST_F(RowCacheTest, AFailureIsToldAndNotKept) {
  RowCache cache(size(), clock_, work_);
  const auto failed = cache.get("a", []() -> Result<RowCache::Rows> {
    return fail(Errc::kUnavailable, "the bucket is away");
  });
  EXPECT_EQ(failed.get().error().message, "the bucket is away");
  EXPECT_NE(get(cache, "a"), nullptr);
}

}  // namespace
}  // namespace asahi::memory::cold
