#include "storage/object/folder_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <utime.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace asahi::object {
namespace {

namespace fs = std::filesystem;

class FolderStoreTest : public ::testing::Test {
 protected:
  FolderStoreTest() {
    folder_ = (fs::temp_directory_path() / "asahi-folder-XXXXXX").string();
    if (::mkdtemp(folder_.data()) == nullptr) std::abort();
    store_ = FolderStore::open(folder_ + "/store").value();
  }
  ~FolderStoreTest() override { fs::remove_all(folder_); }

  std::vector<std::string> names(const std::string& below) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ + "/store/" + below))
      found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  std::string folder_;
  std::unique_ptr<FolderStore> store_;
};

TEST_F(FolderStoreTest, KeepsObjectsAsPlainFiles) {
  ASSERT_TRUE(store_->put("2026/11/22.gz", "zipped"));
  std::ifstream in(folder_ + "/store/2026/11/22.gz");
  std::string text;
  in >> text;
  EXPECT_EQ(text, "zipped");
  EXPECT_EQ(store_->where(), "file://" + folder_ + "/store");
}

TEST_F(FolderStoreTest, FollowsNoLinks) {
  ASSERT_TRUE(replace_file(folder_ + "/secret", "s"));
  fs::create_symlink(folder_, folder_ + "/store/out");
  fs::create_symlink(folder_ + "/secret", folder_ + "/store/link");
  EXPECT_EQ(store_->get("out/secret", 10).error().code, Errc::kNotFound);
  EXPECT_EQ(store_->get("link", 10).error().code, Errc::kNotFound);
  EXPECT_EQ(store_->put("out/new", "x").error().code, Errc::kInvalidArgument);
  EXPECT_EQ(store_->put("link", "x").error().code, Errc::kInvalidArgument);
  EXPECT_FALSE(fs::exists(folder_ + "/new"));
  EXPECT_TRUE(store_->list({})->objects.empty());
}

TEST_F(FolderStoreTest, LetsNoKeyBeTheFolderOfOthers) {
  ASSERT_TRUE(store_->put("a", "x"));
  EXPECT_EQ(store_->put("a/b", "x").error().code, Errc::kInvalidArgument);
  ASSERT_TRUE(store_->put("c/d", "x"));
  EXPECT_EQ(store_->put("c", "x").error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(store_->erase("c"));
  EXPECT_TRUE(store_->head("c/d").value());
}

TEST_F(FolderStoreTest, LeavesNothingBehindOfWhatFailed) {
  ASSERT_TRUE(store_->put("a", "x"));
  ASSERT_FALSE(store_->put("a", "y", {.only_if_absent = true}));
  {
    auto upload = store_->begin_upload("b").value();
    ASSERT_TRUE(upload->write("half"));
  }
  EXPECT_TRUE(names(".asahi-tmp").empty());
}

TEST_F(FolderStoreTest, SweepsTheRemainsOfACrash) {
  ASSERT_TRUE(store_->put("a", "x"));
  const std::string old = folder_ + "/store/.asahi-tmp/put_old",
                    fresh = folder_ + "/store/.asahi-tmp/put_new";
  ASSERT_TRUE(replace_file(old, "1"));
  ASSERT_TRUE(replace_file(fresh, "2"));
  const utimbuf long_ago{.actime = 1'000'000, .modtime = 1'000'000};
  ASSERT_EQ(::utime(old.c_str(), &long_ago), 0);
  store_ = FolderStore::open(folder_ + "/store").value();
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh));  // somebody may be at it
}

TEST_F(FolderStoreTest, RemovesFoldersThatHoldNothing) {
  ASSERT_TRUE(store_->put("a/b/c", "x"));
  ASSERT_TRUE(store_->put("a/d", "x"));
  ASSERT_TRUE(store_->erase("a/b/c"));
  EXPECT_FALSE(fs::exists(folder_ + "/store/a/b"));
  EXPECT_TRUE(fs::exists(folder_ + "/store/a"));
  ASSERT_TRUE(store_->put("a/b/c", "y"));
}

TEST_F(FolderStoreTest, SaysThatTheDiskIsFullAndKeepsTheOld) {
  ASSERT_TRUE(store_->put("a", "old"));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 100'000;
  std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto put = store_->put("a", std::string(1'000'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kUnavailable);
  EXPECT_EQ(store_->get("a", 10).value(), "old");
  EXPECT_TRUE(names(".asahi-tmp").empty());
}

TEST_F(FolderStoreTest, IsSharedWithOtherProcesses) {
  const auto other = FolderStore::open(folder_ + "/store").value();
  const auto first = store_->put("a", "1");
  ASSERT_TRUE(other->put("a", "2", {.only_if_etag = first->etag}));
  EXPECT_EQ(store_->put("a", "3", {.only_if_etag = first->etag}).error().code, Errc::kConflict);
}

}  // namespace
}  // namespace asahi::object
