#pragma once

#include <vector>

#include "base/config/loader.h"
#include "net/http/router.h"

namespace asahi::server {

/// GET /settings: the effective settings of this process with where each came from and how it is
/// changed; secrets stand as "***". Who has manage_tenants (everybody, where authentication is off)
/// sees them all; who only has manage_policy those that shape answers and their price: where stores
/// are and how the process is reached is the operator's business.
void add_settings_routes(http::Router& router,
                         const std::vector<config::Binder::Effective>& settings);

}  // namespace asahi::server
