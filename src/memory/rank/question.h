#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/rank/named_time.h"
#include "memory/text/index.h"

namespace asahi::memory::rank {

/// Which end of time a question looks for.
enum class TimeOrder : std::uint8_t { kAny, kFirst, kLatest };

/// A question as ranking sees it.
struct Question {
  std::vector<text::QueryTerm> terms;
  std::vector<std::string> words;  ///< plain and sorted, for names
  bool asks_when = false;
  TimeOrder order = TimeOrder::kAny;
  std::optional<NamedTime> time;
};

/// At most 1,000 characters count. `now`: what "last week" is seen from.
Question read_question(std::string_view text, Clock::Time now);

}  // namespace asahi::memory::rank
