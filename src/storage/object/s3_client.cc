#include "storage/object/s3_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace asahi::object {
namespace {

Result<void> check(const S3Options& options) {
  const auto good = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  if (options.bucket.size() < 3 || options.bucket.size() > 63 ||
      !std::ranges::all_of(options.bucket, good) || options.bucket.front() == '.' ||
      options.bucket.contains("..")) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no name of a bucket: 3 to 63 of a-z, 0-9, '-' and '.'",
                            options.bucket));
  }
  if (!std::ranges::all_of(options.region, good))
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no region such as eu-central-1", options.region));
  if (!options.endpoint.empty() && !options.endpoint.starts_with("https://") &&
      !options.endpoint.starts_with("http://"))
    return fail(
        Errc::kInvalidArgument,
        fmt::format("the endpoint '{}' must begin with https:// or http://", options.endpoint));
  if (options.credentials.access_key_id.empty() || options.credentials.secret_access_key.empty())
    return fail(Errc::kInvalidArgument,
                options.dialect == S3Dialect::kGoogle
                    ? "Google's storage needs an HMAC key: set GCS_ACCESS_KEY_ID and "
                      "GCS_SECRET_ACCESS_KEY"
                    : "S3 needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  constexpr std::size_t kLeast = 5 * 1024 * 1024, kMost = 1024 * 1024 * 1024;
  if (options.part_bytes < kLeast || options.part_bytes > kMost)
    return fail(Errc::kInvalidArgument, "parts of an upload are 5 MiB to 1 GiB");
  return {};
}

}  // namespace

S3Client::S3Client(S3Options options, std::unique_ptr<CurlClient> curl)
    : options_(std::move(options)), curl_(std::move(curl)) {
  const bool google = options_.dialect == S3Dialect::kGoogle;
  signature_ = {.provider = google ? fmt::format("goog:goog:{}:storage", options_.region)
                                   : fmt::format("aws:amz:{}:s3", options_.region),
                .key_id = options_.credentials.access_key_id,
                .secret = options_.credentials.secret_access_key};
  const bool amazon = options_.endpoint.empty() && !google;
  std::string endpoint = !options_.endpoint.empty() ? options_.endpoint
                         : google                   ? "https://storage.googleapis.com"
                                  : fmt::format("https://s3.{}.amazonaws.com", options_.region);
  while (endpoint.ends_with('/')) endpoint.pop_back();
  using Addressing = S3Options::Addressing;
  const bool in_host =
      options_.addressing == Addressing::kVirtualHost ||
      (options_.addressing == Addressing::kAutomatic && amazon && !options_.bucket.contains('.'));
  if (in_host) {
    const std::size_t host = endpoint.find("://") + 3;
    base_ = endpoint.substr(0, host) + options_.bucket + '.' + endpoint.substr(host) + '/';
  } else {
    base_ = endpoint + '/' + options_.bucket + '/';
  }
}

Result<std::unique_ptr<S3Client>> S3Client::make(S3Options options) {
  const bool google = options.dialect == S3Dialect::kGoogle;
  if (options.region.empty()) options.region = google ? "auto" : "us-east-1";
  if (auto good = check(options); !good) return std::unexpected(good.error());
  ASAHI_TRY(auto curl, CurlClient::make(options, google ? "Google's storage" : "S3"));
  return std::unique_ptr<S3Client>(new S3Client(std::move(options), std::move(curl)));
}

std::string S3Client::url_of(const S3Request& request) const {
  std::string url = base_ + encode_key(request.key);
  if (!request.query.empty()) url += '?' + canonical_query(request.query);
  return url;
}

Result<HttpAnswer> S3Client::once(const S3Request& request) {
  const std::string own = own_header(options_.dialect, "");
  HttpRequest sent{.method = request.method,
                   .url = url_of(request),
                   .what = request.key.empty()
                               ? fmt::format("{} of the bucket", request.method)
                               : fmt::format("{} of '{}'", request.method, request.key),
                   .body = request.body,
                   .sink = request.sink,
                   .partial = request.partial,
                   .seen = request.seen,
                   .signature = &signature_};
  // The body's hash is signed, so whatever changes on the way is noticed there.
  sent.headers.emplace_back(own + "content-sha256", to_hex(sha256(request.body)));
  if (!options_.credentials.session_token.empty())
    sent.headers.emplace_back(own + "security-token", options_.credentials.session_token.reveal());
  sent.headers.insert(sent.headers.end(), request.headers.begin(), request.headers.end());
  auto answer = curl_->once(sent);
  if (answer && (answer->status < 200 || answer->status >= 300))
    return std::unexpected(s3_error(sent.what, answer->status, answer->headers, answer->body));
  return answer;
}

}  // namespace asahi::object
