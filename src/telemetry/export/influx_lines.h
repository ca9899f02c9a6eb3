#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "telemetry/metrics.h"

namespace asahi::telemetry {

/// A snapshot in InfluxDB's line protocol, with timestamps in milliseconds (`precision=ms`). One
/// line per series: the family's name is the measurement and labels are tags, `more` (the node …)
/// after them. Fields are floats and named as Telegraf names Prometheus' series: `counter` or
/// `gauge`; of a histogram `count`, `sum` and one per bucket, named by its bound (`0.005`, `+Inf`).
/// Several bodies of at most `max_lines` lines each. What the protocol cannot carry is left out:
/// empty tag values, NaN, infinity.
std::vector<std::string> influx_lines(std::span<const FamilySnapshot> families, const Labels& more,
                                      Clock::Time now, std::size_t max_lines = 5'000);

}  // namespace asahi::telemetry
