#pragma once

#include <string_view>

namespace asahi::gateway {

/// How alike two answers are, 0 to 1: the F-score of their words with their counts, numbers
/// weighing three times as much as words. Equal texts and two empty ones: 1. At most the first 16
/// KiB of each.
double agreement(std::string_view one, std::string_view other);

}  // namespace asahi::gateway
