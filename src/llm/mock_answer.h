#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "llm/message.h"
#include "llm/vendor.h"

namespace asahi::llm::mock {

/// Numbers that follow from a seed alone (SplitMix64, https://prng.di.unimi.it/splitmix64.c).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  /// The first 8 bytes of SHA-256 over `seed` and `text`.
  static Random of(std::uint64_t seed, std::string_view text);
  std::uint64_t next();
  /// In [low, high).
  double uniform(double low, double high);

 private:
  std::uint64_t state_;
};

/// What the mock does with one request; decided before any of it happens.
struct Plan {
  enum class Fault { kNone, kRateLimit, kServerError, kTimeout, kCut } fault = Fault::kNone;
  std::chrono::nanoseconds latency{0};
  ChatResponse response;
};
Plan make_plan(const MockOptions& options, const ChatRequest& request);

/// The smallest value that `schema` allows, near enough for tests: required members, first enum
/// value, one element.
json::value sample_of(const json::value& schema, int depth = 0);

/// "Hello big world" as "Hello ", "big ", "world".
std::vector<std::string> split_words(std::string_view text);

}  // namespace asahi::llm::mock
