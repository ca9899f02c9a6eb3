#pragma once

#include <memory>
#include <string>

#include "server/commands/client.h"

/// What the commands of `asahi memory` have in common that ask a server that runs.
namespace asahi::server {

/// `url`: empty: the configured port on this machine. Errors: as GatewayClient::connect.
Result<std::unique_ptr<GatewayClient>> connect_memory(const CommonOptions& common,
                                                      const std::string& url,
                                                      const std::string& api_key);
/// Says what is wrong; the exit code.
int refuse_memory(const Error& error);

}  // namespace asahi::server
