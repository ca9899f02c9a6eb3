#include "identity/http/denials.h"

namespace asahi::identity {

void Denials::turn() const {
  const std::int64_t minute =
      std::chrono::floor<std::chrono::minutes>(clock_.steady_now().time_since_epoch()).count();
  if (minute == minute_) return;
  minute_ = minute;
  entries_ = 0;
  for (const auto& [ip, address] : addresses_) suppressed_ += address.suppressed;
  addresses_.clear();
}

Denials::Address* Denials::address(const std::string& ip) {
  if (const auto at = addresses_.find(ip); at != addresses_.end()) return &at->second;
  if (addresses_.size() >= options_.max_addresses) return nullptr;
  return &addresses_[ip];
}

namespace {

std::string text_in(const json::object& details, std::string_view name) {
  const json::value* value = details.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void tell(SecurityLog& log, const AuditEntry& entry) {
  const bool unknown = entry.action == "auth_failure";
  std::string reason = text_in(entry.details, "reason");
  const bool locked = unknown && reason.contains("too many");
  log.note({.event = unknown ? SecurityEvent::kAuthFailure : SecurityEvent::kDataAccess,
            .severity = locked ? SecuritySeverity::kHigh : SecuritySeverity::kMedium,
            .org_id = entry.org_id,
            .user_id = entry.user_id,
            .address = entry.ip_address,
            .request_id = text_in(entry.details, "request_id"),
            .resource = entry.resource,
            .result = "denied",
            .details = {{"reason", std::move(reason)}}});
}

}  // namespace

void Denials::add(AuditEntry entry) {
  if (security_ != nullptr) tell(*security_, entry);
  {
    const std::lock_guard lock(mutex_);
    turn();
    Address* const from = address(entry.ip_address);
    if (from == nullptr || from->entries >= options_.per_ip || entries_ >= options_.per_process) {
      ++(from == nullptr ? suppressed_ : from->suppressed);
      return;
    }
    ++from->entries;
    ++entries_;
    if (suppressed_ > 0) entry.details["suppressed"] = std::exchange(suppressed_, 0);
  }
  record_(std::move(entry));
}

void Denials::add_failure(const std::string& ip) {
  const std::lock_guard lock(mutex_);
  turn();
  if (Address* const from = address(ip)) ++from->failures;
}

std::int64_t Denials::failures(const std::string& ip) const {
  const std::lock_guard lock(mutex_);
  turn();
  const auto at = addresses_.find(ip);
  return at == addresses_.end() ? 0 : at->second.failures;
}

}  // namespace asahi::identity
