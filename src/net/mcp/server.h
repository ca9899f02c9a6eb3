#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/task.h"
#include "net/http/context.h"
#include "net/http/router.h"

namespace asahi::mcp {

/// Who calls a tool. `http` is null for a client on standard input: it may do what the process may.
struct Call {
  http::Context* http = nullptr;
};

/// One tool. Its arguments are checked against `input_schema` (schema.h) and have its defaults
/// before `run` sees them.
struct Tool {
  std::string name;  ///< [A-Za-z0-9_-]{1,64}
  std::string title;
  std::string description;    ///< for the model that chooses
  json::object input_schema;  ///< {"type":"object","properties":{…}}
  bool read_only = true;      ///< changes nothing
  /// A permission, as routes name it; empty: whoever may reach the server.
  std::string access = {};
  /// The result as an object; it is also sent as text for clients that know nothing else. An error
  /// is told to the model as a result with isError, for it can often mend its call.
  std::function<Task<json::object>(Call call, json::object arguments)> run;
};

struct ServerInfo {
  std::string name;  ///< "akosha-mcp"
  std::string version;
  std::string instructions;
};

/// The server side of the Model Context Protocol (revisions 2024-11-05 to 2025-06-18), tools only:
/// JSON-RPC 2.0 over streamable HTTP without sessions, or one message a line on standard input.
/// Immutable once it serves; any loop.
class Server {
 public:
  /// `permits` says whether a caller has a tool's `access`; empty: everybody may do everything.
  /// `watch` hears of every call of a tool that there is, when it is over; `outcome` is null where
  /// the caller may not call it.
  using Watch = std::function<void(const Call&, const Tool&, const Result<json::object>* outcome)>;
  Server(ServerInfo info, std::vector<Tool> tools,
         std::function<bool(const http::Context&, std::string_view access)> permits = {},
         Watch watch = {});

  /// POST of `path`. There are no streams to GET and no sessions to DELETE: the router says 405.
  void add_routes(http::Router& router, const std::string& path, std::string_view access) const;

  /// One message or a batch; the answer, or nothing where none is due (notifications).
  Aw<std::optional<std::string>> handle(std::string message, Call call) const;

  const std::vector<Tool>& tools() const { return tools_; }

 private:
  struct Reply;
  Aw<std::optional<json::object>> handle_one(json::value message, Call call) const;
  json::object initialize(const json::object& params) const;
  json::object list_tools(const Call& call) const;
  Aw<Reply> call_tool(json::object params, Call call) const;
  bool may_call(const Call& call, const Tool& tool) const;

  ServerInfo info_;
  std::vector<Tool> tools_;
  std::function<bool(const http::Context&, std::string_view)> permits_;
  Watch watch_;
};

}  // namespace asahi::mcp
