#include "base/file_sums.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/ids.h"

namespace asahi {
namespace {

namespace fs = std::filesystem;

class FileSumsTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return folder_ + "/" + name;
  }
  const std::string folder_ = (fs::temp_directory_path() / random_id("asahi-sums-", 12)).string();
  FileSums sums_{2};
};

TEST_F(FileSumsTest, AFileIsReadOnceUnderAnyName) {
  const std::string path = write("a", std::string(3'000'000, 'x'));
  const auto first = sums_.of(path);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size, 3'000'000U);
  EXPECT_EQ(first->sha256, sha256(std::string(3'000'000, 'x')));
  ASSERT_EQ(::link(path.c_str(), (folder_ + "/b").c_str()), 0);
  EXPECT_EQ(sums_.of(folder_ + "/b")->sha256, first->sha256);
  EXPECT_EQ(sums_.read(), 1U);
}

TEST_F(FileSumsTest, AnotherFileOfTheNameIsReadAnew) {
  EXPECT_EQ(sums_.of(write("a", "one"))->sha256, sha256("one"));
  write("new", "two");
  fs::rename(folder_ + "/new", folder_ + "/a");
  EXPECT_EQ(sums_.of(folder_ + "/a")->sha256, sha256("two"));
  EXPECT_EQ(sums_.of(write("longer", "three"))->sha256, sha256("three"));
}

TEST_F(FileSumsTest, KnowsSoManyAtMost) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(sums_.of(write(name, name)));
  ASSERT_TRUE(sums_.of(folder_ + "/c"));
  EXPECT_EQ(sums_.read(), 3U);
  ASSERT_TRUE(sums_.of(folder_ + "/a"));
  EXPECT_EQ(sums_.read(), 4U) << "forgotten, read again";
}

TEST_F(FileSumsTest, WhatIsNotThereIsAnError) {
  EXPECT_EQ(sums_.of(folder_ + "/none").error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi
