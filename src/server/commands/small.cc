#include <fmt/format.h>

#include "base/hash.h"
#include "base/ids.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

int health(const CommonOptions& common, std::string url) {
  if (url.empty()) {
    url =
        fmt::format("http://127.0.0.1:{}", load_config(common, VaultUse::kLeave).gateway.api.port);
  }
  auto gateway = GatewayClient::connect(common, url);
  auto ready = gateway ? (*gateway)->call(http::Method::kGet, "/health/ready", "")
                       : std::unexpected(gateway.error());
  if (!ready || ready->status != 200) {
    fmt::print(stderr, "not ready: {}\n", ready ? ready->body : ready.error().message);
    return kExitFailure;
  }
  fmt::print("ready\n");
  return kExitOk;
}

int generate_key() {
  Digest256 bytes;
  random_bytes(bytes.data(), bytes.size());
  fmt::print("{}\n", to_hex(bytes));
  return kExitOk;
}

int list_routes(const CommonOptions& common) {
  LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  loaded.gateway.app.mock = true;
  write_aside(loaded);
  auto app = App::start(loaded, App::Listeners::kLoopbackOnly);
  if (!app) {
    fmt::print(stderr, "asahi routes: {}\n", app.error().message);
    return kExitFailure;
  }
  for (const std::string& route : (*app)->routes()) fmt::print("{}\n", route);
  return kExitOk;
}

}  // namespace

void add_small(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto url = std::make_shared<std::string>();
  CLI::App* check = app.add_subcommand(
      "healthcheck", "Exit 0 when a gateway is ready, 1 when not (for containers)");
  add_common(*check, common);
  check->add_option("--url", *url, "The gateway (default: the configured port on this machine)");
  check->callback(
      [&common, &chosen, url] { chosen = [&common, url] { return health(common, *url); }; });

  CLI::App* key =
      app.add_subcommand("genkey", "Print 32 random bytes as hex, e.g. for ASAHI_ENCRYPTION_KEY");
  key->callback([&chosen] { chosen = generate_key; });

  CLI::App* routes =
      app.add_subcommand("routes", "List every HTTP route, as the OpenAPI check reads them");
  add_common(*routes, common);
  routes->callback([&common, &chosen] { chosen = [&common] { return list_routes(common); }; });
}

}  // namespace asahi::server
