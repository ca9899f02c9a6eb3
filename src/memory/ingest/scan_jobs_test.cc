#include "memory/ingest/scan_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Clock::Time kNow{std::chrono::seconds(1'700'000'000)};

TEST(ScanJobs, OneScanServesAllThatWait) {
  ScanJobs jobs;
  EXPECT_THAT(jobs.begin().systems, IsEmpty()) << "nobody asked: everything";
  const std::string b = jobs.add("b", UploadPriority::kNormal, kNow);
  const std::string a = jobs.add("a", UploadPriority::kHigh, kNow);
  const ScanJobs::Scan scan = jobs.begin();
  EXPECT_THAT(scan.ids, ElementsAre(b, a));
  EXPECT_THAT(scan.systems, ElementsAre("a", "b"));
  EXPECT_EQ(scan.priority, UploadPriority::kHigh);
  EXPECT_EQ(jobs.find(a)->state, ScanJob::State::kRunning);
  EXPECT_THAT(jobs.begin().ids, IsEmpty()) << "they are served once";
  jobs.end(scan, {.discovered = 3}, kNow);
  EXPECT_EQ(jobs.find(a)->state, ScanJob::State::kDone);
  EXPECT_EQ(jobs.find(a)->discovered, 3U);
  EXPECT_EQ(jobs.find(a)->ended_at, kNow);
}

TEST(ScanJobs, WhoAsksForEverythingGetsEverything) {
  ScanJobs jobs;
  jobs.add("a", UploadPriority::kNormal, kNow);
  jobs.add("", UploadPriority::kNormal, kNow);
  EXPECT_THAT(jobs.begin().systems, IsEmpty());
}

TEST(ScanJobs, TellsOfFailuresAndForgetsTheOldest) {
  ScanJobs jobs;
  const std::string first = jobs.add("", UploadPriority::kNormal, kNow);
  jobs.end(jobs.begin(), {.errors = 1, .error = "the bucket is away"}, kNow);
  EXPECT_EQ(jobs.find(first)->state, ScanJob::State::kFailed);
  EXPECT_EQ(jobs.find(first)->error, "the bucket is away");
  for (std::size_t i = 0; i < ScanJobs::kKept; ++i) jobs.add("", UploadPriority::kNormal, kNow);
  EXPECT_FALSE(jobs.find(first));
  EXPECT_EQ(jobs.latest(3).size(), 3U);
  EXPECT_EQ(jobs.latest(1000).size(), ScanJobs::kKept);
}

}  // namespace
}  // namespace asahi::memory
