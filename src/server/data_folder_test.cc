#include "server/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace asahi::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Somewhere {
  std::map<std::string, std::string, std::less<>> variables = {{"HOME", "/home/ann"}};
  bool in_container = false;
  std::set<std::string> with_data;

  Result<DataFolder> choose(std::string_view word) const {
    return choose_data_folder(
        word, {.variable = [this](std::string_view name) -> std::optional<std::string> {
                 const auto found = variables.find(name);
                 if (found == variables.end()) return std::nullopt;
                 return found->second;
               },
               .in_container = in_container,
               .holds_data = [this](const std::string& path) { return with_data.contains(path); }});
  }
  std::string path(std::string_view word) const { return choose(word).value().path; }
};

TEST(DataFolder, IsThatOfTheEnvironmentThatIsSaid) {
  const Somewhere plain;
  EXPECT_EQ(plain.path("container"), "/data/akosha");
  EXPECT_EQ(plain.path("local"), "/home/ann/.local/share/akosha");
  EXPECT_EQ(plain.path("development"), "./.akosha/data");
  EXPECT_EQ(plain.path("test"), "/tmp/akosha/test");
  EXPECT_EQ(plain.choose("container")->origin, "AKOSHA_ENV=container");
}

TEST(DataFolder, AutoLooksForAContainerThenForDevelopmentElseItIsLocal) {
  Somewhere here;
  EXPECT_EQ(here.path("auto"), "/home/ann/.local/share/akosha");
  EXPECT_EQ(here.choose("auto")->origin, "AKOSHA_ENV=auto: local");
  here.variables["AKOSHA_ENVIRONMENT"] = "development";
  EXPECT_EQ(here.path("auto"), "./.akosha/data");
  here.in_container = true;
  EXPECT_EQ(here.path("auto"), "/data/akosha");
  EXPECT_EQ(here.path("production"), "/data/akosha") << "says nothing of where";
}

TEST(DataFolder, LocalIsWhereTheDesktopKeepsDataAndNeedsAHome) {
  Somewhere here;
  here.variables["XDG_DATA_HOME"] = "/data/of/ann";
  EXPECT_EQ(here.path("local"), "/data/of/ann/akosha");
  here.variables["XDG_DATA_HOME"] = "relative";
  EXPECT_EQ(here.path("local"), "/home/ann/.local/share/akosha");
  here.variables.clear();
  const auto homeless = here.choose("local");
  ASSERT_FALSE(homeless);
  EXPECT_EQ(homeless.error().field, "AKOSHA_ENV");
}

TEST(DataFolder, AnotherWordIsRefusedWithThoseThereAre) {
  const auto refused = Somewhere().choose("laptop");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("auto, container, local, development or test"));
}

TEST(DataFolder, AnInstallationInTheProjectIsFoundUntilItIsMoved) {
  Somewhere here;
  here.with_data = {"data"};
  const auto stays = here.choose("local").value();
  EXPECT_EQ(stays.path, "data");
  EXPECT_EQ(stays.rule_path, "/home/ann/.local/share/akosha");
  EXPECT_THAT(stays.warnings, ElementsAre(HasSubstr("migrate data")));
  here.with_data = {"data", "/home/ann/.local/share/akosha"};
  const auto moved = here.choose("local").value();
  EXPECT_EQ(moved.path, "/home/ann/.local/share/akosha");
  EXPECT_THAT(moved.warnings, ElementsAre(HasSubstr("left in ./data")));
}

TEST(DataFolder, TestsNeverUseAnInstallation) {
  Somewhere here;
  here.with_data = {"data"};
  EXPECT_EQ(here.path("test"), "/tmp/akosha/test");
}

struct Container : testing::Test {
  Container() {
    root = (std::filesystem::temp_directory_path() / "asahi_container_XXXXXX").string();
    if (::mkdtemp(root.data()) == nullptr) throw std::runtime_error("mkdtemp");
  }
  ~Container() override { std::filesystem::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }
  std::string root;
};

TEST_F(Container, IsSeenByItsMarkerOrItsControlGroup) {
  write("/proc/1/cgroup", "0::/init.scope\n");
  EXPECT_FALSE(runs_in_container(root));
  write("/proc/1/cgroup", "12:cpu:/kubepods/burstable/pod1\n0::/\n");
  EXPECT_TRUE(runs_in_container(root));
  write("/proc/1/cgroup", "0::/\n");
  EXPECT_FALSE(runs_in_container(root));
  write("/run/.containerenv", "");
  EXPECT_TRUE(runs_in_container(root));
}

}  // namespace
}  // namespace asahi::server
