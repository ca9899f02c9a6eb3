#pragma once

#include <optional>

#include "net/http/router.h"

namespace asahi::http {

/// Stands before every route of a server: finds out who calls, whether the route's `access` lets
/// them in and whether their limits allow it. An error is written by the route's ErrorWriter.
/// Called on the loop's thread after the body was read; CORS preflights and unknown paths never
/// come here.
class Gate {
 public:
  virtual ~Gate() = default;
  /// Decides without suspending when it can; empty: ask `enter`. Sets `context.caller`, may set
  /// `context.limits` and add `context.reply_headers`.
  virtual std::optional<Result<void>> try_enter(Context& context, const Route& route) = 0;
  virtual Task<void> enter(Context& context, const Route& route) = 0;
};

}  // namespace asahi::http
