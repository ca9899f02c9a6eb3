#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/cipher.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace asahi::identity {

/// The process's secrets (admin secret, JWT secret, vendor keys, encryption keys) by the name of
/// their environment variable. They may be replaced while everything runs, by Vault or by a reload:
/// readers ask at every use, and a replaced value is still accepted for `overlap`, so that who
/// signed or sent it a moment ago is not turned away. Thread-safe.
class SecretSource {
 public:
  using Values = std::map<std::string, Secret, std::less<>>;
  using Names = std::vector<std::string>;
  using Listener = std::function<void(const Names&)>;
  /// The current value and the latest replaced ones.
  static constexpr std::size_t kMaxAccepted = 4;

  SecretSource(const Clock& clock, std::chrono::seconds overlap, Values initial = {});

  /// The value to sign, send or encrypt with; empty when there is none.
  Secret get(std::string_view name) const;
  /// What verification takes: the current value first, then those replaced less than `overlap` ago,
  /// newest first.
  std::vector<Secret> accepted(std::string_view name) const;
  /// True when `candidate` is one of them. Takes the same time for every wrong candidate of a
  /// length; a secret that isn't set matches nothing.
  bool matches(std::string_view name, std::string_view candidate) const;

  /// Takes over `values`; names that it lacks stay as they are. An empty value withdraws the secret
  /// at once, with everything it was before. Returns the names that changed, after the listeners
  /// heard of them on this thread.
  Names update(const Values& values);
  /// `listener` outlives the source. Called outside any lock, so it may ask the source.
  void on_change(Listener listener);

 private:
  struct Replaced {
    Secret value;
    Clock::Steady until;
  };
  struct Entry {
    Secret current;
    std::deque<Replaced> replaced;  // newest first
  };

  const Clock& clock_;
  const std::chrono::seconds overlap_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<Listener> listeners_;
};

/// The items of a comma-separated list of secrets (ASAHI_JWT_SECRET_PREVIOUS), without the blanks
/// around them and without empty ones.
std::vector<Secret> secret_list(std::string_view text);

/// The key ring of ASAHI_ENCRYPTION_KEY, of the values it replaced at run time and of
/// ASAHI_ENCRYPTION_KEY_PREVIOUS: a key that Vault exchanges stays readable without being listed as
/// previous. Takes the time of a derivation. Errors: as KeyRing::parse.
Result<KeyRing> encryption_ring(const SecretSource& secrets, KeyRing::Options options);

}  // namespace asahi::identity
