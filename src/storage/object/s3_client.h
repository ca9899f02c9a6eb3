#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/policy/retry.h"
#include "base/secret.h"
#include "storage/object/s3_rules.h"

namespace asahi::object {

/// Who asks. Empty: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are for whoever
/// reads the settings.
struct S3Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  ///< of temporary credentials; may be empty
};

struct S3Options {
  std::string bucket;
  std::string prefix;  ///< of all keys, "archive/" or empty
  std::string region = "us-east-1";
  std::string endpoint;  ///< "https://minio.example:9000"; empty: Amazon's in `region`
  /// path: endpoint/bucket/key; virtual_host: bucket.endpoint/key; automatic: the latter for
  /// Amazon, unless the bucket's name has dots, which certificates do not cover.
  enum class Addressing { kAutomatic, kPath, kVirtualHost } addressing = Addressing::kAutomatic;
  S3Credentials credentials;

  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds stall_timeout{20'000};     ///< no byte in either direction
  std::chrono::milliseconds attempt_timeout{300'000};  ///< one request and its answer
  std::chrono::milliseconds total_timeout{900'000};    ///< of all attempts and pauses of one call
  RetryPolicy retry{.max_attempts = 5,
                    .base = std::chrono::milliseconds(200),
                    .cap = std::chrono::milliseconds(10'000)};
  /// Objects larger than this go up in parts of this size, each held in memory while it is sent;
  /// 5 MiB (S3's least) to 1 GiB.
  std::size_t part_bytes = 8 * 1024 * 1024;
};

struct S3Request {
  const char* method = "GET";
  std::string key;  ///< with the store's prefix; empty: the bucket
  S3Query query = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< signed; values not empty
  std::string_view body = {};
  const Sink* sink = nullptr;  ///< takes the body of a good answer; null: kept
  bool partial = false;        ///< an answer that is no range (206) is refused
  S3Headers* seen = nullptr;   ///< gets the answer's headers also when it breaks off
};
struct S3Answer {
  int status = 0;
  S3Headers headers;
  std::string body;  ///< of at most 16 MiB
};

/// Signed requests (Signature Version 4, by libcurl) over kept connections. Blocking, thread-safe.
class S3Client {
 public:
  /// Errors: invalid_argument (settings), unavailable (libcurl is missing or too old).
  static Result<std::unique_ptr<S3Client>> make(S3Options options);
  ~S3Client();

  const S3Options& options() const { return options_; }
  /// One attempt. Errors: see s3_error; unavailable and timeout for connections; cancelled.
  Result<S3Answer> once(const S3Request& request);
  /// Repeats `attempt` (numbered from 1) with pauses while its error is worth it.
  Result<S3Answer> repeated(const std::function<Result<S3Answer>(int number)>& attempt);
  Result<S3Answer> send(const S3Request& request) {
    return repeated([&](int) { return once(request); });
  }
  /// Ends transfers and pauses. Any thread.
  void stop();

 private:
  struct Transfer;
  explicit S3Client(S3Options options) : options_(std::move(options)) {}
  std::string url_of(const S3Request& request) const;
  /// True when it was not stopped meanwhile.
  bool pause(std::chrono::milliseconds time);
  void* take_handle();
  void give_handle(void* handle);

  S3Options options_;
  std::string base_;  ///< up to the key, with '/' at the end
  Logger logger_{"s3"};
  std::mutex mutex_;
  std::condition_variable stop_signal_;
  std::atomic<bool> stopped_{false};
  std::vector<void*> handles_;  ///< idle, each with its connections
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace asahi::object
