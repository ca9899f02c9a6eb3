#pragma once

#include <functional>

#include "memory/http/routes.h"

namespace asahi::memory {

/// Errors: forbidden, for who does not sit at this machine: a peer beyond 127.0.0.0/8 and ::1; a
/// request that somebody else passed on (any header that proxies leave, whoever is trusted); one
/// that a browser's page makes.
Result<void> check_local(const http::Request& request);

/// POST /shutdown (spec/memory §2.2): begins what SIGTERM begins, and says so; from this machine
/// only, without a credential. `begin` must return at once.
void add_shutdown_route(const RouteAdder& routes, SharedRouteParts shared,
                        std::function<void()> begin);

}  // namespace asahi::memory
