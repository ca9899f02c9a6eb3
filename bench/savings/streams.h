#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace asahi::savings {

struct StreamResult {
  std::string name;
  double delta = 0;
  std::size_t questions = 0, hits = 0, wrong = 0, explored = 0;
  double of_hits() const {
    return hits == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(hits);
  }
  double hit_rate() const {
    return questions == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(questions);
  }
  double of_questions() const {
    return questions == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(questions);
  }
};

/// Streams of `length` questions whose truth is known, against one δ: worlds of
/// scores (benign, scores that promise too much, entries that turn, a stream that lures the cache
/// into trust and then betrays it) and one of texts through the whole path.
void bound_streams(std::size_t length, double delta, std::uint64_t seed,
                   const std::function<void(const StreamResult&)>& each);

}  // namespace asahi::savings
