#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace asahi {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "asahi-file-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(dir_); }

  std::string path(const char* name) const { return dir_ + "/" + name; }
  static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string dir_;
};

TEST_F(FileTest, ClosesWithItsOwnerAndOnlyOnce) {
  int descriptor = -1;
  {
    File first = File::open(path("a"), O_WRONLY | O_CREAT);
    ASSERT_TRUE(first);
    descriptor = first.get();
    const File second = std::move(first);
    EXPECT_EQ(second.get(), descriptor);
    EXPECT_FALSE(first);  // NOLINT: what a moved file is, is promised
  }
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(FileTest, IsNotHandedToChildProcesses) {
  const File file = File::open(path("a"), O_WRONLY | O_CREAT);
  EXPECT_EQ(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(FileTest, ReplacesTheWholeContentWithTheModeAskedFor) {
  ASSERT_TRUE(replace_file(path("a"), std::string(100'000, 'x')));
  ASSERT_TRUE(replace_file(path("a"), "short", 0600));
  EXPECT_EQ(content(path("a")), "short");
  struct stat about{};
  ASSERT_EQ(::stat(path("a").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(path("a.new")));
}

TEST_F(FileTest, AReplacementThatFailsLeavesWhatWasThere) {
  std::filesystem::create_directory(path("folder"));
  const auto refused = replace_file(path("folder"), "text");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_TRUE(refused.error().message.contains(path("folder"))) << refused.error().message;
  EXPECT_TRUE(std::filesystem::is_directory(path("folder")));
  EXPECT_FALSE(std::filesystem::exists(path("folder.new")));
}

TEST_F(FileTest, AFullDiskIsAnErrorAndTheOldContentStays) {
  const File full = File::open("/dev/full", O_WRONLY);
  if (!full) GTEST_SKIP() << "no /dev/full here";
  EXPECT_FALSE(write_all(full.get(), "text"));
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace asahi
