#include "memory/cold/catalogue.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "storage/columnar/private_folder.h"

namespace asahi::memory::cold {
namespace {

ColdFile file(const std::string& key) {
  ColdFile out;
  out.key = key;
  out.tenant = "org";
  out.system_id = "agent";
  out.rows = 3;
  out.bytes = 1'000;
  out.oldest = Clock::Time{std::chrono::seconds(5)};
  out.newest = Clock::Time{std::chrono::nanoseconds(9'000'000'001)};
  out.sha256 = sha256(key);
  out.generation = 7;
  out.filter = std::string("\0\xff\x10", 3);
  out.tombstones = {"a \"quoted\" id", "ü"};
  out.state = FileState::kRetired;
  out.changed = Clock::Time{std::chrono::seconds(10)};
  return out;
}

class FileCatalogueTest : public ::testing::Test {
 protected:
  columnar::PrivateFolder folder_ = columnar::PrivateFolder::make("").value();
  const std::string path_ = folder_.path() + "/catalogue";

  std::vector<ColdFile> load() { return FileCatalogue(path_).load().value(); }
  std::string content() const {
    std::ostringstream out;
    out << std::ifstream(path_).rdbuf();
    return out.str();
  }
};

TEST_F(FileCatalogueTest, KeepsWhatItTook) {
  FileCatalogue catalogue(path_);
  EXPECT_TRUE(catalogue.load()->empty());
  ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {file("a"), file("b")}}));
  EXPECT_EQ(load(), (std::vector<ColdFile>{file("a"), file("b")}));
  ColdFile changed = file("a");
  changed.tombstones.clear();
  changed.state = FileState::kLive;
  ASSERT_TRUE(catalogue.commit({.removed = {"b", "unknown"}, .put = {changed, file("c")}}));
  EXPECT_EQ(load(), (std::vector<ColdFile>{changed, file("c")}));
  EXPECT_EQ(catalogue.load().value(), load());
}

TEST_F(FileCatalogueTest, DropsATornEndAndGoesOn) {
  FileCatalogue catalogue(path_);
  ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {file("a")}}));
  const std::string before = content();
  ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {file("b")}}));
  const std::string after = content();
  for (std::size_t length = before.size(); length < after.size(); length += 17) {
    std::ofstream(path_, std::ios::trunc) << after.substr(0, length);
    EXPECT_EQ(load(), std::vector<ColdFile>{file("a")}) << length;
    FileCatalogue again(path_);
    ASSERT_TRUE(again.load());
    ASSERT_TRUE(again.commit({.removed = {}, .put = {file("c")}}));
    EXPECT_EQ(load(), (std::vector<ColdFile>{file("a"), file("c")})) << length;
  }
}

TEST_F(FileCatalogueTest, SaysThatItIsDamaged) {
  FileCatalogue catalogue(path_);
  ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {file("a")}}));
  ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {file("b")}}));
  std::string damaged = content();
  damaged[100] = damaged[100] == 'x' ? 'y' : 'x';
  std::ofstream(path_, std::ios::trunc) << damaged;
  EXPECT_EQ(FileCatalogue(path_).load().error().code, Errc::kCorrupt);
}

TEST_F(FileCatalogueTest, StaysSmall) {
  FileCatalogue catalogue(path_);
  for (int i = 0; i < 200; ++i) {
    ColdFile changed = file("a");
    changed.generation = static_cast<std::uint64_t>(i);
    ASSERT_TRUE(catalogue.commit({.removed = {}, .put = {changed}}));
  }
  EXPECT_LT(std::filesystem::file_size(path_), 50'000U);
  EXPECT_EQ(load().at(0).generation, 199U);
}

}  // namespace
}  // namespace asahi::memory::cold
