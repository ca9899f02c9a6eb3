#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/secret.h"
#include "base/task.h"
#include "net/http/client.h"
#include "net/http/url.h"

namespace asahi::mcp {

/// The client side of the Model Context Protocol over streamable HTTP (revision 2025-06-18), tools
/// only. Each call is a conversation of its own: hello, the call, goodbye where the server keeps
/// sessions. Nothing is kept in between; any loop.
class Client {
 public:
  using Send = std::function<Task<http::ClientResponse>(http::ClientRequest, http::CallOptions)>;
  struct Options {
    std::string url;  ///< of the endpoint: "http://orchestrator:8680/mcp"
    Secret bearer;    ///< sent as Authorization: Bearer; empty: none
    std::string name = "asahi", version;
    std::chrono::milliseconds timeout{10'000};  ///< of a whole conversation
  };
  /// Errors: invalid_argument naming what is wrong with the URL.
  static Result<Client> make(Options options, Send send);

  /// Says hello; what the server says of itself ("serverInfo"). Errors of both: unavailable,
  /// timeout, unauthenticated, upstream (no MCP, or an error of the protocol, with its words).
  Task<json::object> hello() const;
  /// Calls a tool; its result ("structuredContent" and "content"). An error that the tool itself
  /// tells is upstream with its words.
  Task<json::object> call(std::string tool, json::object arguments) const;

 private:
  struct Conversation;
  Client(Options options, Send send, http::Url url)
      : options_(std::move(options)), send_(std::move(send)), url_(std::move(url)) {}
  Task<json::object> begin(Conversation& conversation) const;
  Task<json::object> ask(Conversation& conversation, std::string method, json::object params) const;
  Task<http::ClientResponse> post(Conversation& conversation, http::Method method,
                                  std::string body) const;
  Aw<void> end(Conversation& conversation) const;

  Options options_;
  Send send_;
  http::Url url_;
};

/// The answer to request `id` in a reply's body, JSON or an event stream. Errors: upstream.
Result<json::object> answer_in(const http::ClientResponse& reply, int id);

}  // namespace asahi::mcp
