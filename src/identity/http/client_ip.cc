#include "identity/http/client_ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace asahi::identity {
namespace {

struct Address {
  std::array<std::uint8_t, 16> bits{};
  bool v4 = false;
};

/// IPv4 as the last four bytes of ::ffff:0:0/96, so that both kinds compare alike.
std::optional<Address> read_address(std::string_view text) {
  std::array<char, 64> buffer{};
  if (text.empty() || text.size() >= buffer.size()) return std::nullopt;
  std::memcpy(buffer.data(), text.data(), text.size());
  Address address;
  if (::inet_pton(AF_INET, buffer.data(), address.bits.data() + 12) == 1) {
    address.bits[10] = address.bits[11] = 0xff;
    address.v4 = true;
    return address;
  }
  if (::inet_pton(AF_INET6, buffer.data(), address.bits.data()) != 1) return std::nullopt;
  return address;
}

/// The address of an entry of X-Forwarded-For: "1.2.3.4", "1.2.3.4:567", "::1", "[::1]:567", blanks
/// around it.
std::string_view bare(std::string_view entry) {
  while (!entry.empty() && (entry.front() == ' ' || entry.front() == '\t')) entry.remove_prefix(1);
  while (!entry.empty() && (entry.back() == ' ' || entry.back() == '\t')) entry.remove_suffix(1);
  if (entry.starts_with('[')) {
    const std::size_t end = entry.find(']');
    return end == std::string_view::npos ? std::string_view() : entry.substr(1, end - 1);
  }
  if (const std::size_t colon = entry.find(':');
      colon != std::string_view::npos && entry.find(':', colon + 1) == std::string_view::npos) {
    return entry.substr(0, colon);
  }
  return entry;
}

}  // namespace

Result<Networks> Networks::parse(const std::vector<std::string>& items) {
  Networks networks;
  for (const std::string& item : items) {
    const auto wrong = [&item] {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("'{}' is no network; write 10.0.0.0/8, 2001:db8::/32 or a single address",
                      item));
    };
    const std::size_t slash = item.find('/');
    const auto address = read_address(std::string_view(item).substr(0, slash));
    if (!address) return wrong();
    const int most = address->v4 ? 32 : 128;
    int length = most;
    if (slash != std::string::npos) {
      const char* const end = item.data() + item.size();
      const auto [at, error] = std::from_chars(item.data() + slash + 1, end, length);
      if (error != std::errc{} || at != end || length < 0 || length > most) return wrong();
    }
    networks.networks_.push_back({address->bits, address->v4 ? length + 96 : length});
  }
  return networks;
}

bool Networks::contains(std::string_view text) const {
  if (networks_.empty()) return false;
  const auto address = read_address(text);
  if (!address) return false;
  return std::ranges::any_of(networks_, [&](const Network& network) {
    const auto whole = static_cast<std::size_t>(network.length / 8);
    if (std::memcmp(network.bits.data(), address->bits.data(), whole) != 0) return false;
    const int rest = network.length % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
    return (network.bits[whole] & mask) == (address->bits[whole] & mask);
  });
}

std::string client_ip(std::string_view peer, std::string_view x_forwarded_for,
                      const Networks& trusted) {
  std::string_view client = peer;
  while (!x_forwarded_for.empty() && trusted.contains(client)) {
    const std::size_t comma = x_forwarded_for.rfind(',');
    const std::string_view entry =
        bare(comma == std::string_view::npos ? x_forwarded_for : x_forwarded_for.substr(comma + 1));
    if (!read_address(entry)) break;
    client = entry;
    x_forwarded_for =
        comma == std::string_view::npos ? std::string_view() : x_forwarded_for.substr(0, comma);
  }
  return std::string(client);
}

std::string counted_address(std::string_view text) {
  auto address = read_address(text);
  if (!address || address->v4) return std::string(text);
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::array<char, INET6_ADDRSTRLEN> shown{};
  if (std::memcmp(address->bits.data(), kMapped.data(), kMapped.size()) == 0) {
    ::inet_ntop(AF_INET, address->bits.data() + 12, shown.data(), shown.size());
    return shown.data();
  }
  std::fill(address->bits.begin() + 8, address->bits.end(), std::uint8_t{0});
  ::inet_ntop(AF_INET6, address->bits.data(), shown.data(), shown.size());
  return std::string(shown.data()) + "/64";
}

}  // namespace asahi::identity
