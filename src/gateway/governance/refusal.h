#pragma once

#include <expected>
#include <utility>

#include "base/json.h"
#include "base/result.h"

namespace asahi::gateway {

/// Why governance turns a call down: the error, and the members of the reply's `details` (spec
/// §2.11): model and org_policy, daily_limit and current_spend, violations[], …
struct Refusal {
  Error error;
  json::object details;
};

template <class T>
using Judged = std::expected<T, Refusal>;
using Verdict = Judged<void>;

/// `reason` is the machine-readable code that clients see.
[[nodiscard]] inline std::unexpected<Refusal> refuse(
    Errc code, std::string reason, std::string message, json::object details = {},
    std::source_location where = std::source_location::current()) {
  auto failure = fail(code, std::move(message), where);
  failure.error().reason = std::move(reason);
  return std::unexpected(Refusal{std::move(failure.error()), std::move(details)});
}

/// The refusal as routes and the pipeline hand it on: its details go into the native error body.
inline Error error_of(Refusal refusal) {
  std::string details = write_json(refusal.details);
  refusal.error.details = details.substr(1, details.size() - 2);
  return std::move(refusal.error);
}

}  // namespace asahi::gateway
