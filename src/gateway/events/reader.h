#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "gateway/events/event.h"

namespace asahi::gateway {

/// A line of the log that holds no event: cut by a crash, or written by something else.
struct UnreadableLine {
  std::string_view file;
  std::size_t line = 0;  ///< from 1
};

/// Visits the events of `<dir>/events_*.jsonl`, oldest first; a process may be writing meanwhile.
/// Blocking. Errors: unavailable when a file cannot be read.
Result<void> each_event(const std::string& dir,
                        const std::function<void(const InferenceEvent&)>& visit,
                        const std::function<void(const UnreadableLine&)>& unreadable);

}  // namespace asahi::gateway
