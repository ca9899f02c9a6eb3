#include "server/data_folder.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace asahi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kContainer = "/data/akosha";
constexpr std::string_view kDevelopment = "./.akosha/data";
constexpr std::string_view kTest = "/tmp/akosha/test";

std::unexpected<Error> refused(std::string message) {
  return fail_field("AKOSHA_ENV", std::move(message));
}

Result<std::string> local_folder(const Surroundings& around) {
  // The XDG Base Directory Specification: a relative path there is to be ignored.
  if (const auto data = around.variable("XDG_DATA_HOME"); data && data->starts_with('/'))
    return *data + "/akosha";
  if (const auto home = around.variable("HOME"); home && home->starts_with('/')) {
#ifdef __APPLE__
    return *home + "/Library/Application Support/akosha";
#else
    return *home + "/.local/share/akosha";
#endif
  }
  return refused("local needs HOME or XDG_DATA_HOME; set ASAHI_DATA_DIR to a folder instead");
}

/// The word that auto stands for.
std::string_view found_out(const Surroundings& around) {
  if (around.in_container) return "container";
  return around.variable("AKOSHA_ENVIRONMENT") == "development" ? "development" : "local";
}

}  // namespace

Result<DataFolder> choose_data_folder(std::string_view akosha_env, const Surroundings& around) {
  const bool automatic =
      akosha_env == "auto" || akosha_env == "production" || akosha_env == "staging";
  const std::string_view word = automatic ? found_out(around) : akosha_env;
  DataFolder folder;
  if (word == "container") {
    folder.path = kContainer;
  } else if (word == "local") {
    ASAHI_TRY(folder.path, local_folder(around));
  } else if (word == "development") {
    folder.path = kDevelopment;
  } else if (word == "test") {
    folder.path = kTest;
  } else {
    return refused("must be auto, container, local, development or test");
  }
  folder.rule_path = folder.path;
  folder.origin = automatic ? fmt::format("AKOSHA_ENV={}: {}", akosha_env, word)
                            : fmt::format("AKOSHA_ENV={}", akosha_env);
  const std::string before(kProjectData);
  if (!around.holds_data(before)) return folder;
  if (word == "test" || around.holds_data(folder.path)) {
    folder.warnings.push_back(
        fmt::format("a data folder of before is left in ./{}; nothing in it is used: {} is ({})",
                    before, folder.path, folder.origin));
    return folder;
  }
  folder.warnings.push_back(
      fmt::format("./{} has data and is used; by {} it belongs to {}: stop the server and run "
                  "'asahi memory migrate data'",
                  before, folder.origin, folder.path));
  folder.path = before;
  folder.origin = fmt::format("found there; {} would be {}", folder.origin, folder.rule_path);
  return folder;
}

bool runs_in_container(const std::string& root) {
  std::error_code ignored;
  for (const char* marker : {"/.dockerenv", "/run/.containerenv"}) {
    if (fs::exists(root + marker, ignored)) return true;
  }
  // Version 1 of control groups names the runtime here; with version 2 and a namespace of its own a
  // container sees "/" only, and its marker above.
  std::ifstream groups(root + "/proc/1/cgroup");
  constexpr auto kRuntimes = std::to_array<std::string_view>(
      {"docker", "kubepods", "containerd", "libpod", "/lxc/", "crio-"});
  for (std::string line; std::getline(groups, line);) {
    for (const std::string_view runtime : kRuntimes) {
      if (line.find(runtime) != std::string::npos) return true;
    }
  }
  return false;
}

bool holds_data(const std::string& folder) {
  std::error_code ignored;
  for (const char* name : {"/asahi.db", "/node_id", "/memory/hot", "/memory/warm"}) {
    if (fs::exists(folder + name, ignored)) return true;
  }
  return false;
}

}  // namespace asahi::server
