#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "gateway/events/event.h"

namespace asahi::gateway {

/// Which lines of event files have to go.
struct LogRules {
  std::map<std::string, Clock::Time, std::less<>> cutoffs;  ///< by organisation
  Clock::Time default_cutoff{};
  /// (organisation, user) whose events up to a time are erased.
  std::map<std::pair<std::string, std::string>, Clock::Time> erasures;
  Clock::Time as_of{};  ///< when they were read
};

bool must_go(const InferenceEvent& event, const LogRules& rules);
/// "events_2026-11-21.jsonl" -> the beginning of that day; max() for another name.
Clock::Time day_of_log(std::string_view file);

}  // namespace asahi::gateway
