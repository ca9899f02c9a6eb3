#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::server {

/// Two questions, and whether one answer serves both.
struct LabelledPair {
  std::string a, b;
  std::string task = "general";
  bool same = false;
};

/// Reads JSON lines of {"a" or "query_a": text, "b" or "query_b": text, "same" or "label": true,
/// false, 1 or 0, "task": text (general)}; empty lines are skipped. `origin` names the file in
/// errors. Errors: invalid_argument with every fault (line, field, rule; the first 20), or without
/// any pair.
Result<std::vector<LabelledPair>> read_labels(std::string_view text, std::string_view origin);

}  // namespace asahi::server
