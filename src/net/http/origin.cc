#include <fmt/format.h>

#include <charconv>

#include "net/http/ascii.h"
#include "net/http/client.h"

namespace asahi::http {
namespace {

bool is_host_char(char c) {
  const char lower = ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_';
}

}  // namespace

Result<Origin> Origin::parse(std::string_view url) {
  const auto bad = [url](std::string_view why) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no usable URL: {}; expected like https://api.example.com/base",
                            url, why));
  };
  Origin origin;
  std::string_view rest = url;
  if (iequals(rest.substr(0, 8), "https://")) {
    origin.tls = true;
    rest.remove_prefix(8);
  } else if (iequals(rest.substr(0, 7), "http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("the scheme must be http or https");
  }
  const std::size_t slash = rest.find_first_of("/?#");
  const std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash);
  if (authority.find('@') != std::string_view::npos) {
    return fail(Errc::kInvalidArgument,
                "a URL must not carry user information; give credentials in their own setting");
  }
  if (path.find_first_of("?#") != std::string_view::npos)
    return bad("query and fragment do not belong in a base");
  for (const char c : path) {
    if (c <= ' ' || c == 127) return bad("the path holds a space or control character");
  }
  std::string_view port_text;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad("'[' without ']'");
    origin.host = authority.substr(1, close - 1);
    const std::string_view behind = authority.substr(close + 1);
    has_port = !behind.empty();
    if (has_port && behind.front() != ':') return bad("']' must be followed by ':' and a port");
    if (has_port) port_text = behind.substr(1);
    for (const char c : origin.host) {
      if (c != ':' && c != '.' && !is_host_char(c)) return bad("the IPv6 address is malformed");
    }
  } else {
    const std::size_t colon = authority.find(':');
    origin.host = authority.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port_text = authority.substr(colon + 1);
    for (const char c : origin.host) {
      if (!is_host_char(c)) return bad("the host holds a character that no host name has");
    }
  }
  if (origin.host.empty()) return bad("the host is missing");
  for (char& c : origin.host) c = ascii_lower(c);
  origin.port = origin.tls ? 443 : 80;
  if (has_port) {
    unsigned port = 0;
    const auto [end, error] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc{} || end != port_text.data() + port_text.size() || port == 0 ||
        port > 65535) {
      return bad("the port must be 1 to 65535");
    }
    origin.port = static_cast<std::uint16_t>(port);
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  origin.base_path = path;
  return origin;
}

std::string Origin::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  std::string text =
      fmt::format("{}://{}{}{}", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "");
  if (port != (tls ? 443 : 80)) text += fmt::format(":{}", port);
  return text + base_path;
}

}  // namespace asahi::http
