#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "storage/object/s3_client.h"
#include "storage/object/testing/node_server.h"

namespace asahi::object_testing {

/// tests/s3/server.mjs on a free port: a real S3-protocol server that checks signatures and breaks
/// on demand. Ends with its owner, and with the test.
class S3Server {
 public:
  /// Starts one with the bucket "archive". Errors: not_found, saying what is missing (the test then
  /// skips).
  static Result<std::unique_ptr<S3Server>> start();
  /// One for all tests of a program; it takes seconds to start. `reset` it before each.
  static Result<std::unique_ptr<S3Server>>& shared();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  std::uint16_t port() const { return process_->port(); }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port()); }
  /// Settings that it takes, with short pauses between attempts.
  object::S3Options options(std::string prefix = "") const;

  /// The next requests that fit misbehave; JSON, see the comment of `faulty` there.
  void fault(const std::string& json);
  void require_token(const std::string& token);
  void reset();
  /// "PUT /archive/key", in order, since the last call.
  std::vector<std::string> requests();

 private:
  explicit S3Server(std::unique_ptr<NodeServer> process) : process_(std::move(process)) {}
  std::string control(const std::string& method, const std::string& body);

  std::unique_ptr<NodeServer> process_;
};

}  // namespace asahi::object_testing
