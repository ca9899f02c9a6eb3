#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "server/app.h"
#include "server/options.h"

namespace asahi::server {

/// A gateway to talk to from the command line: one that runs (`url`), or one started inside this
/// process on a free loopback port with the same configuration and a data folder of its own.
class GatewayClient {
 public:
  static Result<std::unique_ptr<GatewayClient>> connect(const CommonOptions& common,
                                                        const std::string& url);
  ~GatewayClient();

  /// Where the gateway started for this run logs its events; empty for one that runs elsewhere.
  std::string event_log_dir() const;

  /// Status and body. Errors: unavailable, timeout (120 s).
  Result<http::ClientResponse> call(http::Method method, const std::string& target,
                                    std::string body);
  /// The same, read as JSON. An error status is an error with the server's message.
  Result<json::value> call_json(http::Method method, const std::string& target, std::string body);

 private:
  struct Impl;
  explicit GatewayClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::server
