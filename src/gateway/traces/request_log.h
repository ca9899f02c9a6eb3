#pragma once

#include "base/log.h"
#include "net/http/context.h"

namespace asahi::gateway {

/// The line of a request that has ended, with the fields of spec §7.6: DEBUG when it was answered,
/// WARNING when something failed here.
void log_request(const Logger& logger, const http::Context& context, int status, std::size_t bytes);

}  // namespace asahi::gateway
