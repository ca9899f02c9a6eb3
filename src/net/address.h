#pragma once

#include <string_view>

namespace asahi::net {

/// Whether an IP address (text) belongs to the public internet: not this machine, not a private,
/// shared, link-local, documentation, multicast or reserved network (IANA special-purpose
/// registries, RFC 6890), also where IPv6 wraps an IPv4 address (mapped, NAT64, 6to4). What is no
/// address is not public. What callers name and the server fetches is checked by it, after the name
/// was resolved: a name can point anywhere, and elsewhere the next time.
bool is_public_address(std::string_view address);

/// Whether an IP address (text) is this machine's own: 127.0.0.0/8, ::1, and the former wrapped in
/// IPv6. A name is not.
bool is_loopback_address(std::string_view address);

}  // namespace asahi::net
