#include "memory/ingest/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "net/blocking.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

TEST(RetryPause, DoublesToAMinuteWithinATenth) {
  EXPECT_EQ(retry_pause(1, 0.5), seconds(1));
  EXPECT_EQ(retry_pause(3, 0.5), seconds(4));
  EXPECT_EQ(retry_pause(20, 0.5), seconds(60));
  EXPECT_EQ(retry_pause(1, 0), milliseconds(900));
  EXPECT_LT(retry_pause(20, 0.999'999), milliseconds(66'001));
}

class LedgerContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(ledger_migrations())) return;
    ledger_ = std::make_unique<Ledger>(*db_, clock_);
    loops_.start();
  }
  void TearDown() override {
    ledger_.reset();
    db_.reset();
  }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }
  static UploadId id(const std::string& upload, const std::string& system = "agent") {
    return {"acme", system, upload};
  }
  void discover(const std::vector<std::string>& uploads,
                UploadPriority priority = UploadPriority::kNormal) {
    std::vector<UploadId> ids;
    for (const auto& upload : uploads) ids.push_back(id(upload));
    EXPECT_EQ(get<std::uint64_t>([&] { return ledger_->discover(ids, priority); }), ids.size());
  }
  std::vector<UploadLease> lease(std::size_t limit = 10, const std::string& owner = "w1") {
    return get<std::vector<UploadLease>>([&] { return ledger_->lease(owner, limit); });
  }
  Upload row(const std::string& upload) {
    auto found = get<std::optional<Upload>>([&] { return ledger_->find(id(upload)); });
    EXPECT_TRUE(found) << upload;
    return found.value_or(Upload{});
  }
  std::vector<std::string> names(const std::vector<UploadLease>& leases) {
    std::vector<std::string> out;
    for (const auto& taken : leases) out.push_back(taken.upload.id.upload_id);
    return out;
  }

  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<Ledger> ledger_;
};

TEST_P(LedgerContract, AnUploadGoesFromDiscoveredToDone) {
  discover({"u1"});
  EXPECT_EQ(row("u1").state, UploadState::kDiscovered);
  const auto taken = lease();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].upload.state, UploadState::kLeased);
  EXPECT_EQ(taken[0].upload.attempts, 1);
  EXPECT_EQ(row("u1").lease_owner, "w1");
  EXPECT_EQ(row("u1").lease_until, clock_.now() + seconds(300));
  get<void>([&] { return ledger_->begin(taken[0]); });
  EXPECT_EQ(row("u1").state, UploadState::kProcessing);
  clock_.advance(seconds(60));
  const UploadCounts counts{.items = 5, .stored = 3, .duplicates = 1, .errors = 1, .bytes = 99};
  get<void>([&] { return ledger_->progress(taken[0], 5, counts, R"([{"index":2}])"); });
  EXPECT_EQ(row("u1").lease_until, clock_.now() + seconds(300));
  get<void>([&] { return ledger_->finish(taken[0], UploadState::kPartial); });
  const Upload done = row("u1");
  EXPECT_EQ(done.state, UploadState::kPartial);
  EXPECT_EQ(done.counts, counts);
  EXPECT_EQ(done.position, 5U);
  EXPECT_EQ(done.bad_items, R"([{"index":2}])");
  EXPECT_EQ(done.finished_at, clock_.now());
  EXPECT_TRUE(done.lease_owner.empty());
  EXPECT_TRUE(lease().empty());
}

TEST_P(LedgerContract, KnowsWhatItHasSeen) {
  discover({"u1", "u2"});
  EXPECT_EQ(get<std::uint64_t>([&] { return ledger_->discover({id("u1"), id("u3")}); }), 1U);
  EXPECT_THAT(get<std::vector<std::string>>(
                  [&] { return ledger_->unknown("acme", "agent", {"u0", "u1", "u4"}); }),
              ElementsAre("u0", "u4"));
  EXPECT_THAT(
      get<std::vector<std::string>>([&] { return ledger_->unknown("others", "agent", {"u1"}); }),
      ElementsAre("u1"));
}

TEST_P(LedgerContract, HighBeforeNormalThenTheOldest) {
  discover({"old"});
  clock_.advance(seconds(1));
  discover({"new"});
  clock_.advance(seconds(1));
  discover({"urgent"}, UploadPriority::kHigh);
  EXPECT_THAT(names(lease(2)), ElementsAre("urgent", "old"));
  EXPECT_THAT(names(lease(2)), ElementsAre("new"));
}

TEST_P(LedgerContract, ALeaseThatRanOutIsTakenAnewAndItsOldHolderChangesNothing) {
  discover({"u1"});
  const auto first = lease();
  get<void>([&] { return ledger_->begin(first[0]); });
  clock_.advance(seconds(299));
  EXPECT_TRUE(lease().empty());
  get<void>([&] { return ledger_->renew(first[0]); });
  clock_.advance(seconds(299));
  EXPECT_TRUE(lease().empty());
  clock_.advance(seconds(2));
  const auto second = lease(10, "w2");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].upload.attempts, 2);
  for (const auto& late :
       {attempt<void>([&] { return ledger_->renew(first[0]); }),
        attempt<void>([&] { return ledger_->progress(first[0], 1, {}, "[]"); }),
        attempt<void>([&] { return ledger_->finish(first[0], UploadState::kDone); })}) {
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::kConflict);
  }
  EXPECT_EQ(row("u1").lease_owner, "w2");
}

TEST_P(LedgerContract, FiveTriesWithGrowingPausesThenADeadLetter) {
  discover({"u1"});
  for (int attempt_number = 1; attempt_number <= 4; ++attempt_number) {
    const auto taken = lease();
    ASSERT_EQ(taken.size(), 1U) << attempt_number;
    EXPECT_EQ(get<UploadState>([&] { return ledger_->fail(taken[0], "the bucket is away", 0.5); }),
              UploadState::kDiscovered);
    const milliseconds pause = retry_pause(attempt_number, 0.5);
    clock_.advance(pause - milliseconds(1));
    EXPECT_TRUE(lease().empty());
    clock_.advance(milliseconds(1));
  }
  const auto last = lease();
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(get<UploadState>([&] { return ledger_->fail(last[0], "still\0away", 0.5); }),
            UploadState::kFailed);
  EXPECT_EQ(row("u1").state, UploadState::kFailed);
  EXPECT_EQ(row("u1").error, "still");
  clock_.advance(std::chrono::hours(1));
  EXPECT_TRUE(lease().empty());
}

TEST_P(LedgerContract, WhatTakesItsProcessDownFiveTimesIsADeadLetter) {
  discover({"killer", "good"});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(lease(1).size(), 1U);
    clock_.advance(seconds(301));
  }
  // Burying one must not look like an empty queue.
  EXPECT_THAT(names(lease(1)), ElementsAre("good"));
  EXPECT_EQ(row("killer").state, UploadState::kFailed);
}

TEST_P(LedgerContract, AReleasedLeaseIsNoTry) {
  discover({"u1"});
  const auto taken = lease();
  get<void>([&] { return ledger_->release(taken[0]); });
  EXPECT_EQ(row("u1").attempts, 0);
  EXPECT_EQ(lease().size(), 1U);
}

TEST_P(LedgerContract, RetryBeginsFromTheStartAndOnlyWhenFinished) {
  discover({"u1"});
  const auto retry = [&] {
    return attempt<Upload>([&] { return ledger_->retry(id("u1"), UploadPriority::kHigh); });
  };
  const auto taken = lease();
  EXPECT_EQ(retry().error().code, Errc::kConflict);
  get<void>([&] { return ledger_->progress(taken[0], 7, {.items = 7}, "[]"); });
  get<void>([&] { return ledger_->finish(taken[0], UploadState::kRejected, "bad manifest"); });
  const auto again = retry();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->state, UploadState::kDiscovered);
  EXPECT_EQ(again->position, 0U);
  EXPECT_EQ(again->attempts, 0);
  EXPECT_EQ(again->error, "");
  EXPECT_EQ(lease().size(), 1U);
  EXPECT_EQ(attempt<Upload>([&] { return ledger_->retry(id("none"), UploadPriority::kHigh); })
                .error()
                .code,
            Errc::kNotFound);
}

TEST_P(LedgerContract, OnePushOfAnUploadAtATime) {
  const auto open = [&](UploadOrigin origin) {
    return attempt<UploadLease>([&, origin] { return ledger_->open(id("p1"), origin, "api"); });
  };
  const auto first = open(UploadOrigin::kPush);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(open(UploadOrigin::kPush).error().code, Errc::kConflict);
  get<void>([&] { return ledger_->progress(*first, 3, {.items = 3, .stored = 3}, "[]"); });
  get<void>([&] { return ledger_->finish(*first, UploadState::kDone); });
  const auto second = open(UploadOrigin::kPush);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->upload.counts, UploadCounts{});
  EXPECT_EQ(open(UploadOrigin::kImport).error().code, Errc::kConflict);
  // Its process dies: the lease runs out and the row tells.
  clock_.advance(seconds(301));
  EXPECT_TRUE(lease().empty());
  get<std::uint64_t>([&] { return ledger_->sweep(clock_.now() - std::chrono::hours(1)); });
  EXPECT_EQ(row("p1").state, UploadState::kFailed);
  EXPECT_TRUE(open(UploadOrigin::kPush));
}

TEST_P(LedgerContract, AnImportGoesOnWhereItStood) {
  const auto open = [&] {
    return attempt<UploadLease>(
        [&] { return ledger_->open(id("i1"), UploadOrigin::kImport, "cli"); });
  };
  const auto first = open();
  ASSERT_TRUE(first) << first.error().message;
  get<void>([&] { return ledger_->progress(*first, 300, {.items = 300, .stored = 300}, "[]"); });
  clock_.advance(seconds(301));
  const auto second = open();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->upload.position, 300U);
  EXPECT_EQ(second->upload.counts.stored, 300U);
}

TEST_P(LedgerContract, SmallPushesShareARow) {
  for (int i = 0; i < 3; ++i)
    get<void>([&] { return ledger_->add_pushed({{id("push-1"), {.items = 2, .stored = 1}}}); });
  EXPECT_EQ(row("push-1").counts, (UploadCounts{.items = 6, .stored = 3}));
  EXPECT_EQ(row("push-1").state, UploadState::kDone);
}

TEST_P(LedgerContract, PushesSideBySideAreAllCounted) {
  constexpr int kPushes = 200, kSystems = 5;
  std::atomic<int> told{0};
  for (int i = 0; i < kPushes; ++i) {
    loops_.at(static_cast<std::size_t>(i) % loops_.size())
        .spawn("push", [this, &told, i]() -> Aw<void> {
          std::map<UploadId, UploadCounts> pushed;
          pushed[id("push-1", "s" + std::to_string(i % kSystems))] = {.items = 2, .stored = 1};
          pushed[id("push-1", "all")] = {.items = 1, .errors = 1};
          const auto done = co_await ledger_->add_pushed(std::move(pushed));
          EXPECT_TRUE(done);
          ++told;
        });
  }
  while (told < kPushes) std::this_thread::yield();
  const auto counts_of = [&](const std::string& system) {
    auto found = get<std::optional<Upload>>([&] { return ledger_->find(id("push-1", system)); });
    return found ? found->counts : UploadCounts{};
  };
  EXPECT_EQ(counts_of("all"), (UploadCounts{.items = kPushes, .errors = kPushes}));
  for (int s = 0; s < kSystems; ++s) {
    EXPECT_EQ(counts_of("s" + std::to_string(s)),
              (UploadCounts{.items = 2 * kPushes / kSystems, .stored = kPushes / kSystems}));
  }
}

TEST_P(LedgerContract, APushWhoseStatementFailsIsToldSo) {
  auto dropped = attempt<sql::Rows>([&] { return db_->query({"DROP TABLE memory_uploads", {}}); });
  ASSERT_TRUE(dropped) << dropped.error().message;
  for (int i = 0; i < 2; ++i) {
    const auto told =
        attempt<void>([&] { return ledger_->add_pushed({{id("push-1"), {.items = 2}}}); });
    EXPECT_FALSE(told);
  }
}

TEST_P(LedgerContract, ListsNewestFirstInPagesWithFilters) {
  for (int i = 0; i < 7; ++i) {
    discover({"u" + std::to_string(i)});
    if (i % 2 == 0) clock_.advance(seconds(1));
  }
  get<std::uint64_t>([&] { return ledger_->discover({id("x", "other")}); });
  get<std::uint64_t>([&] { return ledger_->discover({{"others", "agent", "y"}}); });
  const auto taken = lease(1);
  std::vector<std::string> walked;
  UploadQuery query{.tenant = "acme", .system_id = "agent", .limit = 3};
  for (;;) {
    const auto page = get<UploadPage>([&] { return ledger_->list(query); });
    EXPECT_LE(page.uploads.size(), 3U);
    for (const auto& upload : page.uploads) walked.push_back(upload.id.upload_id);
    if (page.next.empty()) break;
    query.cursor = page.next;
  }
  EXPECT_EQ(std::set<std::string>(walked.begin(), walked.end()).size(), 7U);
  EXPECT_EQ(walked.size(), 7U);
  EXPECT_EQ(walked.back(), "u0");
  const auto of = [&](UploadQuery wanted) {
    wanted.tenant = "acme";
    return get<UploadPage>([&] { return ledger_->list(wanted); }).uploads.size();
  };
  EXPECT_EQ(of({}), 8U);
  EXPECT_EQ(of({.states = {UploadState::kLeased, UploadState::kDone}}), 1U);
  EXPECT_EQ(of({.systems_allowed = std::vector<std::string>{"other"}}), 1U);
  EXPECT_EQ(of({.systems_allowed = std::vector<std::string>{}}), 0U);
  EXPECT_EQ(of({.origin = UploadOrigin::kPush}), 0U);
  EXPECT_EQ(attempt<UploadPage>([&] { return ledger_->list({.tenant = "acme", .cursor = "x"}); })
                .error()
                .field,
            "cursor");
  const auto totals = get<Ledger::Totals>([&] { return ledger_->totals("acme"); });
  EXPECT_EQ(totals.queued(), 7U);
  EXPECT_EQ(totals.in_work(), 1U);
  EXPECT_EQ(get<Ledger::Totals>([&] { return ledger_->totals(); }).queued(), 8U);
}

TEST_P(LedgerContract, SweepsWhatIsLongFinished) {
  discover({"u1", "u2"});
  const auto taken = lease(1);
  get<void>([&] { return ledger_->finish(taken[0], UploadState::kDone); });
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(
      get<std::uint64_t>([&] { return ledger_->sweep(clock_.now() - std::chrono::hours(1)); }), 1U);
  EXPECT_EQ(get<Ledger::Totals>([&] { return ledger_->totals(); }).queued(), 1U);
}

TEST_P(LedgerContract, AnErasedSystemIsKnownAgainOnceSomethingComesOfIt) {
  discover({"taken"});
  const auto taken = lease();
  get<void>([&] { return ledger_->finish(taken[0], UploadState::kDone); });
  discover({"waits", "waits too"});
  get<void>([&] {
    return ledger_->add_pushed(
        {{id("push-1"), {.items = 2}}, {id("push-1", "other"), {.items = 1}}});
  });
  const auto uploads_of = [&](const std::string& system) {
    const auto known = get<std::map<std::string, Ledger::LastUpload>>(
        [&] { return ledger_->last_uploads("acme", ""); });
    return known.contains(system) ? known.at(system).uploads : 0;
  };
  const auto erase = [&](const std::string& tenant) {
    return get<std::uint64_t>([&] { return ledger_->erased_system(tenant, "agent"); });
  };
  EXPECT_EQ(uploads_of("agent"), 4U);
  EXPECT_EQ(erase("another tenant"), 0U);
  EXPECT_EQ(erase("acme"), 2U);
  EXPECT_EQ(erase("acme"), 0U);
  EXPECT_EQ(uploads_of("agent"), 2U) << "what waits will bring memories";
  EXPECT_EQ(uploads_of("other"), 1U);
  EXPECT_EQ(row("taken").state, UploadState::kDone) << "the row stays";

  clock_.advance(seconds(1));
  get<void>([&] { return ledger_->add_pushed({{id("push-1"), {.items = 1}}}); });
  EXPECT_EQ(uploads_of("agent"), 3U);
  const auto again =
      attempt<Upload>([&] { return ledger_->retry(id("taken"), UploadPriority::kNormal); });
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(uploads_of("agent"), 4U);
}

TEST_P(LedgerContract, FourWorkersNeverTakeTheSameUpload) {
  constexpr int kUploads = 60;
  std::vector<UploadId> ids;
  for (int i = 0; i < kUploads; ++i) ids.push_back(id("u" + std::to_string(i)));
  get<std::uint64_t>([&] { return ledger_->discover(ids); });
  std::mutex mutex;
  std::vector<std::string> taken;
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&, w] {
      for (;;) {
        const auto leases = net::run_sync<Result<std::vector<UploadLease>>>(
            loops_.at(static_cast<std::size_t>(w % 2)),
            [&]() { return ledger_->lease("w" + std::to_string(w), 2); });
        // A conflict of two transactions is tried again, as the worker does.
        if (!leases) continue;
        if (leases->empty()) return;
        for (const UploadLease& one : *leases) {
          const auto done =
              net::run_sync<Result<void>>(loops_.at(static_cast<std::size_t>(w % 2)),
                                          [&] { return ledger_->finish(one, UploadState::kDone); });
          EXPECT_TRUE(done) << done.error().message;
          const std::scoped_lock lock(mutex);
          taken.push_back(one.upload.id.upload_id);
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(taken.size(), std::size_t{kUploads});
  EXPECT_EQ(std::set<std::string>(taken.begin(), taken.end()).size(), std::size_t{kUploads});
}

INSTANTIATE_TEST_SUITE_P(Engines, LedgerContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory
