#include "server/move/data_move.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <utime.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/file.h"
#include "server/folder_lock.h"

namespace asahi::server {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Files = std::map<std::string, std::string>;

/// More than one piece of a copy.
const Files kInstallation = {{"asahi.db", "rows"},
                             {"asahi.db-wal", "newer rows"},
                             {"key_pepper", "0123456789"},
                             {"memory/hot/shard_000/000001.log", std::string(2'500'000, 'm')},
                             {"memory/hot/shard_000/LOCK", ""},
                             {"memory/warm/shard_000/000001.log", "summaries"},
                             {"node_id", "node-1"}};

/// For tests that move many times: each is synced.
const Files kSmall = {{"asahi.db", "rows"}, {"memory/hot/000001.log", "memories"}};

struct DataMoveTest : testing::Test {
  DataMoveTest() {
    root = (fs::temp_directory_path() / "asahi_move_XXXXXX").string();
    if (::mkdtemp(root.data()) == nullptr) throw std::runtime_error("mkdtemp");
    begin();
  }
  ~DataMoveTest() override { fs::remove_all(root); }

  void begin(const Files& files = kInstallation) {
    fs::remove_all(from());
    fs::remove_all(to());
    for (const auto& [file, text] : files) write(from(), file, text);
    if (!files.contains("key_pepper")) return;
    const std::string secret = from() + "/key_pepper";
    ::chmod(secret.c_str(), 0600);
    const utimbuf times{1'700'000'000, 1'700'000'000};
    ::utime(secret.c_str(), &times);
  }
  std::string from() const { return root + "/project/data"; }
  std::string to() const { return root + "/home/akosha"; }
  static void write(const std::string& folder, const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(folder + "/" + file).parent_path());
    std::ofstream(folder + "/" + file, std::ios::binary) << text;
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  /// But the lock and the word about the move.
  static Files files_in(const std::string& folder) {
    Files all;
    if (!fs::exists(folder)) return all;
    for (const auto& one : fs::recursive_directory_iterator(folder)) {
      const std::string name = one.path().lexically_relative(folder).generic_string();
      if (one.is_regular_file() && name != kMoveFile && name != FolderLock::kFile)
        all[name] = read(one.path().string());
    }
    return all;
  }
  /// Ends like a kill after so many steps.
  static MoveStep cut_after(int steps) {
    return [left = steps]() mutable { return left-- > 0; };
  }
  Result<DataMove> move(const MoveStep& step = {}) { return move_data(from(), to(), clock, step); }
  Result<DataMove> roll_back(const MoveStep& step = {}) {
    return roll_back_data(to(), clock, step);
  }

  std::string root;
  ManualClock clock;
};

TEST_F(DataMoveTest, MovesEverythingWithItsModesAndLeavesTheOldFolderEmpty) {
  const auto moved = move();
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(files_in(to()), kInstallation);
  EXPECT_THAT(files_in(from()), IsEmpty());
  EXPECT_FALSE(fs::exists(from() + "/memory")) << "empty folders go as well";
  struct stat about{};
  ASSERT_EQ(::stat((to() + "/key_pepper").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(about.st_mtime, 1'700'000'000) << "and its time";
  const auto status = data_move_of(to()).value();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->phase, MovePhase::kMoved);
  EXPECT_EQ(status->files.size(), kInstallation.size());
}

TEST_F(DataMoveTest, ADryRunWritesNothing) {
  const auto plan = plan_data_move(from(), to());
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->files.size(), kInstallation.size());
  EXPECT_GT(plan->bytes, 2'500'000u);
  EXPECT_FALSE(fs::exists(to()));
  EXPECT_FALSE(fs::exists(from() + "/" + std::string(kMoveFile)));
}

TEST_F(DataMoveTest, GoesOnWhereverItWasKilled) {
  int steps = 0;
  for (bool whole = false; !whole; ++steps) {
    begin(kSmall);
    const auto cut = move(cut_after(steps));
    whole = cut.has_value();
    if (!whole) {
      ASSERT_EQ(cut.error().code, Errc::kCancelled) << cut.error().message;
      Files anywhere = files_in(to());
      anywhere.merge(files_in(from()));
      for (const auto& [file, text] : kSmall)
        ASSERT_EQ(anywhere[file], text) << "lost after " << steps;
      for (const std::string& folder : {from(), to()})
        EXPECT_FALSE(FolderLock::take(folder)) << "a server starts after " << steps;
    }
    const auto again = whole ? cut : move();
    ASSERT_TRUE(again) << steps << ": " << again.error().message;
    EXPECT_EQ(files_in(to()), kSmall) << steps;
    EXPECT_THAT(files_in(from()), IsEmpty()) << steps;
  }
  EXPECT_GT(steps, 4) << "every file was a step of both halves";
}

TEST_F(DataMoveTest, IsUndoneWhereverItWasKilledAndHoweverOftenTheUndoingIs) {
  for (int steps = 0; steps < 8; ++steps) {
    begin(kSmall);
    (void)move(cut_after(steps));
    int tries = 0;
    Result<DataMove> back = roll_back(cut_after(tries));
    while (!back) {
      ASSERT_EQ(back.error().code, Errc::kCancelled) << steps << ": " << back.error().message;
      back = roll_back(cut_after(++tries));
    }
    EXPECT_EQ(files_in(from()), kSmall) << steps;
    EXPECT_THAT(files_in(to()), IsEmpty()) << steps;
    EXPECT_TRUE(FolderLock::take(from())) << steps;
    EXPECT_EQ(back->phase, MovePhase::kRolledBack);
  }
}

TEST_F(DataMoveTest, RollingBackTakesWhatWasWrittenSinceAlong) {
  ASSERT_TRUE(move());
  write(to(), "asahi.db", "rows of today");
  write(to(), "memory/hot/shard_000/000002.log", "new");
  ASSERT_TRUE(roll_back());
  EXPECT_EQ(files_in(from())["asahi.db"], "rows of today");
  EXPECT_EQ(files_in(from())["memory/hot/shard_000/000002.log"], "new");
  EXPECT_THAT(files_in(to()), IsEmpty());
  EXPECT_EQ(roll_back().error().code, Errc::kNotFound) << "there is nothing more to undo";
}

TEST_F(DataMoveTest, WhatIsThereAlreadyIsSkippedWithAllThatBelongsToIt) {
  write(to(), "asahi.db", "another database");
  write(to(), "memory/warm/shard_000/000009.log", "another tier");
  const auto moved = move();
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_THAT(moved->skipped,
              ElementsAre("asahi.db", "asahi.db-wal", "memory/warm/shard_000/000001.log"))
      << "a journal of one database beside another would break it";
  EXPECT_EQ(files_in(to())["asahi.db"], "another database");
  EXPECT_EQ(files_in(to()).count("asahi.db-wal"), 0u);
  EXPECT_EQ(files_in(from()).size(), 3u);
  ASSERT_TRUE(roll_back());
  EXPECT_EQ(files_in(from()), kInstallation);
  EXPECT_EQ(files_in(to()).size(), 2u) << "what was the folder's own stays";
}

TEST_F(DataMoveTest, WaitsForNobodyWhoUsesAFolder) {
  {
    const auto server = FolderLock::take(from());
    ASSERT_TRUE(server);
    const auto refused = move();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  }
  const File store = File::open(from() + "/memory/hot/shard_000/LOCK", O_RDWR);
  ASSERT_EQ(::flock(store.get(), LOCK_EX | LOCK_NB), 0);
  const auto refused = move();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("memory/hot/shard_000"));
  EXPECT_EQ(files_in(from()), kInstallation);
}

TEST_F(DataMoveTest, AServerThatFindsItsFolderLeftSaysWhereTheDataIs) {
  ASSERT_TRUE(move());
  const auto lock = FolderLock::take(from());
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, HasSubstr("was moved to " + fs::canonical(to()).string()));
  EXPECT_TRUE(FolderLock::take(to()));
}

TEST_F(DataMoveTest, RefusesFoldersThatCannotBeMeant) {
  EXPECT_EQ(move_data(from(), from() + "/inside", clock).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(move_data(from(), from() + "/", clock).error().code, Errc::kInvalidArgument);
  write(root + "/photos", "cat.jpg", "cat");
  EXPECT_EQ(move_data(root + "/photos", to(), clock).error().code, Errc::kNotFound)
      << "a folder that no server wrote";
  fs::create_symlink("/etc", from() + "/linked");
  EXPECT_EQ(move().error().code, Errc::kConflict);
  EXPECT_EQ(roll_back_data(root + "/nowhere", clock).error().code, Errc::kNotFound);
}

TEST_F(DataMoveTest, NothingIsRemovedWhenACopyHasGone) {
  ASSERT_FALSE(move(cut_after(8)));  // seven files and the begin of removing
  fs::remove(to() + "/memory/hot/shard_000/000001.log");
  const auto refused = move();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_EQ(files_in(from()).count("memory/hot/shard_000/000001.log"), 1u);
}

}  // namespace
}  // namespace asahi::server
