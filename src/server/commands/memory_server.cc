#include "server/commands/memory_server.h"

#include <fmt/format.h>

namespace asahi::server {

Result<std::unique_ptr<GatewayClient>> connect_memory(const CommonOptions& common,
                                                      const std::string& url,
                                                      const std::string& api_key) {
  GatewayClient::Target server{.url = url, .api_key = Secret(api_key), .headers = {}, .adjust = {}};
  if (server.url.empty()) {
    server.url =
        fmt::format("http://127.0.0.1:{}", load_config(common, VaultUse::kLeave).gateway.api.port);
  }
  return GatewayClient::connect(common, server);
}

int refuse_memory(const Error& error) {
  fmt::print(stderr, "asahi memory: {}\n", error.message);
  return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

}  // namespace asahi::server
