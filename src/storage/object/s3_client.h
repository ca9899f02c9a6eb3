#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/object/credentials.h"
#include "storage/object/curl_client.h"
#include "storage/object/s3_rules.h"

namespace asahi::object {

struct S3Options : TransferLimits {
  S3Dialect dialect = S3Dialect::kAmazon;
  std::string bucket;
  std::string prefix;  ///< of all keys, "archive/" or empty
  std::string region;  ///< empty: us-east-1 at Amazon, auto at Google
  /// "https://minio.example:9000"; empty: Amazon's in `region`, or Google's.
  std::string endpoint;
  /// path: endpoint/bucket/key; virtual_host: bucket.endpoint/key; automatic: the latter for
  /// Amazon, unless the bucket's name has dots, which certificates do not cover.
  enum class Addressing { kAutomatic, kPath, kVirtualHost } addressing = Addressing::kAutomatic;
  S3Credentials credentials;

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
  const Sink* sink = nullptr;   ///< takes the body of a good answer; null: kept
  bool partial = false;         ///< an answer that is no range (206) is refused
  HttpHeaders* seen = nullptr;  ///< gets the answer's headers also when it breaks off
};

/// Signed requests (Signature Version 4, by libcurl) over kept connections. Blocking, thread-safe.
class S3Client {
 public:
  /// Errors: invalid_argument (settings), unavailable (libcurl is missing or too old).
  static Result<std::unique_ptr<S3Client>> make(S3Options options);

  const S3Options& options() const { return options_; }
  /// One attempt. Errors: see s3_error; unavailable and timeout for connections; cancelled.
  Result<HttpAnswer> once(const S3Request& request);
  /// Repeats `attempt` (numbered from 1) with pauses while its error is worth it.
  Result<HttpAnswer> repeated(const std::function<Result<HttpAnswer>(int number)>& attempt) {
    return curl_->repeated(attempt);
  }
  Result<HttpAnswer> send(const S3Request& request) {
    return repeated([&](int) { return once(request); });
  }
  CurlClient& connections() { return *curl_; }
  /// Ends transfers and pauses. Any thread.
  void stop() { curl_->stop(); }

 private:
  S3Client(S3Options options, std::unique_ptr<CurlClient> curl);
  std::string url_of(const S3Request& request) const;

  const S3Options options_;
  std::unique_ptr<CurlClient> curl_;
  SignatureV4 signature_;
  std::string base_;  ///< up to the key, with '/' at the end
};

}  // namespace asahi::object
