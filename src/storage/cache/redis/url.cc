#include "storage/cache/redis/url.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace asahi::cache {
namespace {

std::unexpected<Error> bad(std::string_view part, std::string_view rule) {
  return fail(Errc::kInvalidArgument,
              fmt::format("Redis URL: {} {}; write redis://user:password@host:6379/0", part, rule));
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (text.size() - i < 3) return std::nullopt;
    const auto [end, error] = std::from_chars(&text[i] + 1, &text[i] + 3, value, 16);
    if (error != std::errc{} || end != &text[i] + 3) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<void> read_database(std::string_view text, RedisEndpoint& out) {
  if (!read_number(text, out.database) || out.database < 0) {
    return bad("the database", "is not a number from 0");
  }
  return {};
}

Result<void> read_credentials(std::string_view text, RedisEndpoint& out) {
  const std::size_t colon = text.find(':');
  auto user = percent_decoded(text.substr(0, colon));
  if (!user) return bad("the user", "has a '%' without two hex digits; write a plain '%' as %25");
  out.user = std::move(*user);
  if (colon == std::string_view::npos) return {};
  auto password = percent_decoded(text.substr(colon + 1));
  if (!password) {
    return bad("the password", "has a '%' without two hex digits; write a plain '%' as %25");
  }
  out.password = Secret(std::move(*password));
  return {};
}

Result<void> read_host(std::string_view text, RedisEndpoint& out) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad("the host", "has '[' without ']'");
    out.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') return bad("the port", "must follow ']' after ':'");
  } else {
    const std::size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  if (out.host.empty()) return bad("the host", "is missing");
  if (port.empty()) return {};
  if (!read_number(port.substr(1), out.port) || out.port == 0) {
    return bad("the port", "is not a number from 1 to 65535");
  }
  return {};
}

}  // namespace

std::string RedisEndpoint::address() const {
  if (host.starts_with("unix:")) return host;
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<RedisEndpoint> parse_redis_url(std::string_view url) {
  RedisEndpoint out;
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      (scheme != "redis" && scheme != "rediss" && scheme != "unix")) {
    return bad("the scheme", "is not redis://, rediss:// (TLS) or unix://");
  }
  out.tls = scheme == "rediss";
  std::string_view rest = url.substr(scheme_end + 3);

  if (const std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    const std::string_view query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
    if (!query.starts_with("db=")) return bad("the query", "knows db=number only");
    if (auto ok = read_database(query.substr(3), out); !ok) return std::unexpected(ok.error());
  }
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  // A password may hold '@' unencoded: the last one ends it.
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (auto ok = read_credentials(authority.substr(0, at), out); !ok) {
      return std::unexpected(ok.error());
    }
    authority = authority.substr(at + 1);
  }
  if (scheme == "unix") {
    if (!authority.empty()) return bad("the socket", "is not absolute; write unix:///path");
    if (path.size() < 2) return bad("the socket", "has no path; write unix:///path");
    out.host = "unix:" + std::string(path);
    return out;
  }
  if (auto ok = read_host(authority, out); !ok) return std::unexpected(ok.error());
  if (path.size() > 1) {
    if (auto ok = read_database(path.substr(1), out); !ok) return std::unexpected(ok.error());
  }
  return out;
}

}  // namespace asahi::cache
