#include "storage/vector/rest/rest_client.h"

#include <fmt/format.h>

#include <charconv>

#include "base/ids.h"

namespace asahi::vector {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

Errc code_of(int status) {
  switch (status) {
    case 400:
    case 422:
      return Errc::kInvalidArgument;
    case 401:
      return Errc::kUnauthenticated;
    case 403:
      return Errc::kForbidden;
    case 404:
      return Errc::kNotFound;
    case 409:
      return Errc::kConflict;
    case 413:
      return Errc::kTooLarge;
    case 429:
      return Errc::kRateLimited;
    case 408:
    case 504:
      return Errc::kTimeout;
    case 503:
      return Errc::kUnavailable;
    default:
      return Errc::kUpstream;
  }
}

}  // namespace

Error RestClient::refusal(const http::ClientResponse& answer, std::string_view target) const {
  const std::string_view path = target.substr(0, target.find('?'));
  Error error;
  error.code = code_of(answer.status);
  error.upstream_status = answer.status;
  std::string_view more;
  if (answer.status == 401 || answer.status == 403) more = "; check its API key";
  error.message = fmt::format("{} answered {} to {}{}", name_, answer.status, path, more);
  const std::string_view after = answer.headers.get("retry-after");
  unsigned seconds = 0;
  const auto [end, fault] = std::from_chars(after.data(), after.data() + after.size(), seconds);
  if (!after.empty() && fault == std::errc() && end == after.data() + after.size()) {
    error.retry_after = std::chrono::seconds(std::min(seconds, 3600U));
  }
  return error;
}

std::unexpected<Error> RestClient::strange(std::string_view what) const {
  return fail(Errc::kUpstream, fmt::format("{} answered without {}; is it a version that its "
                                           "adapter knows (docs/operate/vector-stores.md)?",
                                           name_, what));
}

Task<json::value> RestClient::call(http::Method method, http::Origin origin, std::string target,
                                   std::string body, Deadline deadline, Judge judge) {
  net::Loop& loop = *net::Loop::current();
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request{
        .method = method, .origin = origin, .target = target, .headers = headers_, .body = body};
    if (!body.empty()) request.headers.add("Content-Type", "application/json");
    request.headers.add("Accept", "application/json");
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Steady::now());
    auto answer = co_await clients_.local().send(
        std::move(request),
        {.deadline = deadline, .idle_timeout = std::max(left, milliseconds(1)), .cancel = nullptr});
    const bool good = answer && answer->status / 100 == 2;
    Error error;
    if (good) {
      if (answer->body.empty()) co_return json::value();
      auto parsed = parse_json(answer->body);
      if (!parsed) co_return strange("JSON");
      if (!judge) co_return std::move(*parsed);
      auto verdict = judge(*parsed);
      if (verdict) co_return std::move(*parsed);
      error = std::move(verdict.error());
    } else {
      error = answer ? refusal(*answer, target) : std::move(answer.error());
    }
    if (answer) {
      log_.debug(
          "a vector database refused",
          {{"database", name_}, {"status", answer->status}, {"body", answer->body.substr(0, 500)}});
    } else {
      error.message = fmt::format("{}: {}", name_, error.message);
    }
    const double jitter = static_cast<double>(random_u64() >> 11) * 0x1p-53;
    const auto pause =
        retry_delay(retry_, attempt, error, jitter,
                    std::chrono::duration_cast<milliseconds>(deadline - Steady::now()));
    if (!pause) co_return std::unexpected(std::move(error));
    co_await loop.sleep_for(*pause);
  }
}

}  // namespace asahi::vector
