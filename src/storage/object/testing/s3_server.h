#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/object/s3_client.h"

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
  ~S3Server();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  std::uint16_t port() const { return port_; }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Settings that it takes, with short pauses between attempts.
  object::S3Options options(std::string prefix = "") const;

  /// The next requests that fit misbehave; JSON, see the comment of `faulty` there.
  void fault(const std::string& json);
  void require_token(const std::string& token);
  void reset();
  /// "PUT /archive/key", in order, since the last call.
  std::vector<std::string> requests();

 private:
  S3Server() = default;
  std::string control(const std::string& method, const std::string& body);

  std::string folder_;
  pid_t process_ = 0;
  int input_ = -1;  ///< its standard input: it ends when this closes
  std::uint16_t port_ = 0;
};

}  // namespace asahi::object_testing
