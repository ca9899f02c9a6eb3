#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "net/http/context.h"
#include "telemetry/metrics.h"

namespace asahi::identity {

enum class SecuritySeverity : std::uint8_t { kInfo, kLow, kMedium, kHigh, kCritical };
/// "INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL".
std::string_view to_string(SecuritySeverity severity);

/// What the security log tells of (memory spec §8.7).
enum class SecurityEvent : std::uint8_t {
  kAuthSuccess,              ///< INFO: a credential was verified anew, or somebody logged in
  kAuthFailure,              ///< MEDIUM; HIGH where guessing has locked the address out
  kRateLimitExceeded,        ///< MEDIUM
  kSqlInjectionAttempt,      ///< MEDIUM: a text looks like it; nothing is refused for that (C-42)
  kPathTraversalAttempt,     ///< HIGH: an id or path that leads upwards, or holds NUL
  kMcpToolAccess,            ///< INFO; MEDIUM where it was denied
  kDataAccess,               ///< INFO; MEDIUM where it was denied
  kSchemaValidationFailure,  ///< LOW: what was sent breaks a rule
  kIngestionCompleted,       ///< INFO
  kIngestionRejected,        ///< MEDIUM: nothing of an upload could be taken
  kIngestionFailed,          ///< MEDIUM
  kCount,
};
/// "auth_success", …
std::string_view to_string(SecurityEvent event);

/// One entry. Values longer than 500 characters are cut.
struct SecurityEntry {
  SecurityEvent event = SecurityEvent::kDataAccess;
  SecuritySeverity severity = SecuritySeverity::kInfo;
  std::string org_id, user_id, address, request_id;
  std::string resource;  ///< "POST /memory/search", "tool/find_path", "upload/agent/u1"
  std::string result;    ///< "allowed", "denied", "failed"; empty: nothing was asked for
  std::vector<std::pair<std::string, std::string>> details = {};
};

/// The process's security log: one JSON line an entry, on the log of the process under the logger
/// "security", and `security_<event>_total` by severity. Of one event at most so many lines are
/// written a second; the next one says how many were held back (`suppressed`), the counters have
/// them all. Never waits. Any thread.
///
/// | Series | Labels |
/// |---|---|
/// | security_<event>_total | severity |
/// | mcp_rate_limit_allowed_total | – |
class SecurityLog {
 public:
  static constexpr std::size_t kMostChars = 500;
  struct Options {
    std::uint32_t lines_per_second = 50;  ///< of one event
  };
  /// What writes a line: its level, the entry with its values cut, the lines held back before it.
  using Write = std::function<void(LogLevel, const SecurityEntry&, std::uint64_t suppressed)>;

  /// `write`: nothing is the log of the process. Both outlive it.
  SecurityLog(telemetry::Registry& metrics, const Clock& clock, Options options, Write write = {});
  SecurityLog(telemetry::Registry& metrics, const Clock& clock)
      : SecurityLog(metrics, clock, Options()) {}

  void note(SecurityEntry entry);
  /// With caller, address and id of the request.
  void note(const http::Context& context, SecurityEntry entry);
  /// Notes what in a text that somebody sent looks like an attack; `what`: where it stood ("query",
  /// "system_id"). Nothing comes of it but the note.
  void inspect(const http::Context& context, std::string_view what, std::string_view text);
  /// A tool's call that the limits let through.
  void tool_called() { tools_.add(); }

 private:
  struct Window {
    std::int64_t second = -1;
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
  };
  static constexpr std::size_t kEvents = static_cast<std::size_t>(SecurityEvent::kCount);
  static constexpr std::size_t kSeverities = 5;

  const Clock& clock_;
  const Options options_;
  const Write write_;
  std::array<std::array<telemetry::Counter*, kSeverities>, kEvents> counters_{};
  telemetry::Counter& tools_;
  std::mutex mutex_;
  std::array<Window, kEvents> windows_{};
};

/// Whether a text leads upwards in a tree of files, plainly or percent-encoded, or holds NUL.
bool looks_like_traversal(std::string_view text);
/// Whether a text has what injected SQL is made of: a comment behind a quote, an equation that is
/// always true, UNION SELECT, a second statement. Code has it as well: good for a note only.
bool looks_like_sql_injection(std::string_view text);

}  // namespace asahi::identity
