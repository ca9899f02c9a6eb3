#pragma once

#include <string>
#include <string_view>

#include "net/http/client.h"

namespace asahi::http {

/// A whole URL as a request needs it: where to connect, and what to ask for there (path and query).
struct Url {
  Origin origin;
  std::string target;

  /// Errors: invalid_argument, without the URL: it may hold a secret.
  static Result<Url> parse(std::string_view url);
};

}  // namespace asahi::http
