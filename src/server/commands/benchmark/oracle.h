#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llm/message.h"

namespace asahi::server::benchmark {

/// What the built-in vendor answers in a benchmark: one and the same answer to every wording of a
/// topic, as a model would, and another one to every other topic. Its own prose depends on the
/// wording, which a cache that compares answers takes for a wrong hit. Immutable: any thread.
class Oracle {
 public:
  Oracle();
  /// Empty: none of the benchmark's topics (the steps of composed requests).
  std::string answer(const llm::ChatRequest& request) const;

 private:
  /// By the beginning of the last user message: what stands behind it may have been trimmed.
  std::unordered_map<std::string_view, std::vector<std::size_t>> by_beginning_;
};

}  // namespace asahi::server::benchmark
