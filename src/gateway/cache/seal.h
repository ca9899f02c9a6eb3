#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "base/cipher.h"
#include "base/log.h"
#include "identity/secrets/live.h"

namespace asahi::gateway {

/// Encrypts what organisations let the gateway store in no other way (spec §9.8), under the key
/// ring of the process and bound to the key it is stored under. What cannot be opened counts as not
/// there. Thread-safe.
class Seal {
 public:
  /// Null, or null inside: there is no encryption key. `ring` outlives it.
  explicit Seal(const identity::Live<KeyRing>* ring = nullptr) : ring_(ring) {}

  /// True when there is a key to encrypt with.
  bool ready() const { return ring_ != nullptr && ring_->get() != nullptr; }
  static bool is_sealed(std::string_view stored) { return stored.starts_with(kMark); }
  /// Empty without a key.
  std::optional<std::string> close(std::string_view plain, std::string_view context) const;
  /// Empty for a missing or wrong key, another context, or damage; the first time it is logged.
  std::optional<std::string> open(std::string_view stored, std::string_view context) const;

 private:
  /// What is stored in plain is JSON or hex.
  static constexpr std::string_view kMark = "sealed:";

  const identity::Live<KeyRing>* ring_;
  Logger logger_{"cache"};
  mutable std::atomic<bool> told_{false};
};

}  // namespace asahi::gateway
