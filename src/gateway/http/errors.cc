#include "gateway/http/errors.h"

#include <algorithm>

#include "net/http/server.h"

namespace asahi::gateway {
namespace {

void add_retry_after(http::Response& response, const Error& error) {
  if (!error.retry_after) return;
  // Whole seconds, rounded up: waiting exactly that long must be enough.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*error.retry_after).count();
  response.headers.set("Retry-After", std::to_string(std::max<std::int64_t>(1, seconds)));
}

}  // namespace

int native_status(const Error& error) {
  if (error.reason == "unsupported_media_type") return 415;
  if (error.reason == "model_not_found") return 400;
  return http::http_status(error.code);
}

http::Response native_error(const Error& error, const http::Context& context) {
  http::Response response = http::native_error(error, context);
  response.status = native_status(error);
  return response;
}

http::ErrorWriter vendor_errors(const llm::ClientCodec& codec) {
  return [&codec](const Error& error, const http::Context& context) {
    const int status = error.reason == "unsupported_media_type" ? 415
                       : error.reason == "model_not_found"      ? 404
                                                                : http::http_status(error.code);
    http::Response response =
        http::Response::json(status, codec.encode_error(error, status, context.request_id));
    add_retry_after(response, error);
    return response;
  };
}

}  // namespace asahi::gateway
