#include "memory/measure/measured_store.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

class Measured : public ::testing::Test {
 protected:
  std::unique_ptr<MeasuredStore> make(MeasuredStore::Counts counts) {
    auto store = std::make_unique<testing::MemoryStore>(Tier::kWarm);
    raw_ = store.get();
    return std::make_unique<MeasuredStore>(std::move(store), metrics_, clock_, counts);
  }
  Result<std::vector<UpsertOutcome>> put(MeasuredStore& store) {
    Memory memory;
    memory.key = {"acme", "desk", "m1"};
    memory.content = "The lamp is blue.";
    return loop_.wait<std::vector<UpsertOutcome>>([&] { return store.upsert_batch({memory}, {}); });
  }
  bool says(const std::string& line) const {
    return metrics_.expose().find(line + "\n") != std::string::npos;
  }
  testing::OnLoop loop_;
  ManualClock clock_;
  telemetry::Registry metrics_;
  testing::MemoryStore* raw_ = nullptr;
};

TEST_F(Measured, CallsAreCountedByKindAndOutcome) {
  const auto store = make(MeasuredStore::Counts::kCallsAndErrors);
  ASSERT_TRUE(put(*store));
  raw_->fail_upserts(1, Error{.code = Errc::kUnavailable, .message = "disk full"});
  ASSERT_FALSE(put(*store));
  ASSERT_TRUE(loop_.wait<StorePage>([&] { return store->search({.tenant = "acme"}); }));
  ASSERT_TRUE(loop_.wait<std::vector<std::optional<Memory>>>(
      [&] { return store->get({{"acme", "desk", "m1"}}); }));
  ASSERT_TRUE(loop_.wait<std::uint64_t>([&] { return store->delete_system("acme", "desk"); }));
  ASSERT_TRUE(loop_.wait<std::vector<Eligible>>(
      [&] { return store->scan_eligible({.before = clock_.now(), .limit = 1}); }));
  const auto line = [](const char* kind, const char* status, int count) {
    return fmt::format(
        R"(akosha_store_operations_total{{operation="{}",status="{}",tier="warm"}} {})", kind,
        status, count);
  };
  EXPECT_TRUE(says(line("write", "success", 1))) << metrics_.expose();
  EXPECT_TRUE(says(line("write", "error", 1)));
  EXPECT_TRUE(says(line("read", "success", 2)));
  EXPECT_TRUE(says(line("delete", "success", 1)));
  EXPECT_TRUE(says(line("scan", "success", 1)));
  EXPECT_TRUE(
      says(R"(akosha_store_operation_duration_seconds_count{operation="write",tier="warm"} 2)"));
  EXPECT_TRUE(says(
      R"(akosha_errors_total{component="warm_store",error_type="storage_error",severity="error"} 1)"));
}

TEST_F(Measured, WhereAnotherProcessCountsCallsOnlyErrorsAre) {
  const auto store = make(MeasuredStore::Counts::kErrors);
  ASSERT_TRUE(put(*store));
  raw_->fail_upserts(1, Error{.code = Errc::kTimeout, .message = "late"});
  ASSERT_FALSE(put(*store));
  EXPECT_EQ(metrics_.expose().find("akosha_store_operations_total"), std::string::npos);
  EXPECT_TRUE(says(
      R"(akosha_errors_total{component="warm_store",error_type="timeout_error",severity="warning"} 1)"));
}

}  // namespace
}  // namespace asahi::memory
