#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "base/log.h"

namespace asahi {

/// Sees a line of the log before it is written, on the thread that writes it: must not wait. What
/// it logs itself it does not see.
using LogObserver = std::function<void(LogLevel level, std::string_view logger,
                                       std::string_view message, std::span<const LogField> fields)>;
/// From now on `observer` sees every line of `least` and above, whatever level is logged; an empty
/// one: nobody does. One at a time. Returns when the one before is not running any more.
void observe_log(LogLevel least, LogObserver observer);

}  // namespace asahi
