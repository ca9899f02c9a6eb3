#pragma once

#include <string_view>

namespace asahi::gateway {

/// The text of config/models.yaml as of the build, so that the program needs no file to start.
extern const std::string_view kDefaultModelsYaml;
/// The text of config/config.yaml: a sample to print, never read as settings (the defaults live in
/// config.h).
extern const std::string_view kSampleConfigYaml;

}  // namespace asahi::gateway
