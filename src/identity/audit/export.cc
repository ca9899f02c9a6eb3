#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "identity/audit/audit.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kHeader =
    "entry_id,timestamp,org_id,user_id,action,resource,result,ip_address,user_agent,"
    "data_classification,details,seq,id,prev_hash\r\n";

/// RFC 4180, and what spreadsheets run as a formula begins with an apostrophe
/// (https://owasp.org/www-community/attacks/CSV_Injection).
void append_cell(std::string& out, std::string_view text) {
  const bool formula = !text.empty() && std::string_view("=+-@\t\r\n").contains(text.front());
  const bool quoted = text.find_first_of(",\"\r\n") != std::string_view::npos;
  if (quoted) out += '"';
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  if (quoted) out += '"';
}

bool is_about(std::string_view action, std::string_view subject) {
  return action.starts_with(subject) &&
         (action.size() == subject.size() || action[subject.size()] == '.' ||
          action[subject.size()] == '_');
}

}  // namespace

json::object audit_entry_json(const StoredAuditEntry& entry) {
  const auto optional = [](const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
  };
  return {{"entry_id", entry.entry_id},
          {"timestamp", format_rfc3339(entry.timestamp)},
          {"org_id", entry.org_id},
          {"user_id", entry.user_id},
          {"action", entry.action},
          {"resource", entry.resource},
          {"result", entry.result},
          {"ip_address", optional(entry.ip_address)},
          {"user_agent", optional(entry.user_agent)},
          {"data_classification", entry.data_classification},
          {"details", entry.details},
          {"seq", entry.seq},
          {"id", entry.id},
          {"prev_hash", optional(entry.prev_hash)}};
}

std::string audit_json(const std::vector<StoredAuditEntry>& entries) {
  std::string out = "[";
  for (const auto& entry : entries) {
    if (out.size() > 1) out += ",\n";
    out += write_json(audit_entry_json(entry));
  }
  out += "]\n";
  return out;
}

std::string_view audit_csv_header() { return kHeader; }

void append_audit_csv(std::string& out, const StoredAuditEntry& entry) {
  const std::array<std::string, 14> cells = {entry.entry_id,
                                             format_rfc3339(entry.timestamp),
                                             entry.org_id,
                                             entry.user_id,
                                             entry.action,
                                             entry.resource,
                                             entry.result,
                                             entry.ip_address,
                                             entry.user_agent,
                                             entry.data_classification,
                                             canonical_json(entry.details),
                                             std::to_string(entry.seq),
                                             std::to_string(entry.id),
                                             entry.prev_hash};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) out += ',';
    append_cell(out, cells[i]);
  }
  out += "\r\n";
}

std::string audit_csv(const std::vector<StoredAuditEntry>& entries) {
  std::string out(kHeader);
  for (const auto& entry : entries) append_audit_csv(out, entry);
  return out;
}

std::string_view classification_of(std::string_view action, bool has_prompt, bool hipaa) {
  if (is_about(action, "inference") || is_about(action, "infer")) {
    if (!has_prompt) return "internal";
    return hipaa ? "restricted" : "confidential";
  }
  constexpr std::array kManagement = {"user", "policy",     "role",   "api_key", "key",
                                      "sso",  "compliance", "tenant", "org"};
  if (std::ranges::any_of(kManagement, [&](auto subject) { return is_about(action, subject); })) {
    return "confidential";
  }
  if (is_about(action, "metrics") || is_about(action, "analytics") ||
      is_about(action, "view_metrics")) {
    return "public";
  }
  return "internal";
}

}  // namespace asahi::identity
