#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/metrics.h"

namespace asahi::telemetry {

/// A snapshot as WriteRequest messages (protocol buffers) of Prometheus' remote write 1.0
/// (https://prometheus.io/docs/specs/prw/remote_write_spec/), not yet compressed, at most
/// `max_series` time series each. Labels are sorted by name, `more` (the instance …) among them; a
/// label of the series' own wins over one of `more`. A histogram is written as the series of its
/// text exposition: `_bucket` with `le`, `_sum`, `_count`. Types and help texts go along as
/// metadata.
std::vector<std::string> remote_write_requests(std::span<const FamilySnapshot> families,
                                               const Labels& more, Clock::Time now,
                                               std::size_t max_series = 2'000);

/// Snappy's block format, as remote write wants it. Loads libsnappy at the first call. Errors:
/// unavailable where it is missing, internal.
Result<std::string> snappy_block(std::string_view bytes);
/// What a process that sends later wants to know at its start.
Result<void> load_snappy();

}  // namespace asahi::telemetry
