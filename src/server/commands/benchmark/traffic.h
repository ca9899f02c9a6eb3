#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/commands/benchmark/queries.h"

namespace asahi::server::benchmark {

/// What a request is to those before it in the same run.
enum class Novelty : std::uint8_t {
  kNew,       ///< nobody asked for this before
  kRepeated,  ///< byte for byte as before
  kReworded,  ///< asked before in other words
};
std::string_view to_string(Novelty novelty);

struct Request {
  std::size_t topic = 0;  ///< place in `topics()`
  std::size_t wording = 0;
  Novelty novelty = Novelty::kNew;
};

struct TrafficOptions {
  std::size_t requests = 50;
  double repeats = 0.3;  ///< share of requests that somebody asked before, 0 to 0.95
  double reworded =
      0.5;  ///< share of these in words that were not used before, while there are some
  std::uint64_t seed = 1;
};

/// A stream of requests: the same for the same options. New topics come in the shares of
/// `category_share`, look-alikes with their families; repeats take up one of the earlier requests,
/// each as likely as any other, so that what was asked often is asked more often (Simon's model,
/// 1955). Beyond the size of the set there are more repeats than asked for.
std::vector<Request> plan_traffic(const TrafficOptions& options);

/// Of new topics; the shares add up to 1.
double category_share(Category category);

/// The last user message of a request.
std::string prompt_of(const Request& request);
/// The body of POST /infer without options.
json::object body_of(const Request& request);

}  // namespace asahi::server::benchmark
