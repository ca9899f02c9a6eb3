#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace asahi::savings {

struct StreamResult {
  std::string name;
  double delta = 0;
  std::size_t questions = 0, hits = 0, wrong = 0, explored = 0;
  double of_hits() const { return hits == 0 ? 0 : static_cast<double>(wrong) / hits; }
  double of_questions() const {
    return questions == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(questions);
  }
};

/// Streams of `length` questions whose truth is known, each against every δ of `deltas`: worlds of
/// scores (benign, scores that promise too much, entries that turn, a stream that lures the cache
/// into trust and then betrays it) and one of texts through the whole path.
std::vector<StreamResult> bound_streams(std::size_t length, const std::vector<double>& deltas);

}  // namespace asahi::savings
