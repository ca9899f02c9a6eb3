#include "net/mcp/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "net/mcp/schema.h"

namespace asahi::mcp {
namespace {

/// Newest first: what a client that asks for an unknown revision is offered.
constexpr std::array<std::string_view, 3> kRevisions = {"2025-06-18", "2025-03-26", "2024-11-05"};
constexpr std::size_t kMaxBatch = 50;

// Codes of JSON-RPC 2.0, section 5.1.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;

json::object error_message(json::value id, int code, std::string_view text) {
  return {{"jsonrpc", "2.0"},
          {"id", std::move(id)},
          {"error", json::object{{"code", code}, {"message", text}}}};
}

json::object tool_result(json::object content, bool is_error) {
  json::object result{
      {"content", json::array{json::object{{"type", "text"}, {"text", json::serialize(content)}}}}};
  result["structuredContent"] = std::move(content);
  result["isError"] = is_error;
  return result;
}

json::object error_content(const Error& error) {
  json::object content{{"error", to_string(error.code)}, {"message", error.message}};
  if (!error.field.empty()) content["field"] = error.field;
  return content;
}

json::object describe(const Tool& tool) {
  json::object told{{"name", tool.name},
                    {"description", tool.description},
                    {"inputSchema", tool.input_schema},
                    {"annotations", json::object{{"readOnlyHint", tool.read_only}}}};
  if (!tool.title.empty()) told["title"] = tool.title;
  return told;
}

/// A browser's page of another origin must not reach a server on this machine by a name that it
/// has bent to 127.0.0.1 (the protocol's rule for servers): its Origin is not the Host it asks.
bool foreign_origin(const http::Request& request) {
  const std::string_view origin = request.headers.get("origin");
  if (origin.empty()) return false;
  const auto scheme = origin.find("://");
  return scheme == std::string_view::npos ||
         origin.substr(scheme + 3) != request.headers.get("host");
}

}  // namespace

/// A result, or what was wrong with the request itself.
struct Server::Reply {
  json::object result;
  int code = 0;
  std::string text;
};

Server::Server(ServerInfo info, std::vector<Tool> tools,
               std::function<bool(const http::Context&, std::string_view)> permits, Watch watch)
    : info_(std::move(info)),
      tools_(std::move(tools)),
      permits_(std::move(permits)),
      watch_(std::move(watch)) {}

void Server::add_routes(http::Router& router, const std::string& path,
                        std::string_view access) const {
  router.post(
      path,
      [this](http::Context& context) -> Aw<http::Response> {
        if (foreign_origin(context.request)) {
          co_return http::Response::json(
              403, json::serialize(error_message(nullptr, kInvalidRequest,
                                                 "Origin is not this server's own host")));
        }
        auto answer = co_await handle(std::move(context.request.body), Call{&context});
        if (!answer) co_return http::Response{.status = 202, .headers = {}, .body = {}};
        co_return http::Response::json(200, std::move(*answer));
      },
      access);
}

Aw<std::optional<std::string>> Server::handle(std::string message, Call call) const {
  auto parsed = parse_json(message);
  if (!parsed)
    co_return json::serialize(error_message(nullptr, kParseError, parsed.error().message));
  if (!parsed->is_array()) {
    auto answer = co_await handle_one(std::move(*parsed), call);
    if (!answer) co_return std::nullopt;
    co_return json::serialize(*answer);
  }
  json::array& batch = parsed->get_array();
  if (batch.empty() || batch.size() > kMaxBatch) {
    co_return json::serialize(error_message(
        nullptr, kInvalidRequest,
        fmt::format("a batch holds 1 to {} messages, not {}", kMaxBatch, batch.size())));
  }
  json::array answers;
  for (json::value& one : batch) {
    if (auto answer = co_await handle_one(std::move(one), call)) answers.push_back(*answer);
  }
  if (answers.empty()) co_return std::nullopt;
  co_return json::serialize(answers);
}

Aw<std::optional<json::object>> Server::handle_one(json::value message, Call call) const {
  json::object* request = message.if_object();
  const json::value* version = request == nullptr ? nullptr : request->if_contains("jsonrpc");
  const json::value* method = request == nullptr ? nullptr : request->if_contains("method");
  const json::value* id = request == nullptr ? nullptr : request->if_contains("id");
  if (version == nullptr || *version != "2.0") {
    co_return error_message(id == nullptr ? json::value(nullptr) : *id, kInvalidRequest,
                            "not a JSON-RPC 2.0 message: \"jsonrpc\" must be \"2.0\"");
  }
  // An answer to something we never asked.
  if (method == nullptr && (request->contains("result") || request->contains("error")))
    co_return std::nullopt;
  if (method == nullptr || !method->is_string() ||
      (id != nullptr && !id->is_string() && !id->is_number())) {
    co_return error_message(nullptr, kInvalidRequest,
                            "\"method\" must be a string, \"id\" a string or a number");
  }
  if (id == nullptr) co_return std::nullopt;  // a notification: nothing here waits for one
  const std::string_view name = method->get_string();
  json::object params;
  if (const json::value* given = request->if_contains("params")) {
    if (!given->is_object())
      co_return error_message(*id, kInvalidParams, "\"params\" must be an object");
    params = given->get_object();
  }
  Reply reply;
  if (name == "initialize") {
    reply.result = initialize(params);
  } else if (name == "ping") {
    reply.result = {};
  } else if (name == "tools/list") {
    reply.result = list_tools(call);
  } else if (name == "tools/call") {
    reply = co_await call_tool(std::move(params), call);
  } else {
    reply.code = kMethodNotFound;
    reply.text =
        fmt::format("no method '{}'; there are initialize, ping, tools/list and tools/call", name);
  }
  if (reply.code != 0) co_return error_message(*id, reply.code, reply.text);
  co_return json::object{{"jsonrpc", "2.0"}, {"id", *id}, {"result", std::move(reply.result)}};
}

json::object Server::initialize(const json::object& params) const {
  std::string_view revision = kRevisions.front();
  const json::value* asked = params.if_contains("protocolVersion");
  if (asked != nullptr && asked->is_string()) {
    const auto* found = std::ranges::find(kRevisions, std::string_view(asked->get_string()));
    if (found != kRevisions.end()) revision = *found;
  }
  json::object result{
      {"protocolVersion", revision},
      {"capabilities", json::object{{"tools", json::object{}}}},
      {"serverInfo", json::object{{"name", info_.name}, {"version", info_.version}}}};
  if (!info_.instructions.empty()) result["instructions"] = info_.instructions;
  return result;
}

bool Server::may_call(const Call& call, const Tool& tool) const {
  return tool.access.empty() || call.http == nullptr || !permits_ ||
         permits_(*call.http, tool.access);
}

json::object Server::list_tools(const Call& call) const {
  json::array list;
  for (const Tool& tool : tools_) {
    if (may_call(call, tool)) list.push_back(describe(tool));
  }
  return {{"tools", std::move(list)}};
}

Aw<Server::Reply> Server::call_tool(json::object params, Call call) const {
  const json::value* name = params.if_contains("name");
  if (name == nullptr || !name->is_string())
    co_return Reply{{}, kInvalidParams, "params.name must name a tool"};
  const std::string wanted(name->get_string());
  const auto tool = std::ranges::find(tools_, wanted, &Tool::name);
  if (tool == tools_.end())
    co_return Reply{{}, kInvalidParams, fmt::format("no tool '{}'; see tools/list", wanted)};
  if (!may_call(call, *tool)) {
    if (watch_) watch_(call, *tool, nullptr);
    co_return Reply{
        tool_result(
            {{"error", "forbidden"},
             {"message", fmt::format("'{}' needs the permission '{}'", wanted, tool->access)}},
            true),
        0,
        {}};
  }
  json::object arguments;
  if (const json::value* given = params.if_contains("arguments")) {
    if (!given->is_object())
      co_return Reply{{}, kInvalidParams, "params.arguments must be an object"};
    arguments = given->get_object();
  }
  if (auto ok = check_schema(arguments, tool->input_schema); !ok) {
    const Result<json::object> refused = std::unexpected(ok.error());
    if (watch_) watch_(call, *tool, &refused);
    co_return Reply{tool_result(error_content(ok.error()), true), 0, {}};
  }
  fill_defaults(arguments, tool->input_schema);
  auto result = co_await tool->run(call, std::move(arguments));
  if (watch_) watch_(call, *tool, &result);
  if (!result) co_return Reply{tool_result(error_content(result.error()), true), 0, {}};
  co_return Reply{tool_result(std::move(*result), false), 0, {}};
}

}  // namespace asahi::mcp
