// Memories that stay here: no byte of them goes to a bucket elsewhere, whatever brings others
// there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "memory/ageing/move_gate.h"
#include "memory/ageing/mover.h"
#include "memory/cold/store.h"
#include "memory/config.h"
#include "memory/residency/staying.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "storage/object/folder_store.h"
#include "storage/object/replicated_store.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Residency : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / "asahi-residency-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    std::vector<std::unique_ptr<object::ObjectStore>> replicas;
    replicas.push_back(object::FolderStore::open(folder_ + "/elsewhere/replica").value());
    objects_ = std::make_unique<object::ReplicatedStore>(
        object::FolderStore::open(folder_ + "/elsewhere/bucket").value(), std::move(replicas),
        clock_, object::ReplicatedStore::Options());
    tier_ = cold::ColdTier::open(*objects_, catalogue_, clock_, {.temp_folder = folder_ + "/temp"})
                .value();
    const ResidencyRules rules{.systems = {"clinic-*"}, .tags = {"health"}, .types = {}};
    cold_ = std::make_unique<ClosedStore>(std::make_unique<cold::ColdStore>(*tier_, 1, 8), rules);
    auto warm = std::make_unique<testing::MemoryStore>(Tier::kWarm);
    rows_ = warm.get();
    warm_ = std::make_unique<ageing::MoveGate>(
        std::make_unique<StayingStore>(std::move(warm), rules), clock_);
  }
  void TearDown() override {
    work_.join();
    cold_.reset();
    tier_.reset();
    objects_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  void put(const std::string& system, const std::string& id, const std::string& metadata = "{}") {
    Memory one;
    one.key = {"acme", system, id};
    one.content = "The word of " + id + " is xyzzy-" + id + ".";
    one.content_hash = sha256(one.content);
    one.embedding = {0.6F, 0.8F};
    one.embedding_model = "m";
    one.timestamp = one.uploaded_at = Clock::Time{std::chrono::hours(++hours_)};
    one.metadata = metadata;
    ASSERT_TRUE(loop_.wait<std::vector<UpsertOutcome>>(
        [&] { return warm_->upsert_batch({one}, {.deduplicate = false}); }));
  }
  /// Ages until nothing moves any more, `limit` rows at a time; how many moved.
  std::uint64_t age(std::size_t limit) {
    ageing::Mover mover(*warm_, *cold_, work_);
    std::uint64_t moved = 0;
    for (int batches = 0; batches < 100; ++batches) {
      const auto done = loop_.wait<ageing::Moved>([&] {
        return mover.batch({.before = Clock::Time{std::chrono::hours(1'000)}, .limit = limit});
      });
      EXPECT_TRUE(done) << done.error().message;
      if (!done || done->scanned == 0) break;
      moved += done->moved;
    }
    EXPECT_TRUE(objects_->follow());
    return moved;
  }
  /// Names and bytes of everything that is elsewhere.
  std::string everything_elsewhere() const {
    std::string all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/elsewhere")) {
      all += entry.path().string() + "\n";
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      all.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return all;
  }
  std::vector<std::string> left_in_warm() const {
    std::vector<std::string> ids;
    for (const Memory& one : rows_->all()) ids.push_back(one.key.conversation_id);
    return ids;
  }

  std::string folder_;
  testing::OnLoop loop_;
  ManualClock clock_{system_clock().now()};
  boost::asio::thread_pool work_{1};
  std::unique_ptr<object::ReplicatedStore> objects_;
  cold::MemoryCatalogue catalogue_;
  std::unique_ptr<cold::ColdTier> tier_;
  std::unique_ptr<ClosedStore> cold_;
  testing::MemoryStore* rows_ = nullptr;
  std::unique_ptr<ageing::MoveGate> warm_;
  int hours_ = 0;
};

TEST_F(Residency, NoByteReachesTheBucketOrItsReplica) {
  put("clinic-1", "first");
  put("clinic-2", "second");
  put("desk", "third", R"({"tags":["health"]})");
  put("desk", "fourth", R"({"tags":["lunch"]})");
  put("desk", "fifth");
  EXPECT_EQ(age(2), 2U) << "those that stay do not hold up the others";
  EXPECT_THAT(left_in_warm(), ElementsAre("first", "second", "third"));
  const std::string elsewhere = everything_elsewhere();
  for (const std::string id : {"first", "second", "third", "clinic"})
    EXPECT_THAT(elsewhere, ::testing::Not(HasSubstr(id)));
  for (const std::string id : {"fourth", "fifth", "xyzzy-fifth"})
    EXPECT_THAT(elsewhere, HasSubstr(id)) << "this would see it";
}

TEST_F(Residency, WhatStaysIsErasedAtOnceAlsoWhileOthersMove) {
  put("clinic-1", "first");
  EXPECT_EQ(age(10), 0U);
  const auto gone = loop_.wait<std::uint64_t>(
      [&] { return warm_->delete_batch({{"acme", "clinic-1", "first"}}); });
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(*gone, 1U);
  EXPECT_THAT(left_in_warm(), IsEmpty());
}

TEST_F(Residency, OtherScansSeeWhatStays) {
  put("clinic-1", "first");
  const Key key{"acme", "clinic-1", "first"};
  const auto by_key =
      loop_.wait<std::vector<Eligible>>([&] { return warm_->scan_eligible({.keys = {key}}); });
  ASSERT_TRUE(by_key);
  EXPECT_EQ(by_key->size(), 1U) << "it may go back to the hot tier";
  ASSERT_TRUE(loop_.wait<std::uint64_t>([&] { return warm_->delete_migrated({{key, {}}}); }));
  const auto by_model = loop_.wait<std::vector<Eligible>>(
      [&] { return warm_->scan_eligible({.without_model = "other"}); });
  ASSERT_TRUE(by_model);
  EXPECT_EQ(by_model->size(), 1U) << "it may get another vector";
}

TEST_F(Residency, TheTierElsewhereRefusesWhoeverBringsOne) {
  Memory one;
  one.key = {"acme", "clinic-1", "first"};
  one.content = "Nobody may see this.";
  const auto refused = loop_.wait<std::vector<UpsertOutcome>>(
      [&] { return cold_->upsert_batch({one}, {.deduplicate = false}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kForbidden);
  EXPECT_THAT(everything_elsewhere(), ::testing::Not(HasSubstr("clinic")));
}

std::vector<std::string> faults(std::map<std::string, std::string, std::less<>> variables) {
  config::Binder binder({.environment = std::move(variables)});
  MemoryConfig config;
  bind(binder, config, "data");
  std::vector<std::string> out;
  for (const config::Fault& fault : binder.finish()) out.push_back(fault.path);
  return out;
}

TEST(ResidencySettings, BackupsOfMemoriesThatStayMustStayToo) {
  EXPECT_THAT(faults({{"AKOSHA_RESIDENCY_SYSTEMS", "clinic-*"}}), IsEmpty());
  EXPECT_THAT(faults({{"AKOSHA_RESIDENCY_TAGS", "health"}, {"AKOSHA_BACKUP_BUCKET", "away"}}),
              ElementsAre("memory.backup.bucket"));
  EXPECT_THAT(faults({{"AKOSHA_RESIDENCY_TYPES", "x"}, {"AKOSHA_BACKUP_REPLICAS", "gs://away"}}),
              ElementsAre("memory.replicas.backup"));
  EXPECT_THAT(faults({{"AKOSHA_RESIDENCY_SYSTEMS", "x"},
                      {"AKOSHA_BACKUP_BUCKET", "file:///srv/backups"},
                      {"AKOSHA_COLD_REPLICAS", "gs://away"}}),
              IsEmpty());
}

}  // namespace
}  // namespace asahi::memory
