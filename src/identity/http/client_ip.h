#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::identity {

/// Networks in CIDR notation ("10.0.0.0/8", "::1/128", a bare address). IPv4 in IPv6
/// ("::ffff:10.0.0.1") counts as IPv4.
class Networks {
 public:
  Networks() = default;
  /// Errors: invalid_argument with the item that is no network.
  static Result<Networks> parse(const std::vector<std::string>& items);
  bool contains(std::string_view address) const;
  bool empty() const { return networks_.empty(); }

 private:
  struct Network {
    std::array<std::uint8_t, 16> bits{};
    int length = 0;
  };
  std::vector<Network> networks_;
};

/// Who really sent a request: the peer, or, when the peer is a trusted proxy, the last address of
/// X-Forwarded-For that is not a trusted proxy itself. Whatever stands left of it was written by
/// the client and proves nothing. A broken entry ends the search at the proxy that passed it on.
std::string client_ip(std::string_view peer, std::string_view x_forwarded_for,
                      const Networks& trusted);

/// What is counted for an address: itself, or of an IPv6 address its /64, which one caller owns as
/// a whole.
std::string counted_address(std::string_view address);

}  // namespace asahi::identity
