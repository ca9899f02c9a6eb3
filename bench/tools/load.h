#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asahi::bench {

/// What the load generator was asked for; see the usage text in load_main.cc.
struct LoadOptions {
  std::uint16_t port = 0;
  std::string path = "/v1/chat/completions";
  std::string key = "sk-bench";      ///< bearer credential
  std::vector<std::string> headers;  ///< "Name: value"
  std::string model = "gpt-4o-mini";
  unsigned connections = 1;
  double seconds = 3;
  double warmup_seconds = 0.5;
  std::uint64_t requests = 0;  ///< stop after so many instead of `seconds`; 0: by time
  double rate = 0;             ///< open loop: arrivals a second
  unsigned repeat_percent =
      0;  ///< so many of a hundred prompts come from a pool that repeats, the others are unique
  unsigned pool = 1;  ///< size of that pool
  std::string pool_name = "pool";
  unsigned chunks = 0;  ///< above 0: streamed answers of so many content chunks
  unsigned first_us = 0, pause_us = 0;
  int watch_pid = 0;  ///< process whose CPU time is reported
};

/// Distribution of one measure, in microseconds.
struct Spread {
  double p50 = 0, p90 = 0, p99 = 0, max = 0;
  static Spread of(std::vector<std::uint32_t>& nanoseconds);
};

struct LoadReport {
  std::uint64_t requests = 0, errors = 0;
  double seconds = 0;
  double cpu = 0;  ///< CPU seconds of the watched process for each second
  Spread latency;  ///< whole answer; open loop: from when the request was due, not from when it
                   ///< could be sent
  Spread first_token;
  std::uint64_t chunks = 0, lost_chunks = 0;
  std::string first_error;
};

/// Runs the load to its end on this thread.
LoadReport run_load(const LoadOptions& options);

/// One JSON object without line break.
std::string to_json(const LoadReport& report);

}  // namespace asahi::bench
