#pragma once

#include <string>
#include <vector>

namespace asahi::server {

/// The texts of `asahi test` when no file is given: 100 of eight kinds (spec §12).
std::vector<std::string> built_in_queries();

}  // namespace asahi::server
