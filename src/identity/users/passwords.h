#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <string>

#include "base/secret.h"
#include "base/task.h"

namespace asahi::identity {

/// Argon2id hashes of passwords (libsodium, interactive limits: 64 MiB and some 100 ms each), on
/// threads of their own so that no loop waits. Bounded: more than `max_waiting` at a time are
/// refused, which also bounds the memory.
class Passwords {
 public:
  static constexpr std::size_t kLeast = 8, kMost = 256;  ///< bytes of a password

  explicit Passwords(std::size_t threads = 2, std::size_t max_waiting = 32);
  ~Passwords();

  /// Errors: invalid_argument (length), unavailable (too many at once, no memory).
  Task<std::string> hash(Secret password);
  /// Takes as long for an empty `hash` (no such user, no password) as for a wrong password. Errors:
  /// unavailable.
  Task<bool> matches(std::string hash, Secret password);

 private:
  class Place;
  Result<Place> enter();

  boost::asio::thread_pool pool_;
  std::atomic<std::size_t> waiting_{0};
  const std::size_t max_waiting_;
  const std::string decoy_;
};

}  // namespace asahi::identity
