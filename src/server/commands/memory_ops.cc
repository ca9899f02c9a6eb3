#include "server/commands/memory_ops.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <iostream>
#include <mutex>
#include <semaphore>
#include <thread>

#include "memory/http/shutdown_route.h"
#include "memory/wiring/backups.h"
#include "server/app.h"
#include "server/commands/memory_server.h"
#include "server/folder_lock.h"
#include "server/shutdown_token.h"
#include "storage/sql/migrations.h"

namespace asahi::server {
namespace {

struct OpsOptions {
  std::string url, api_key;
  std::string mount = "/memory";
  std::string backup_id;
  std::string node;       ///< of several hot stores, for restore
  std::string component;  ///< empty: as configured
  bool verify = false;
  bool incremental = false;
};

/// An MCP server on standard input and output that hands every message to the one that runs: one
/// JSON-RPC message a line (transport "stdio" of the protocol).
class StdioBridge {
 public:
  StdioBridge(GatewayClient& client, std::string target)
      : client_(client), target_(std::move(target)) {}

  void run() {
    std::string line;
    while (std::getline(std::cin, line)) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      if (line.size() > kMaxLine) {
        write(failure(json::value(nullptr), -32600, "a message has at most 16 MiB"));
        continue;
      }
      // A client that sends faster than it is answered waits.
      room_.acquire();
      boost::asio::post(workers_, [this, line = std::move(line)] {
        answer(line);
        room_.release();
      });
      line.clear();
    }
    workers_.join();
  }

 private:
  static constexpr std::size_t kMaxLine = 16 << 20;
  static constexpr std::ptrdiff_t kAtOnce = 16;

  void answer(const std::string& line) {
    const auto reply = client_.call(http::Method::kPost, target_, line);
    if (reply && reply->status == 202) return;
    if (reply && reply->status == 200) {
      write(reply->body);
      return;
    }
    json::value id(nullptr);
    bool is_request = true;
    if (const auto asked = parse_json(line); asked && asked->is_object()) {
      const json::value* given = asked->get_object().if_contains("id");
      is_request = given != nullptr;
      if (given != nullptr) id = *given;
    }
    const std::string why =
        reply ? fmt::format("the server answered {}: {}", reply->status, message_of(*reply))
              : reply.error().message;
    fmt::print(stderr, "asahi memory mcp: {}\n", why);
    // Nobody waits for the answer to a notification.
    if (is_request) write(failure(std::move(id), -32000, why));
  }
  static std::string failure(json::value id, int code, const std::string& message) {
    return json::serialize(json::object{{"jsonrpc", "2.0"},
                                        {"id", std::move(id)},
                                        {"error", {{"code", code}, {"message", message}}}});
  }
  void write(std::string_view message) {
    const std::scoped_lock lock(output_);
    std::cout << message << '\n' << std::flush;
  }

  GatewayClient& client_;
  const std::string target_;
  std::mutex output_;
  std::counting_semaphore<kAtOnce> room_{kAtOnce};
  boost::asio::thread_pool workers_{4};
};

int mcp(const CommonOptions& common, const OpsOptions& options) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  StdioBridge(**client, options.mount + "/mcp").run();
  return kExitOk;
}

/// Waits for the end of what was begun; what became of it.
Result<json::object> wait_for_end(GatewayClient& client, const std::string& path) {
  for (;;) {
    ASAHI_TRY(const json::value status, client.call_json(http::Method::kGet, path, ""));
    if (status.at("running").is_null() && status.at("last").is_object())
      return status.at("last").as_object();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

int backup(const CommonOptions& common, const OpsOptions& options) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  const std::string path = options.mount + "/backups";
  json::object body;
  if (!options.backup_id.empty()) body["backup_id"] = options.backup_id;
  if (options.incremental) body["incremental"] = true;
  const auto begun = (*client)->call_json(
      http::Method::kPost, options.verify ? path + "/verify" : path, json::serialize(body));
  if (!begun) return refuse_memory(begun.error());
  const auto last = wait_for_end(**client, path);
  if (!last) return refuse_memory(last.error());
  fmt::print("{}\n", json::serialize(*last));
  return last->at("ok").as_bool() ? kExitOk : kExitFailure;
}

int verify(const CommonOptions& common, const OpsOptions& options) {
  OpsOptions checking = options;
  checking.verify = true;
  return backup(common, checking);
}

Result<memory::RestoredBackup> restore_here(const ServerConfig& config, const OpsOptions& options) {
  const auto component = memory::parse_component(config.memory.component);
  const memory::Role& role = memory::role_of(component.value_or(memory::Component::kAll));
  // Nobody writes there while it is replaced.
  ASAHI_TRY(const FolderLock lock, FolderLock::take(config.gateway.app.data_dir));
  if (role.keeps_store)
    return memory::restore_role(config.memory, role, nullptr, options.backup_id, options.node,
                                system_clock());
  ASAHI_TRY(const auto database, open_configured_database(config.gateway));
  if (auto ready = sql::Migrator(*database, all_migrations()).upgrade(); !ready)
    return std::unexpected(ready.error());
  return memory::restore_role(config.memory, role, database.get(), options.backup_id, options.node,
                              system_clock());
}

int restore(const CommonOptions& common, const OpsOptions& options) {
  CommonOptions all = common;
  if (!options.component.empty()) all.variables["AKOSHA_COMPONENT"] = options.component;
  const LoadedConfig config = load_config(all);
  if (!config.faults.empty()) return print_faults(config.faults);
  const auto done = restore_here(config, options);
  if (!done) return refuse_memory(done.error());
  for (const memory::RestoredPart& part : done->parts) {
    fmt::print("{}: {} bytes", part.part, part.bytes);
    if (part.rows > 0) fmt::print(", {} {}", part.rows, part.part == "cold" ? "files" : "rows");
    if (!part.aside.empty()) fmt::print("; what was there stands in {}", part.aside);
    fmt::print("\n");
  }
  fmt::print("restored {} of {}; start the server\n", done->manifest.id,
             format_rfc3339(done->manifest.created_at));
  return kExitOk;
}

/// Asks the server of this machine to end, as its owner.
int shut_down(const CommonOptions& common, const OpsOptions& options) {
  const LoadedConfig config = load_config(common, VaultUse::kLeave);
  if (!config.faults.empty()) return print_faults(config.faults);
  const auto token = read_shutdown_token(config.gateway.app.data_dir);
  if (!token) return refuse_memory(token.error());
  GatewayClient::Target server{.url = options.url, .api_key = {}, .headers = {}, .adjust = {}};
  if (server.url.empty()) server.url = fmt::format("http://127.0.0.1:{}", config.gateway.api.port);
  server.headers.add(std::string(memory::kShutdownTokenHeader), token->reveal());
  auto client = GatewayClient::connect(common, server);
  if (!client) return refuse_memory(client.error());
  const auto reply = (*client)->call_json(http::Method::kPost, options.mount + "/shutdown", "{}");
  if (!reply) return refuse_memory(reply.error());
  fmt::print("{}\n", json::serialize(*reply));
  return kExitOk;
}

}  // namespace

void add_memory_ops(CLI::App& memory, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<OpsOptions>();
  const auto add = [&](const char* name, const char* about,
                       int (*work)(const CommonOptions&, const OpsOptions&)) {
    CLI::App* sub = memory.add_subcommand(name, about);
    add_common(*sub, common);
    sub->callback([&common, &chosen, options, work, sub] {
      if (!sub->get_subcommands().empty()) return;  // that one was meant
      chosen = [&common, options, work] { return work(common, *options); };
    });
    return sub;
  };
  const auto add_server = [&](CLI::App* sub) {
    sub->add_option("--url", options->url,
                    "The server (default: the configured port on this machine)");
    sub->add_option("--api-key", options->api_key, "Key that may do this (default: ASAHI_API_KEY)")
        ->envname("ASAHI_API_KEY");
    sub->add_option("--mount", options->mount,
                    "Where the memory's routes are; / of a process of its own is \"\"")
        ->capture_default_str();
  };
  add_server(add("mcp", "MCP server on standard input and output, for the server that runs", mcp));
  add_server(add("shutdown",
                 "End the server of this machine as SIGTERM does, with its file shutdown_token",
                 shut_down));
  CLI::App* save = add("backup", "Back everything up and wait for the end", backup);
  save->add_flag("--incremental", options->incremental,
                 "Write only what the newest backup has not");
  add_server(save);
  save->add_flag("--verify", options->verify, "Read a backup again and compare instead");
  CLI::App* check =
      add("verify", "Read a backup again, compare every file, wait for the end", verify);
  add_server(check);
  for (CLI::App* sub : {save, check})
    sub->add_option("--backup", options->backup_id, "Which one to verify (default: the newest)");
  CLI::App* back = add("restore", "Put a backup in place, while the server is stopped", restore);
  back->add_option("--backup", options->backup_id, "Which one (default: the newest)");
  back->add_option("--component", options->component,
                   "Role whose part is restored here: hot_store, warm_store; any other without a "
                   "store: the cold tier and the database (default: as configured)");
  back->add_option("--node", options->node, "Whose of several hot stores is restored here");
}

}  // namespace asahi::server
