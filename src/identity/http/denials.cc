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

void Denials::add(AuditEntry entry) {
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
