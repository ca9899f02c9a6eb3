#include "identity/security/security_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "base/utf8.h"
#include "identity/principal.h"

namespace asahi::identity {
namespace {

constexpr std::array<std::string_view, 5> kSeverityNames = {"INFO", "LOW", "MEDIUM", "HIGH",
                                                            "CRITICAL"};
constexpr auto kEventNames = std::to_array<std::string_view>(
    {"auth_success", "auth_failure", "rate_limit_exceeded", "sql_injection_attempt",
     "path_traversal_attempt", "mcp_tool_access", "data_access", "schema_validation_failure",
     "ingestion_completed", "ingestion_rejected", "ingestion_failed"});
static_assert(kEventNames.size() == static_cast<std::size_t>(SecurityEvent::kCount));

/// What is looked at of a text: attacks stand where they are parsed, not behind a book.
constexpr std::size_t kLookedAt = 4'096;

LogLevel level_of(SecuritySeverity severity) {
  switch (severity) {
    case SecuritySeverity::kInfo:
    case SecuritySeverity::kLow:
      return LogLevel::kInfo;
    case SecuritySeverity::kMedium:
    case SecuritySeverity::kHigh:
      return LogLevel::kWarning;
    case SecuritySeverity::kCritical:
      break;
  }
  return LogLevel::kCritical;
}

void cut(std::string& text) {
  if (text.size() > SecurityLog::kMostChars) text = mended_utf8(text, SecurityLog::kMostChars);
}

void write_line(LogLevel level, const SecurityEntry& entry, std::uint64_t suppressed) {
  static const Logger logger("security");
  json::object details;
  for (const auto& [name, value] : entry.details) details[name] = value;
  logger.write(level, to_string(entry.event),
               {{"event", to_string(entry.event)},
                {"severity", to_string(entry.severity)},
                {"org_id", entry.org_id},
                {"user_id", entry.user_id},
                {"ip_address", entry.address},
                {"request_id", entry.request_id},
                {"resource", entry.resource},
                {"result", entry.result},
                {"details", json::serialize(details)},
                {"suppressed", suppressed}});
}

std::string lower(std::string_view text) {
  std::string out(text.substr(0, kLookedAt));
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// "x=x" around any '=', for names and numbers: 1=1, 'a'='a'.
bool has_tautology(std::string_view text) {
  const auto word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '\'' || c == '"';
  };
  for (std::size_t at = text.find('='); at != std::string_view::npos; at = text.find('=', at + 1)) {
    std::size_t left_end = at, right = at + 1;
    while (left_end > 0 && text[left_end - 1] == ' ') --left_end;
    while (right < text.size() && text[right] == ' ') ++right;
    std::size_t left = left_end, right_end = right;
    while (left > 0 && word(text[left - 1])) --left;
    while (right_end < text.size() && word(text[right_end])) ++right_end;
    const std::string_view a = text.substr(left, left_end - left);
    const std::string_view b = text.substr(right, right_end - right);
    if (!a.empty() && a == b) {
      const std::string_view before = text.substr(0, left);
      if (before.ends_with("or ") || before.ends_with("and ")) return true;
    }
  }
  return false;
}

}  // namespace

std::string_view to_string(SecuritySeverity severity) {
  return kSeverityNames.at(static_cast<std::size_t>(severity));
}

std::string_view to_string(SecurityEvent event) {
  return kEventNames.at(static_cast<std::size_t>(event));
}

bool looks_like_traversal(std::string_view text) {
  if (text.contains('\0')) return true;
  // Most texts have neither.
  if (!text.contains("..") && !text.contains('%')) return false;
  const std::string small = lower(text);
  for (const std::string_view sign :
       {"../", "..\\", "%2e%2e", "..%2f", "..%5c", "%2e.", ".%2e", "%00"}) {
    if (small.contains(sign)) return true;
  }
  return small == ".." || small.ends_with("/..") || small.ends_with("\\..");
}

bool looks_like_sql_injection(std::string_view text) {
  if (text.find_first_of("'\";=(-/ _") == std::string_view::npos) return false;
  const std::string small = lower(text);
  for (const std::string_view sign :
       {"union select", "union all select", "'--", "' --", "\"--", "';", "; drop ", ";drop ",
        "; delete from", "; insert into", "; update ", "xp_cmdshell", "' or '", "\" or \"", "'/*",
        "sleep(", "information_schema"}) {
    if (small.contains(sign)) return true;
  }
  return has_tautology(small);
}

SecurityLog::SecurityLog(telemetry::Registry& metrics, const Clock& clock, Options options,
                         Write write)
    : clock_(clock),
      options_(options),
      write_(write ? std::move(write) : write_line),
      tools_(metrics.counter("mcp_rate_limit_allowed_total",
                             "Calls of MCP tools that the limits per minute let through")) {
  for (std::size_t event = 0; event < kEvents; ++event) {
    for (std::size_t severity = 0; severity < kSeverities; ++severity) {
      counters_[event][severity] =
          &metrics.counter(fmt::format("security_{}_total", kEventNames[event]),
                           "Entries of the security log, those held back included",
                           {{"severity", std::string(kSeverityNames[severity])}});
    }
  }
}

void SecurityLog::note(SecurityEntry entry) {
  const auto event = static_cast<std::size_t>(entry.event);
  counters_.at(event).at(static_cast<std::size_t>(entry.severity))->add();
  std::uint64_t suppressed = 0;
  {
    const std::int64_t second =
        std::chrono::floor<std::chrono::seconds>(clock_.steady_now().time_since_epoch()).count();
    const std::scoped_lock lock(mutex_);
    Window& window = windows_.at(event);
    if (window.second != second) {
      window.second = second;
      window.lines = 0;
    }
    if (window.lines >= options_.lines_per_second) {
      ++window.suppressed;
      return;
    }
    ++window.lines;
    suppressed = std::exchange(window.suppressed, 0);
  }
  for (std::string* text : {&entry.org_id, &entry.user_id, &entry.address, &entry.request_id,
                            &entry.resource, &entry.result})
    cut(*text);
  for (auto& [name, value] : entry.details) cut(value);
  write_(level_of(entry.severity), entry, suppressed);
}

void SecurityLog::note(const http::Context& context, SecurityEntry entry) {
  const Principal& caller = principal_of(context);
  entry.org_id = caller.org_id;
  entry.user_id = actor_of(caller);
  entry.address = context.request.remote_address;
  entry.request_id = context.request_id;
  if (entry.resource.empty())
    entry.resource = fmt::format("{} {}", http::to_string(context.request.method), context.route);
  note(std::move(entry));
}

void SecurityLog::inspect(const http::Context& context, std::string_view what,
                          std::string_view text) {
  const auto told = [&](SecurityEvent event, SecuritySeverity severity) {
    note(context,
         {.event = event,
          .severity = severity,
          .details = {{"where", std::string(what)}, {"value", mended_utf8(text, kMostChars)}}});
  };
  if (looks_like_traversal(text))
    told(SecurityEvent::kPathTraversalAttempt, SecuritySeverity::kHigh);
  if (looks_like_sql_injection(text))
    told(SecurityEvent::kSqlInjectionAttempt, SecuritySeverity::kMedium);
}

}  // namespace asahi::identity
