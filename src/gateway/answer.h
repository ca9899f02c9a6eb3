#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/money.h"
#include "base/result.h"
#include "llm/message.h"

namespace asahi::gateway {

/// An answer with what it cost: made by a vendor call, kept by the cache.
struct Answer {
  llm::ChatResponse response;
  std::string model;  ///< registry name
  std::string provider;
  std::string task_type;
  std::string query;     ///< the last user text, cut: for people who look at the cache
  NanoUsd cost;          ///< what the vendor call cost
  NanoUsd baseline;      ///< what the baseline model would have cost for the same tokens
  std::string entry_id;  ///< entry of tier 2 that it was copied from; empty: none
  double quality = 0;    ///< the model's profile quality, 0–5
  Clock::Time created{};
  Clock::Time expires{};
};

/// The stored form: one JSON header line, then the vendor's original JSON when there is one.
std::string serialize_answer(const Answer& answer);
/// The same with other times than the answer's own.
std::string serialize_answer(const Answer& answer, Clock::Time created, Clock::Time expires);
/// Errors: corrupt (also for versions from the future).
Result<Answer> parse_answer(std::string_view stored);

/// Parts to and from the stored JSON, exact: `parts_from_json(parts_to_json(p)) == p`.
json::array parts_to_json(const std::vector<llm::Part>& parts);
Result<std::vector<llm::Part>> parts_from_json(const json::value& value);

}  // namespace asahi::gateway
