#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/context.h"

namespace asahi::http {

using Handler = std::function<Aw<Response>(Context&)>;
/// Answers without suspending; an empty optional passes the request to the route's Handler. For hot
/// paths.
using FastHandler = std::function<std::optional<Response>(Context&)>;
/// WebSocket: called after the handshake; the connection closes when it returns.
class WebSocket;
using WebSocketHandler = std::function<Aw<void>(Context&, WebSocket&)>;

/// How an error is written for clients of a route (native, OpenAI, Anthropic).
using ErrorWriter = std::function<Response(const Error&, const Context&)>;

struct Route {
  Method method;
  std::string
      pattern;  ///< "/cache/entries", "/v1/models/{id}", "/assets/{path...}" (rest of the path)
  Handler handler;
  FastHandler fast;
  WebSocketHandler websocket;
  ErrorWriter errors;  ///< null: the native error body
  /// Who may call it: "public", "authenticated" (any valid credential) or the name of a permission.
  /// A server with a gate refuses to start with a route that says nothing.
  std::string_view access = {};
  /// Body limit for this route; 0: the server's.
  std::size_t max_body_bytes = 0;
};

/// Immutable once serving starts. Unknown path: 404; known path, wrong method: 405 with Allow; HEAD
/// falls back to GET; OPTIONS answers from the CORS settings.
class Router {
 public:
  void add(Route route);
  void get(std::string pattern, Handler handler, std::string_view access = {}) {
    add({.method = Method::kGet,
         .pattern = std::move(pattern),
         .handler = std::move(handler),
         .access = access});
  }
  void post(std::string pattern, Handler handler, std::string_view access = {}) {
    add({.method = Method::kPost,
         .pattern = std::move(pattern),
         .handler = std::move(handler),
         .access = access});
  }
  void put(std::string pattern, Handler handler, std::string_view access = {}) {
    add({.method = Method::kPut,
         .pattern = std::move(pattern),
         .handler = std::move(handler),
         .access = access});
  }
  void del(std::string pattern, Handler handler, std::string_view access = {}) {
    add({.method = Method::kDelete,
         .pattern = std::move(pattern),
         .handler = std::move(handler),
         .access = access});
  }

  struct Match {
    const Route* route = nullptr;
    std::vector<std::pair<std::string_view, std::string>> params;
    std::string allow;  ///< methods of the path when `route` is null and the path is known
  };
  /// `path` as sent (percent-encoded), so that an encoded '/' stays inside its part; `params` are
  /// decoded.
  Match match(Method method, std::string_view path) const;
  /// Every route, in order of addition (checks of OpenAPI and of access rules).
  std::vector<const Route*> routes() const;

  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

 private:
  struct Tree;
  std::unique_ptr<Tree> tree_;
};

}  // namespace asahi::http
