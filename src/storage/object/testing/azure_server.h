#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "storage/object/azure_store.h"
#include "storage/object/testing/node_server.h"

namespace asahi::object_testing {

/// tests/azure/server.mjs: Microsoft's emulator of the Blob service on a free port, in memory.
class AzureServer {
 public:
  /// One for all tests of a program, with the container "archive". Errors: not_found, saying what
  /// is missing (the test then skips).
  static Result<std::unique_ptr<AzureServer>>& shared();

  /// Settings that it takes, with short pauses between attempts.
  object::AzureOptions options(std::string prefix = "") const;

 private:
  explicit AzureServer(std::unique_ptr<NodeServer> process) : process_(std::move(process)) {}
  static Result<std::unique_ptr<AzureServer>> start();

  std::unique_ptr<NodeServer> process_;
};

}  // namespace asahi::object_testing
