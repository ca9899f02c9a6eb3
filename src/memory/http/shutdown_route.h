#pragma once

#include <functional>
#include <string_view>

#include "base/secret.h"
#include "memory/http/routes.h"
#include "net/http/gate.h"

namespace asahi::memory {

/// Errors: forbidden, for who does not sit at this machine: a peer beyond 127.0.0.0/8 and ::1; a
/// request that somebody else passed on (any header that proxies leave, whoever is trusted); one
/// that a browser's page makes.
Result<void> check_local(const http::Request& request);

/// Where a request proves that its sender may read the files of the process's owner: a proxy on
/// this machine that leaves no header makes the whole world look local, but does not know this.
inline constexpr std::string_view kShutdownTokenHeader = "X-Shutdown-Token";

struct ShutdownParts {
  SharedRouteParts shared;
  std::function<void()> begin;  ///< returns at once
  Secret token = {};            ///< of the owner's file; empty: there is none
  http::Gate* gate = nullptr;   ///< with `auth_required`: who operates the process may, too
  bool auth_required = false;
};

/// POST /shutdown (spec/memory §2.2): begins what SIGTERM begins, and says so; from this machine
/// only, with the owner's token or, where callers need credentials, that of who operates the
/// process.
void add_shutdown_route(const RouteAdder& routes, ShutdownParts parts);

}  // namespace asahi::memory
