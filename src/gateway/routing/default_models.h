#pragma once

#include <string_view>

namespace asahi::gateway {

/// The text of config/models.yaml as of the build, so that the program needs no file to start.
extern const std::string_view kDefaultModelsYaml;

}  // namespace asahi::gateway
