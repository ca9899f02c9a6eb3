#pragma once

#include <chrono>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>

namespace asahi {

/// What went wrong, named by what a caller can do about it. Closed: a new value also needs a row in
/// `to_string` (error.cc) and in `http_status` (net/http/error_map.cc).
enum class Errc {
  kInvalidArgument,  ///< the caller's input breaks a rule; do not retry
  kUnauthenticated,
  kForbidden,
  kNotFound,
  kConflict,
  kTooLarge,
  kRateLimited,  ///< retry after `retry_after`
  kTimeout,      ///< the deadline passed
  kCancelled,    ///< the caller went away
  kUnavailable,  ///< a dependency cannot be reached; retry later
  kUpstream,     ///< a dependency answered with an error or nonsense
  kCorrupt,      ///< stored data cannot be read
  kInternal,     ///< a bug
};

/// "invalid_argument", "timeout", …
std::string_view to_string(Errc code);

/// An expected failure, as a value. `message` says what was wrong, what was expected and how to
/// mend it; never a secret, never a raw upstream body.
struct Error {
  Errc code = Errc::kInternal;
  std::string message;
  /// Machine-readable refinement that clients see, e.g. "model_not_found". Empty: derived from
  /// `code`.
  std::string reason;
  /// Path of the offending input field, e.g. "messages[2].content". Empty: none.
  std::string field;
  /// Further members of the native error body's `details`, as JSON text without the braces:
  /// "\"daily_limit\":10,\"current_spend\":9.99". Empty: none.
  std::string details;
  /// HTTP status that an upstream answered with; 0: none.
  int upstream_status = 0;
  /// How long to wait before a retry, as the refusing side said.
  std::optional<std::chrono::milliseconds> retry_after;
  std::source_location where = std::source_location::current();
};

}  // namespace asahi
