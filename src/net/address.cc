#include "net/address.h"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace asahi::net {
namespace {

namespace ip = boost::asio::ip;

struct Network {
  std::uint32_t first;
  int bits;
};

constexpr std::uint32_t v4(int a, int b, int c) {
  return static_cast<std::uint32_t>(a) << 24 | static_cast<std::uint32_t>(b) << 16 |
         static_cast<std::uint32_t>(c) << 8;
}

constexpr std::array<Network, 15> kNotPublic = {{{v4(0, 0, 0), 8},
                                                 {v4(10, 0, 0), 8},
                                                 {v4(100, 64, 0), 10},
                                                 {v4(127, 0, 0), 8},
                                                 {v4(169, 254, 0), 16},
                                                 {v4(172, 16, 0), 12},
                                                 {v4(192, 0, 0), 24},
                                                 {v4(192, 0, 2), 24},
                                                 {v4(192, 88, 99), 24},
                                                 {v4(192, 168, 0), 16},
                                                 {v4(198, 18, 0), 15},
                                                 {v4(198, 51, 100), 24},
                                                 {v4(203, 0, 113), 24},
                                                 {v4(224, 0, 0), 4},
                                                 {v4(240, 0, 0), 4}}};

bool is_public(std::uint32_t address) {
  return std::ranges::none_of(kNotPublic, [address](const Network& network) {
    const std::uint32_t mask = ~std::uint32_t{0} << (32 - network.bits);
    return (address & mask) == network.first;
  });
}

std::uint32_t four_at(const ip::address_v6::bytes_type& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 |
         static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

bool is_public(const ip::address_v6& address) {
  const auto bytes = address.to_bytes();
  if (address.is_v4_mapped()) return is_public(four_at(bytes, 12));
  if (four_at(bytes, 0) == 0x0064ff9b) return is_public(four_at(bytes, 12));  // NAT64
  if ((bytes[0] & 0xe0) != 0x20) return false;  // 2000::/3 is all there is of global unicast
  const std::uint32_t first = four_at(bytes, 0);
  if (first >> 16 == 0x2002) return is_public(four_at(bytes, 2));  // 6to4
  if (first == 0x20010db8) return false;                           // documentation
  return first >> 9 != 0x20010000U >> 9;                           // 2001::/23: protocols, Teredo
}

}  // namespace

bool is_public_address(std::string_view text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return false;
  return address.is_v4() ? is_public(address.to_v4().to_uint()) : is_public(address.to_v6());
}

bool is_loopback_address(std::string_view text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

}  // namespace asahi::net
