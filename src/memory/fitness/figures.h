#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace asahi::memory::fitness {

/// How somebody does at a class of work (spec/memory §6.4).
struct Figure {
  std::string task_class, selector;  ///< as their part of the path has them
  double failure_rate = 0;           ///< failed ÷ all
  double p99_latency_ms = 0;         ///< nearest rank
  std::size_t samples = 0, components = 0;
  double score() const { return 1 - failure_rate; }
  /// "routing_fitness/<class>/<selector>".
  std::string path() const;
  bool operator==(const Figure&) const = default;
};

/// Letters, digits and '_' stay, everything else is '_'; at most 50. Names that become the same
/// are one.
std::string path_part(std::string_view name);

/// What one component tells of one class of work.
struct Sample {
  std::string trace_id;  ///< empty: it has none
  std::string selector;
  bool failed = false;
  double latency_ms = 0;
};
struct Samples {
  std::vector<Sample> good;
  std::size_t malformed = 0;  ///< rows that are left out
};
/// The rows of a reply to `query_local_traces`, in "structuredContent" or as JSON in the first text
/// of "content": {"traces": […]} or the list alone. A row needs selector, latency_ms and outcome
/// ("success", "failure") or success (a boolean); one of another class or that began before `from`
/// is left out. At most `most` rows are looked at. Errors: upstream (it holds no list).
Result<Samples> samples_of(const json::object& reply, std::string_view task_class, Clock::Time from,
                           std::size_t most);

/// Adds up samples of many components. A component that tells of a trace twice counts once.
class Figures {
 public:
  void add(std::string_view component, std::string_view task_class, const Samples& samples);
  /// By class and selector.
  std::vector<Figure> figures() const;
  std::size_t samples() const { return samples_; }

 private:
  struct Sum {
    std::size_t failed = 0;
    std::vector<double> latencies;
    std::set<std::string, std::less<>> components;
  };
  std::map<std::pair<std::string, std::string>, Sum> sums_;
  std::size_t samples_ = 0;
};

json::object to_json(const Figure& figure);

}  // namespace asahi::memory::fitness
