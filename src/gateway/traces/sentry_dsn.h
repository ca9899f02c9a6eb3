#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http/client.h"

namespace asahi::gateway {

/// "https://<public key>[:<secret>]@<host>[:port][/path]/<project>": where faults are reported.
struct SentryDsn {
  http::Origin origin;
  std::string public_key, secret_key;
  std::string project;

  /// "/api/<project>/envelope/"
  std::string target() const { return "/api/" + project + "/envelope/"; }
  /// The header X-Sentry-Auth.
  std::string auth() const;
};
/// Errors: invalid_argument; the text never repeats the DSN.
Result<SentryDsn> parse_sentry_dsn(std::string_view dsn);

}  // namespace asahi::gateway
