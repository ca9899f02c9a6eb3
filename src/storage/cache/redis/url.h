#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace asahi::cache {

/// One Redis server and how to enter it.
struct RedisEndpoint {
  std::string host = "localhost";  ///< name, address, or "unix:/path"
  std::uint16_t port = 6379;
  bool tls = false;
  std::string user;  ///< empty: the server's default user
  Secret password;   ///< empty: no AUTH
  int database = 0;

  /// "host:port" or "unix:/path", for logs and errors; never the credentials.
  std::string address() const;
};

/// Reads redis://[user][:password]@host[:port][/db], rediss://… (TLS),
/// unix://[user:password@]/path[?db=n]. User and password may be percent-encoded; ?db=n is known
/// everywhere. Errors name the part that is wrong and never repeat the URL, as it holds the
/// password.
Result<RedisEndpoint> parse_redis_url(std::string_view url);

}  // namespace asahi::cache
