#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace asahi::object_testing {

/// A server written for Node that says "ready PORT" and ends with its input. It has a temporary
/// folder of its own.
class NodeServer {
 public:
  /// Runs `node options... script FOLDER words...`. Errors: internal, with what it said.
  static Result<std::unique_ptr<NodeServer>> start(std::vector<std::string> options,
                                                   const std::string& script,
                                                   std::vector<std::string> words);
  ~NodeServer();
  NodeServer(const NodeServer&) = delete;
  NodeServer& operator=(const NodeServer&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  NodeServer() = default;

  std::string folder_;
  pid_t process_ = 0;
  int input_ = -1;  ///< its standard input: it ends when this closes
  std::uint16_t port_ = 0;
};

}  // namespace asahi::object_testing
