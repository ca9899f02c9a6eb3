#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/policy/retry.h"
#include "base/secret.h"
#include "storage/object/store.h"

namespace asahi::object {

/// How long requests to an object store may take, and how often they are tried.
struct TransferLimits {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds stall_timeout{20'000};     ///< no byte in either direction
  std::chrono::milliseconds attempt_timeout{300'000};  ///< one request and its answer
  std::chrono::milliseconds total_timeout{900'000};    ///< of all attempts and pauses of one call
  RetryPolicy retry{.max_attempts = 5,
                    .base = std::chrono::milliseconds(200),
                    .cap = std::chrono::milliseconds(10'000)};
};

/// Names in lower case.
using HttpHeaders = std::map<std::string, std::string, std::less<>>;

/// A signature of version 4, that libcurl works out.
struct SignatureV4 {
  std::string provider;  ///< "aws:amz:us-east-1:s3", see CURLOPT_AWS_SIGV4
  std::string key_id;
  Secret secret;
};

struct HttpRequest {
  const char* method = "GET";
  std::string url;
  std::string what;  ///< for errors: "GET of 'a/b'"
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string_view body = {};
  const Sink* sink = nullptr;   ///< takes the body of a good answer; null: kept
  bool partial = false;         ///< an answer that is no range (206) is refused
  HttpHeaders* seen = nullptr;  ///< gets the answer's headers also when it breaks off
  const SignatureV4* signature = nullptr;
};
struct HttpAnswer {
  int status = 0;
  HttpHeaders headers;
  std::string body;  ///< of at most 16 MiB
};

/// HTTP requests of any answer over kept connections, by libcurl; attempts and pauses. Blocking,
/// thread-safe.
class CurlClient {
 public:
  /// `service`: its name in errors. Errors: unavailable (libcurl is missing or too old).
  static Result<std::unique_ptr<CurlClient>> make(TransferLimits limits, std::string service);
  ~CurlClient();
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  /// One attempt; an answer of 300 and above is an answer, too, kept and not given to the sink.
  /// Errors: those of the sink; unavailable and timeout for connections; invalid_argument for an
  /// address that cannot be; cancelled.
  Result<HttpAnswer> once(const HttpRequest& request);
  /// Repeats `attempt` (numbered from 1) with pauses while its error is worth it.
  Result<HttpAnswer> repeated(const std::function<Result<HttpAnswer>(int number)>& attempt);
  /// Ends transfers and pauses. Any thread.
  void stop();

 private:
  struct Transfer;
  CurlClient(TransferLimits limits, std::string service)
      : limits_(limits), service_(std::move(service)) {}
  /// True when it was not stopped meanwhile.
  bool pause(std::chrono::milliseconds time);
  void* take_handle();
  void give_handle(void* handle);

  const TransferLimits limits_;
  const std::string service_;
  Logger logger_{"object"};
  std::mutex mutex_;
  std::condition_variable stop_signal_;
  std::atomic<bool> stopped_{false};
  std::vector<void*> handles_;  ///< idle, each with its connections
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace asahi::object
