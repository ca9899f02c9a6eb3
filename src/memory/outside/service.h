#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace asahi::memory {

/// A service of somebody else that answers GET /health.
struct OutsideService {
  std::string host = "127.0.0.1";
  std::uint16_t port = 80;
  bool use_tls = false;
  bool required = false;             ///< without it `health_check_all` says unavailable
  std::chrono::seconds timeout{10};  ///< longest wait for one answer
  bool operator==(const OutsideService&) const = default;
};

}  // namespace asahi::memory
