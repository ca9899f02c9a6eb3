#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/money.h"
#include "server/commands/benchmark/traffic.h"

namespace asahi::server::benchmark {

/// One reply of POST /infer, as far as the report looks at it.
struct Reply {
  bool asked = false;     ///< false: the run ended before
  bool answered = false;  ///< false: it failed
  std::string error;
  std::string request_id;
  std::string model;
  NanoUsd cost;
  bool hit = false;
  int tier = 0;              ///< 1 to 3 of a hit
  bool shared = false;       ///< answered by the call of an equal request in flight
  bool batched = false;      ///< shared a vendor call with other requests
  bool steps_known = false;  ///< a part of its steps came from tier 3
  std::int64_t input_tokens = 0, output_tokens = 0;  ///< paid now
  std::int64_t trimmed_tokens = 0;                   ///< of the prompt, not sent
  double similarity = 0;
  std::string cached_query;
  std::string text;
  double quality = 0;    ///< 0 to 5, of the model's profile
  double total_ms = 0;   ///< as the caller measured it
  double vendor_ms = 0;  ///< of that, waiting for the vendor
};

/// Reads a reply; costs are rounded to micro-dollars there. Errors: upstream when it is no reply of
/// POST /infer.
Result<Reply> read_reply(const json::value& body, double total_ms);

/// Where money stayed. The parts of a request add up to what it cost the baseline less what it cost
/// now.
enum class Technique : std::uint8_t {
  kExactCache,
  kSemanticCache,
  kStepCache,
  kSingleFlight,
  kTrimming,
  kBatching,
  kRouting,
  /// Another model's answer to the same prompt is shorter or longer.
  kAnswerLength,
};
inline constexpr std::size_t kTechniques = 8;
std::string_view to_string(Technique technique);
using Savings = std::array<NanoUsd, kTechniques>;

/// US dollars per 1,000 tokens of the baseline model.
struct BaselinePrice {
  TokenPrice input, output;
};
/// What was saved where. In the order of the pipeline: a hit is the cache's alone; of a miss, the
/// tokens that were not sent count at the baseline's price, the tokens that were sent at the
/// difference of prices (routing), and what remains is known steps, the shared call or another
/// length of the answer.
Savings split_saving(NanoUsd baseline, const Reply& reply, const BaselinePrice& price);

/// Nearest rank: element ⌈p/100·n⌉ of the sorted values (spec R40). 0 without values.
double percentile(std::vector<double> values, double p);
struct Spread {
  double p50 = 0, p95 = 0, p99 = 0;
};
Spread spread(const std::vector<double>& values);

/// A hit that answered with the answer to something else.
struct WrongHit {
  std::size_t request = 0;  ///< place in the traffic
  int tier = 0;
  double similarity = 0;
  std::string asked, cached;
};

struct RunTotals {
  std::size_t asked = 0, failed = 0;
  NanoUsd cost;  ///< of everything answered, compared or not
  std::int64_t input_tokens = 0, output_tokens = 0;
  double mean_quality = 0;
  Spread total_ms;  ///< with the vendor
  Spread added_ms;  ///< without
};

struct CategoryTotals {
  std::size_t compared = 0, hits = 0;
  NanoUsd baseline, optimized;
};

/// How the benchmark was run.
struct Setting {
  bool mock = false;
  bool fresh_cache = true;
  bool interrupted = false;
  bool exact_costs = true;  ///< from events, to the nano-dollar; else from replies
  std::string gateway;      ///< "in this process", or the URL
  std::string version;
  std::string started;  ///< RFC 3339
  std::string baseline_model;
  double quality = 3.5;
  int latency_ms = 300;
  std::size_t concurrency = 1;
  TrafficOptions traffic;
};

struct Report {
  Setting setting;
  RunTotals baseline, optimized;
  /// Answered in both runs: what the sums of money below are about.
  std::size_t compared = 0;
  NanoUsd baseline_cost, optimized_cost;
  Savings by_technique{};
  std::array<std::size_t, 4> hits_by_tier{};  ///< [1] to [3]; [0]: misses
  std::size_t lookups = 0;                    ///< answered in the optimised run
  std::array<std::size_t, 3> novelties{};     ///< of those, by Novelty
  std::array<std::size_t, 3> hits_by_novelty{};
  std::vector<WrongHit> wrong;
  std::size_t unverified_hits = 0;  ///< of entries that this run did not make
  std::array<CategoryTotals, kCategories> categories{};
  std::vector<std::string> failures;  ///< the first few, as texts
  /// Cost so far after each compared request.
  std::vector<std::pair<NanoUsd, NanoUsd>> cumulative;

  NanoUsd saved() const { return baseline_cost - optimized_cost; }
  double saved_percent() const;
  std::size_t hits() const { return hits_by_tier[1] + hits_by_tier[2] + hits_by_tier[3]; }
};

/// `baseline` and `optimized`: one reply per request, in its place.
Report make_report(Setting setting, std::span<const Request> traffic,
                   std::span<const Reply> baseline, std::span<const Reply> optimized,
                   const BaselinePrice& price);

std::string as_text(const Report& report);
std::string as_json(const Report& report);
/// `section,name,value,unit` (RFC 4180).
std::string as_csv(const Report& report);
/// One page without anything from outside.
std::string as_html(const Report& report);

/// The requests of one run, for a file.
std::string results_json(const Report& report, const RunTotals& totals,
                         std::span<const Request> traffic, std::span<const Reply> replies);

/// A field of CSV: quoted where it must be; what a spreadsheet would run as a formula is not.
std::string csv_field(std::string_view text);

}  // namespace asahi::server::benchmark
