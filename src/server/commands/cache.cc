#include <fmt/format.h>

#include <cstdio>

#include "base/file.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

struct CacheOptions {
  std::string url, api_key, format = "ndjson", output;
  std::optional<int> tier;
  bool with_responses = false;
};

int refuse(const Error& error) {
  fmt::print(stderr, "asahi cache: {}\n", error.message);
  return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

/// The reply of the gateway that runs, or why there is none.
Result<http::ClientResponse> ask(const CommonOptions& common, const CacheOptions& options,
                                 http::Method method, const std::string& target) {
  GatewayClient::Target gateway{
      .url = options.url, .api_key = Secret(options.api_key), .adjust = {}};
  if (gateway.url.empty()) {
    gateway.url =
        fmt::format("http://127.0.0.1:{}", load_config(common, VaultUse::kLeave).gateway.api.port);
  }
  ASAHI_TRY(auto client, GatewayClient::connect(common, gateway));
  auto response = client->call(method, target, "");
  if (!response) return response;
  if (response->status == 401 || response->status == 403)
    return fail(Errc::kForbidden,
                fmt::format("the gateway refuses: {}; give a key that may manage its policy with "
                            "--api-key or ASAHI_API_KEY",
                            message_of(*response)));
  if (response->status != 200)
    return fail(Errc::kUpstream,
                fmt::format("{} answered {}: {}", target, response->status, message_of(*response)));
  return response;
}

int remove_entries(const CommonOptions& common, const CacheOptions& options, std::string target) {
  if (options.tier) target += fmt::format("?tier={}", *options.tier);
  const auto response = ask(common, options, http::Method::kDelete, target);
  if (!response) return refuse(response.error());
  fmt::print("{}\n", response->body);
  return kExitOk;
}

int export_entries(const CommonOptions& common, const CacheOptions& options) {
  const auto response = ask(common, options, http::Method::kGet,
                            fmt::format("/cache/export?format={}{}", options.format,
                                        options.with_responses ? "&include_response=true" : ""));
  if (!response) return refuse(response.error());
  if (options.output.empty()) {
    const std::string& body = response->body;
    if (std::fwrite(body.data(), 1, body.size(), stdout) != body.size() || std::fflush(stdout) != 0)
      return refuse(fail(Errc::kUnavailable, "the output could not be written whole").error());
    return kExitOk;
  }
  if (auto written = replace_file(options.output, response->body, 0600); !written)
    return refuse(written.error());
  return kExitOk;
}

}  // namespace

void add_cache(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* command =
      app.add_subcommand("cache", "Clear or export the cache of the gateway that runs");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* about) {
    CLI::App* sub = command->add_subcommand(name, about);
    add_common(*sub, common);
    sub->add_option("--url", options->url,
                    "The gateway (default: the configured port on this machine)");
    sub->add_option("--api-key", options->api_key,
                    "Key that may manage the policy (default: ASAHI_API_KEY)")
        ->envname("ASAHI_API_KEY");
    return sub;
  };
  CLI::App* clear = add("clear", "Forget every answer of the key's organisation");
  clear->add_option("--tier", options->tier, "Only this tier: 1, 2 or 3")->check(CLI::Range(1, 3));
  clear->callback([&common, &chosen, options] {
    chosen = [&common, options] { return remove_entries(common, *options, "/cache/clear"); };
  });
  CLI::App* expired = add("expired", "Forget what has expired");
  expired->callback([&common, &chosen, options] {
    chosen = [&common, options] { return remove_entries(common, *options, "/cache/expired"); };
  });
  CLI::App* exported = add("export", "Write what the cache holds, at most 32 MiB");
  exported->add_option("--format", options->format, "ndjson (one entry a line) or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"ndjson", "json"}));
  exported->add_flag("--include-response", options->with_responses, "With the answers");
  exported->add_option("--output", options->output, "File (default: standard output)");
  exported->callback([&common, &chosen, options] {
    chosen = [&common, options] { return export_entries(common, *options); };
  });
  command->footer("Example: asahi cache export --include-response --output cache.ndjson");
}

}  // namespace asahi::server
