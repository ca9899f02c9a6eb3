#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "identity/audit/audit.h"
#include "identity/security/security_log.h"

namespace asahi::identity {

/// Refused requests on their way to the audit log: each is recorded, but an address that is refused
/// again and again may fill neither the log nor the disk. Beyond `per_ip` a minute entries of an
/// address are counted only, and the next one says how many (`suppressed`). Also tells which
/// addresses have failed too often to be heard. Thread-safe, bounded.
class Denials {
 public:
  struct Options {
    std::int64_t per_ip = 20;          ///< entries per address and minute
    std::int64_t per_process = 1'000;  ///< entries of all addresses and minute
    std::size_t max_addresses = 50'000;
  };
  using Record = std::function<void(AuditEntry)>;
  /// `clock` and `security` (told of every refusal; null: nobody is) outlive it; `record` must not
  /// block.
  Denials(Options options, Record record, const Clock& clock, SecurityLog* security = nullptr)
      : options_(options), record_(std::move(record)), clock_(clock), security_(security) {}

  void add(AuditEntry entry);
  /// For what is no refusal of a credential or a permission; null: nobody.
  SecurityLog* security() const { return security_; }
  /// A refused credential; counted per address and minute.
  void add_failure(const std::string& ip);
  /// Refused credentials of the address in the minute that runs.
  std::int64_t failures(const std::string& ip) const;

 private:
  struct Address {
    std::int64_t entries = 0;
    std::int64_t suppressed = 0;
    std::int64_t failures = 0;
  };
  /// Starts a new minute when the last is over. Locked.
  void turn() const;
  Address* address(const std::string& ip);

  const Options options_;
  const Record record_;
  const Clock& clock_;
  SecurityLog* const security_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, Address> addresses_;
  mutable std::int64_t minute_ = -1;
  mutable std::int64_t entries_ = 0;
  mutable std::int64_t suppressed_ = 0;  ///< of addresses that are no longer held
};

}  // namespace asahi::identity
