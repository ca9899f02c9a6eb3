#include "identity/tokens/verify_service.h"

#include <fmt/format.h>

#include "identity/tokens/jwt.h"

namespace asahi::identity {
namespace {

bool says_no(const json::object& reply) {
  for (const char* name : {"active", "valid"}) {
    const json::value* said = reply.if_contains(name);
    if (said != nullptr && said->is_bool() && !said->get_bool()) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<VerifyService>> VerifyService::make(std::string url, HttpFetch fetch,
                                                           const Clock& clock) {
  if (auto good = request_to(http::Method::kPost, url); !good) return std::unexpected(good.error());
  return std::unique_ptr<VerifyService>(new VerifyService(std::move(url), std::move(fetch), clock));
}

Task<http::ClientResponse> VerifyService::ask(std::string token) {
  ASAHI_CO_TRY(auto request, request_to(http::Method::kPost, url_));
  request.headers.add("Accept", "application/json");
  request.headers.add("Content-Type", "application/json");
  request.body = json::serialize(json::object{{"token", token}});
  co_return co_await fetch_(
      std::move(request),
      {.deadline = std::chrono::steady_clock::now() + kPatience, .idle_timeout = kPatience});
}

Task<json::object> VerifyService::claims(std::string token) {
  if (!breaker_.allow(clock_.steady_now())) {
    co_return fail(Errc::kUnavailable,
                   "the service that verifies tokens failed often of late; try again in a minute");
  }
  auto reply = co_await ask(std::move(token));
  constexpr int kOk = 200, kFirstClientError = 400, kTooMany = 429, kFirstServerError = 500;
  if (reply && reply->status >= kFirstClientError && reply->status < kFirstServerError &&
      reply->status != kTooMany) {
    breaker_.succeeded();
    co_return std::unexpected(bad_token());
  }
  Result<json::value> parsed = reply && reply->status == kOk && reply->body.size() <= kMaxBytes
                                   ? parse_json(reply->body)
                                   : Result<json::value>(json::value());
  if (!parsed || !parsed->is_object()) {
    breaker_.failed(clock_.steady_now());
    // What it said is nobody's business who has no token.
    co_return fail(Errc::kUnavailable, "the service that verifies tokens does not answer");
  }
  breaker_.succeeded();
  json::object& object = parsed->get_object();
  if (says_no(object)) co_return std::unexpected(bad_token());
  if (json::value* nested = object.if_contains("claims"); nested != nullptr && nested->is_object())
    co_return std::move(nested->get_object());
  co_return std::move(object);
}

}  // namespace asahi::identity
