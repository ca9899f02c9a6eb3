#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "server/commands/memory_ops.h"
#include "server/commands/memory_server.h"

namespace asahi::server {
namespace {

constexpr const char* kPath = "/memory/storage/hot/backend";

struct BackendOptions {
  std::string url, api_key;
  std::string backend, path, url_file, url_env;
  int revert_days = -1;
  bool replace = false;
};

int ask(const CommonOptions& common, const BackendOptions& options, http::Method method,
        const std::string& path, const json::object& body) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  const auto reply =
      (*client)->call_json(method, path, method == http::Method::kGet ? "" : json::serialize(body));
  if (!reply) return refuse_memory(reply.error());
  fmt::print("{}\n", json::serialize(*reply));
  return kExitOk;
}

int begin_move(const CommonOptions& common, const BackendOptions& options) {
  json::object body{{"backend", options.backend}};
  if (!options.path.empty()) body["path"] = std::filesystem::absolute(options.path).string();
  if (!options.url_file.empty())
    body["pg_url_file"] = std::filesystem::absolute(options.url_file).string();
  if (!options.url_env.empty()) body["pg_url_env"] = options.url_env;
  if (options.revert_days >= 0) body["revert_days"] = options.revert_days;
  if (options.replace) body["replace"] = true;
  return ask(common, options, http::Method::kPost, kPath, body);
}

}  // namespace

void add_memory_backend(CLI::App& memory, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<BackendOptions>();
  CLI::App* group =
      memory.add_subcommand("backend", "Where the hot tier is kept; move it while it is used");
  group->require_subcommand(1);
  using Work = std::function<int(const CommonOptions&, const BackendOptions&)>;
  const auto add = [&](const char* name, const char* about, Work work) {
    CLI::App* sub = group->add_subcommand(name, about);
    add_common(*sub, common);
    sub->add_option("--url", options->url,
                    "The server (default: the configured port on this machine)");
    sub->add_option("--api-key", options->api_key, "Key that may do this (default: ASAHI_API_KEY)")
        ->envname("ASAHI_API_KEY");
    sub->callback([&common, &chosen, options, work] {
      chosen = [&common, options, work] { return work(common, *options); };
    });
    return sub;
  };
  add("show", "The backend, and how its last move went",
      [](const CommonOptions& all, const BackendOptions& own) {
        return ask(all, own, http::Method::kGet, kPath, {});
      });
  CLI::App* move = add("move", "Begin to move the hot tier to another backend", begin_move);
  move->add_option("backend", options->backend, "duckdb-ssd or pgvector")->required();
  move->add_option("--path", options->path, "Folder of duckdb-ssd, on the server");
  move->add_option("--pg-url-file", options->url_file,
                   "File on the server that holds the address of a PostgreSQL");
  move->add_option("--pg-url-env", options->url_env,
                   "Variable of the server's environment that holds it");
  move->add_option("--revert-days", options->revert_days,
                   "How long it can be taken back (default: as configured)")
      ->check(CLI::Range(0, 365));
  move->add_flag("--replace", options->replace,
                 "What the new backend holds already may be erased there");
  add("revert", "Take the move back: the old backend has everything",
      [](const CommonOptions& all, const BackendOptions& own) {
        return ask(all, own, http::Method::kPost, std::string(kPath) + "/revert", {});
      });
  add("finish", "End the move before its window does",
      [](const CommonOptions& all, const BackendOptions& own) {
        return ask(all, own, http::Method::kPost, std::string(kPath) + "/finish", {});
      });
}

}  // namespace asahi::server
