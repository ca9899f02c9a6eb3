#include "memory/ops/watched_store.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

/// Says no on demand.
class Moody final : public object::ObjectStore {
 public:
  Result<object::ObjectInfo> put(const std::string& key, std::string_view bytes,
                                 const object::PutOptions&) override {
    if (error) return std::unexpected(*error);
    ++calls;
    return object::ObjectInfo{.key = key, .size = bytes.size(), .etag = {}};
  }
  Result<object::ObjectInfo> put_file(const std::string&, const std::string&,
                                      const object::PutOptions&) override {
    return fail(Errc::kInternal, "unused");
  }
  Result<std::unique_ptr<object::Upload>> begin_upload(const std::string&,
                                                       const object::PutOptions&) override {
    return fail(Errc::kInternal, "unused");
  }
  Result<object::ObjectInfo> read(const std::string& key, const object::Sink& sink,
                                  const object::ReadOptions&) override {
    if (error) return std::unexpected(*error);
    if (auto taken = sink("hello"); !taken) return std::unexpected(taken.error());
    return object::ObjectInfo{.key = key, .size = 5, .etag = {}};
  }
  Result<std::optional<object::ObjectInfo>> head(const std::string&) override {
    if (error) return std::unexpected(*error);
    return std::optional<object::ObjectInfo>{};
  }
  Result<object::Page> list(const object::ListQuery&) override { return object::Page{}; }
  Result<void> erase(const std::string&) override { return {}; }
  void stop() override {}
  std::string where() const override { return "s3://moody"; }
  std::optional<Error> error;
  int calls = 0;
};

struct WatchedStoreTest : ::testing::Test {
  double value(const char* name, telemetry::Labels labels) {
    return registry.counter(name, "", labels).value();
  }
  ManualClock clock;
  telemetry::Registry registry;
  Moody* inner = new Moody;
  WatchedStore store{std::unique_ptr<object::ObjectStore>(inner), "bucket", registry, clock};
};

TEST_F(WatchedStoreTest, CountsWhatGoesInAndOut) {
  ASSERT_TRUE(store.put("a", "12345678", {}));
  ASSERT_EQ(store.get("a", 100).value(), "hello");
  EXPECT_EQ(value("akosha_storage_uploads", {{"tier", "bucket"}, {"success", "true"}}), 1);
  EXPECT_EQ(value("akosha_storage_bytes_uploaded", {{"tier", "bucket"}}), 8);
  EXPECT_EQ(value("akosha_storage_downloads", {{"tier", "bucket"}, {"success", "true"}}), 1);
  EXPECT_EQ(value("akosha_storage_bytes_downloaded", {{"tier", "bucket"}}), 5);
}

TEST_F(WatchedStoreTest, RefusesAtOnceAfterFiveFailuresAndTriesAgainAMinuteLater) {
  inner->error = fail(Errc::kUnavailable, "503").error();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(store.put("a", "x", {}));
  inner->error.reset();
  const auto refused = store.put("a", "x", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_EQ(inner->calls, 0);
  EXPECT_EQ(store.get("a", 100).error().code, Errc::kUnavailable);
  clock.advance(std::chrono::seconds(60));
  EXPECT_TRUE(store.put("a", "x", {}));
  EXPECT_EQ(value("akosha_cloud_storage_errors_total", {{"tier", "bucket"}}), 5);
  EXPECT_EQ(store.stats().rejected, 2U);
}

TEST_F(WatchedStoreTest, TakesAnAnswerForAnAnswer) {
  inner->error = fail(Errc::kNotFound, "no").error();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(store.get("a", 100));
  inner->error.reset();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(store.get("a", 1).error().code, Errc::kTooLarge) << "the reader's own limit";
  EXPECT_EQ(store.stats().state, Breaker::State::kClosed);
}

}  // namespace
}  // namespace asahi::memory
