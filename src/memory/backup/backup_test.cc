#include "memory/backup/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/ids.h"
#include "storage/object/folder_store.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

class BackupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = (fs::temp_directory_path() / random_id("asahi-backup-", 12)).string();
    store_ = object::FolderStore::open(root_ + "/bucket").value();
    write("data/hot/shard_000/seg-1", std::string(3'000'000, 'x'));
    write("data/hot/shard_000/seg-2", "tail");
    write("data/hot/empty", "");
    write("data/warm/acme.duck", "rows");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path, std::ios::binary) << content;
  }
  std::string read(const std::string& path) {
    std::ifstream in(root_ + "/" + path, std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  BackupManifest make(const BackupManifest* base = nullptr) {
    auto made = write_backup(*store_, {root_ + "/data", {"hot", "warm"}},
                             make_backup_id(clock_.now()), clock_.now(), "1.0", base);
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(BackupManifest{});
  }

  std::string root_;
  ManualClock clock_;
  std::unique_ptr<object::ObjectStore> store_;
};

TEST_F(BackupTest, BringsBackEveryByte) {
  const BackupManifest made = make();
  EXPECT_EQ(made.files.size(), 4U);
  EXPECT_EQ(made.bytes(), 3'000'008U);
  const BackupManifest found = find_backup(*store_, "").value();
  EXPECT_EQ(found.id, made.id);
  EXPECT_TRUE(verify_backup(*store_, found).value().empty());
  EXPECT_EQ(fetch_tier(*store_, found, "hot", root_ + "/back").value(), 3'000'004U);
  EXPECT_EQ(read("back/shard_000/seg-1"), read("data/hot/shard_000/seg-1"));
  EXPECT_EQ(read("back/shard_000/seg-2"), "tail");
  EXPECT_TRUE(fs::exists(root_ + "/back/empty"));
  EXPECT_FALSE(fs::exists(root_ + "/back/acme.duck"));
  EXPECT_EQ(fetch_tier(*store_, found, "hot", root_ + "/back").error().code, Errc::kConflict)
      << "nothing is written over";
}

TEST_F(BackupTest, TellsWhatWasChangedOrLost) {
  const BackupManifest made = make();
  ASSERT_TRUE(store_->put(made.id + "/hot/shard_000/seg-2", "TAIL"));
  ASSERT_TRUE(store_->erase(made.id + "/warm/acme.duck"));
  const auto wrong = verify_backup(*store_, made).value();
  EXPECT_EQ(wrong, (std::vector<std::string>{"hot/shard_000/seg-2", "warm/acme.duck"}));
  const auto fetched = fetch_tier(*store_, made, "hot", root_ + "/back");
  EXPECT_EQ(fetched.error().code, Errc::kCorrupt);
  EXPECT_FALSE(fs::exists(root_ + "/back")) << "half a restore is none";
}

TEST_F(BackupTest, IsNoneWithoutItsManifest) {
  const BackupManifest first = make();
  clock_.advance(std::chrono::hours(1));
  const BackupManifest second = make();
  ASSERT_TRUE(store_->erase(second.id + "/manifest.json"));
  EXPECT_EQ(find_backup(*store_, "").value().id, first.id);
  EXPECT_EQ(find_backup(*store_, second.id).error().code, Errc::kNotFound);
  EXPECT_FALSE(find_backup(*store_, "../etc/passwd"));
}

TEST_F(BackupTest, ForgetsOldOnesButNeverTheNewest) {
  const BackupManifest old = make();
  clock_.advance(std::chrono::hours(24));
  const BackupManifest newest = make();
  EXPECT_EQ(prune_backups(*store_, {.before = clock_.now() + std::chrono::hours(1)}).value(), 1U);
  const auto left = list_backups(*store_, 10).value();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].id, newest.id);
  EXPECT_FALSE(store_->head(old.id + "/hot/shard_000/seg-1").value());
}

TEST_F(BackupTest, KeepsSoManyAndNoMore) {
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(make().id);
    clock_.advance(std::chrono::hours(1));
  }
  EXPECT_EQ(prune_backups(*store_, {.before = {}, .most = 2}).value(), 2U);
  const auto left = list_backups(*store_, 10).value();
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].id, ids[3]);
  EXPECT_EQ(left[1].id, ids[2]);
}

TEST_F(BackupTest, AnIncrementalOneIsCompleteAndWritesWhatIsNew) {
  const BackupManifest whole = make();
  clock_.advance(std::chrono::minutes(5));
  write("data/hot/shard_000/seg-2", "tail and more");
  write("data/hot/shard_000/seg-3", "next");
  fs::remove(root_ + "/data/warm/acme.duck");
  const BackupManifest made = make(&whole);
  EXPECT_TRUE(made.incremental);
  EXPECT_EQ(made.new_bytes(), std::string("tail and more").size() + std::string("next").size());
  EXPECT_EQ(made.bytes(), 3'000'000 + made.new_bytes());
  EXPECT_FALSE(store_->head(made.id + "/hot/shard_000/seg-1").value());
  const BackupManifest found = find_backup(*store_, "").value();
  EXPECT_EQ(found.id, made.id);
  EXPECT_TRUE(verify_backup(*store_, found)->empty());
  ASSERT_TRUE(fetch_tier(*store_, found, "hot", root_ + "/back"));
  for (const char* name : {"seg-1", "seg-2", "seg-3"})
    EXPECT_EQ(read(std::string("back/shard_000/") + name),
              read(std::string("data/hot/shard_000/") + name));
  ASSERT_TRUE(store_->put(whole.id + "/hot/shard_000/seg-1", "other"));
  EXPECT_EQ(verify_backup(*store_, found).value(), std::vector<std::string>{"hot/shard_000/seg-1"});
}

TEST_F(BackupTest, WhatTheStoreLeftOutIsInTheEarlierBackup) {
  write("data/cold/objects/k", "parquet");
  const BackupManifest whole =
      write_backup(*store_, {root_ + "/data", {"cold"}}, "bak_1", clock_.now(), "1.0").value();
  EXPECT_TRUE(sums_of(whole)->contains(sha256("parquet")));
  fs::remove(root_ + "/data/cold/objects/k");
  BackupSource source{root_ + "/data", {"cold"}};
  source.held["cold"] = {{"objects/k", 7, sha256("parquet")}};
  const auto made = write_backup(*store_, source, "bak_2", clock_.now(), "1.0", &whole);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(fetch_tier(*store_, *made, "cold", root_ + "/back"));
  EXPECT_EQ(read("back/objects/k"), "parquet");
  source.held["cold"] = {{"objects/k", 7, sha256("never seen")}};
  EXPECT_EQ(write_backup(*store_, source, "bak_3", clock_.now(), "1.0", &whole).error().code,
            Errc::kCorrupt);
}

TEST_F(BackupTest, AnObjectGoesWithTheLastBackupThatNamesIt) {
  const BackupManifest whole = make();
  clock_.advance(std::chrono::minutes(5));
  write("data/hot/shard_000/seg-3", "next");
  const BackupManifest second = make(&whole);
  clock_.advance(std::chrono::minutes(5));
  write("data/hot/shard_000/seg-4", "last");
  fs::remove(root_ + "/data/warm/acme.duck");
  const BackupManifest third = make(&second);
  EXPECT_EQ(third.new_bytes(), 4U) << "also what an incremental one has is not written again";
  EXPECT_EQ(prune_backups(*store_, {.before = third.created_at}).value(), 2U);
  EXPECT_TRUE(verify_backup(*store_, third)->empty());
  EXPECT_FALSE(store_->head(whole.id + "/warm/acme.duck").value()) << "nobody names it any more";
  clock_.advance(std::chrono::minutes(5));
  fs::remove(root_ + "/data/hot/shard_000/seg-1");
  const BackupManifest fourth = make(&third);
  EXPECT_EQ(prune_backups(*store_, {.before = fourth.created_at}).value(), 1U);
  EXPECT_TRUE(verify_backup(*store_, fourth)->empty());
  EXPECT_FALSE(store_->head(whole.id + "/hot/shard_000/seg-1").value())
      << "written by one that went before, named until now";
}

TEST_F(BackupTest, IncrementalOnesAreCountedApart) {
  const BackupManifest first = make();
  std::vector<BackupManifest> all{first};
  for (int i = 0; i < 4; ++i) {
    clock_.advance(std::chrono::minutes(5));
    all.push_back(make(&all.back()));
  }
  EXPECT_EQ(prune_backups(*store_, {.before = {}, .most = 1, .incremental = 2}).value(), 2U);
  const auto left = list_backups(*store_, 10).value();
  ASSERT_EQ(left.size(), 3U);
  EXPECT_EQ(left[0].id, all[4].id);
  EXPECT_EQ(left[1].id, all[3].id);
  EXPECT_EQ(left[2].id, first.id);
}

TEST_F(BackupTest, IsNoneWhereTheEarlierOneWentMeanwhile) {
  const BackupManifest whole = make();
  clock_.advance(std::chrono::minutes(5));
  ASSERT_TRUE(store_->erase(whole.id + "/manifest.json"));
  const auto made =
      write_backup(*store_, {root_ + "/data", {"hot"}}, "bak_2", clock_.now(), "1.0", &whole);
  EXPECT_EQ(made.error().code, Errc::kConflict);
  EXPECT_TRUE(list_backups(*store_, 10)->empty());
}

TEST_F(BackupTest, ReadsWhatEarlierVersionsWrote) {
  json::object earlier = manifest_json(make());
  earlier["format"] = 1;
  EXPECT_TRUE(parse_backup_manifest(json::serialize(earlier)));
  earlier["format"] = 4;
  const auto later = parse_backup_manifest(json::serialize(earlier));
  ASSERT_FALSE(later);
  EXPECT_TRUE(later.error().message.contains("newer version")) << later.error().message;
}

TEST_F(BackupTest, TrustsNoPathThatLeadsOut) {
  const std::string good = json::serialize(manifest_json(make()));
  ASSERT_TRUE(parse_backup_manifest(good));
  for (const char* path : {"../x", "/etc/passwd", "a/../../x", "", "a//../b", "./a"}) {
    json::object broken = json::parse(good).as_object();
    broken["files"].as_array()[0].as_object()["path"] = path;
    EXPECT_EQ(parse_backup_manifest(json::serialize(broken)).error().code, Errc::kCorrupt) << path;
  }
  for (const char* at : {"../x", "/bak_1/hot/x", "bak_1/../x", "other/hot/x", "bak_1"}) {
    json::object broken = json::parse(good).as_object();
    broken["files"].as_array()[0].as_object()["at"] = at;
    EXPECT_EQ(parse_backup_manifest(json::serialize(broken)).error().code, Errc::kCorrupt) << at;
  }
  EXPECT_FALSE(parse_backup_manifest("{}"));
  EXPECT_FALSE(parse_backup_manifest("[]"));
}

}  // namespace
}  // namespace asahi::memory
