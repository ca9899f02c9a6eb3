#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/secret.h"
#include "server/app.h"
#include "server/options.h"

namespace asahi::server {

/// A gateway to talk to from the command line: one that runs (`url`), or one started inside this
/// process on a free loopback port with the same configuration and a data folder of its own.
class GatewayClient {
 public:
  struct Target {
    std::string url;             ///< of one that runs; empty: start one
    Secret api_key;              ///< sent with every call when not empty
    http::Headers headers = {};  ///< likewise
    /// Changes the settings of a gateway that is started here; empty: none.
    std::function<void(ServerConfig&)> adjust;
  };
  static Result<std::unique_ptr<GatewayClient>> connect(const CommonOptions& common,
                                                        const Target& target);
  static Result<std::unique_ptr<GatewayClient>> connect(const CommonOptions& common,
                                                        const std::string& url);
  ~GatewayClient();

  /// Where the gateway started for this run logs its events; empty for one that runs elsewhere.
  std::string event_log_dir() const;

  /// Status and body. Any thread. Errors: unavailable, timeout (120 s).
  Result<http::ClientResponse> call(http::Method method, const std::string& target,
                                    std::string body);
  /// The same, read as JSON. An error status is an error with the server's message.
  Result<json::value> call_json(http::Method method, const std::string& target, std::string body);

 private:
  struct Impl;
  explicit GatewayClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What an error reply says, for people: its message, or its body.
std::string message_of(const http::ClientResponse& response);

}  // namespace asahi::server
