#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::server {

/// What the choice of a data folder looks at.
struct Surroundings {
  /// Of the process or .env; an empty one counts as not set.
  std::function<std::optional<std::string>(std::string_view)> variable;
  bool in_container = false;
  /// Whether a server has written into this folder.
  std::function<bool(const std::string& folder)> holds_data;
};

/// Where everything of a process is written, and why.
struct DataFolder {
  std::string path;
  /// Where it goes by the rules, when nothing lies in the folder of before.
  std::string rule_path;
  std::string origin;  ///< "AKOSHA_ENV=container"
  std::vector<std::string> warnings;
};

/// The folder of one who says AKOSHA_ENV (spec/memory §4.10; design §2: one folder for all modules)
/// and no folder: container `/data/akosha`; local the platform's place for data of applications
/// (`$XDG_DATA_HOME/akosha`, else `~/.local/share/akosha`); development `./.akosha/data`; test
/// `/tmp/akosha/test`; auto (also production, staging): container inside of one, development where
/// AKOSHA_ENVIRONMENT says so, else local. What a server has written to `./data` before is used
/// there until it is moved (not in test), which is a warning. Errors: invalid_argument with the
/// field AKOSHA_ENV: another word, or no home to be local in.
Result<DataFolder> choose_data_folder(std::string_view akosha_env, const Surroundings& around);

/// Whether this process runs in a container: a marker file of Docker or Podman, or a control group
/// of a container runtime. `root`: "" but in tests.
bool runs_in_container(const std::string& root);
bool holds_data(const std::string& folder);

/// The folder of those who say nothing.
inline constexpr std::string_view kProjectData = "data";

}  // namespace asahi::server
