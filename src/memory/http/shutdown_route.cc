#include "memory/http/shutdown_route.h"

#include <fmt/format.h>

#include <array>

#include "base/hash.h"
#include "base/log.h"
#include "memory/http/reach.h"
#include "net/address.h"

namespace asahi::memory {
namespace {

/// What stands in a request that is not the sender's own. A proxy on this very machine would make
/// every request of the world look local; these it leaves, by its default or by every guide.
constexpr auto kPassedOn = std::to_array<std::string_view>(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
     "x-forwarded-port", "x-forwarded-server", "x-real-ip", "x-client-ip",
     "x-original-forwarded-for", "true-client-ip", "cf-connecting-ip", "x-envoy-external-address"});
/// What browsers send with requests of pages.
constexpr auto kOfAPage = std::to_array<std::string_view>({"origin", "referer", "sec-fetch-site"});

}  // namespace

Result<void> check_local(const http::Request& request) {
  if (!net::is_loopback_address(request.remote_address)) {
    return fail(Errc::kForbidden, fmt::format("only this machine may shut the process down; the "
                                              "request came from {}",
                                              request.remote_address));
  }
  for (const std::string_view name : kPassedOn) {
    if (request.headers.has(name)) {
      return fail(Errc::kForbidden,
                  fmt::format("a request that was passed on (header {}) shuts nothing down; ask "
                              "the process itself, from its machine",
                              name));
    }
  }
  for (const std::string_view name : kOfAPage) {
    if (request.headers.has(name))
      return fail(Errc::kForbidden, fmt::format("a page (header {}) shuts nothing down", name));
  }
  return {};
}

namespace {

/// Errors: unauthenticated, forbidden.
Task<void> check_owner(const ShutdownParts& parts, http::Context& context) {
  const http::Headers& headers = context.request.headers;
  if (headers.has(kShutdownTokenHeader)) {
    if (!parts.token.empty() &&
        equal_constant_time(headers.get(kShutdownTokenHeader), parts.token.reveal()))
      co_return Result<void>{};
    co_return fail(Errc::kForbidden,
                   fmt::format("{} is not what the file shutdown_token in the data folder of this "
                               "process holds",
                               kShutdownTokenHeader));
  }
  if (parts.auth_required && parts.gate != nullptr) {
    static const http::Route kRoute{
        .method = http::Method::kPost, .pattern = "/shutdown", .access = "authenticated"};
    context.caller.reset();
    auto entered = parts.gate->try_enter(context, kRoute);
    if (!entered) entered = co_await parts.gate->enter(context, kRoute);
    if (!*entered) co_return std::unexpected(std::move(entered->error()));
    if (operates(context)) co_return Result<void>{};
  }
  co_return fail(
      parts.auth_required ? Errc::kForbidden : Errc::kUnauthenticated,
      fmt::format("send {} with what the file shutdown_token in the data folder of this process "
                  "holds ('asahi memory shutdown' does), or the credential of who operates it",
                  kShutdownTokenHeader));
}

void note_refusal(const ShutdownParts& parts, const http::Context& context, const Error& error) {
  if (parts.shared->security == nullptr) return;
  parts.shared->security->note(context, {.event = identity::SecurityEvent::kDataAccess,
                                         .severity = identity::SecuritySeverity::kHigh,
                                         .result = "denied",
                                         .details = {{"reason", error.message}}});
}

}  // namespace

void add_shutdown_route(const RouteAdder& routes, ShutdownParts parts) {
  const auto shared = std::make_shared<const ShutdownParts>(std::move(parts));
  routes.add_body(http::Method::kPost, "/shutdown", "public",
                  [shared](http::Context& context) -> Task<http::Response> {
                    Result<void> allowed = check_local(context.request);
                    if (allowed) allowed = co_await check_owner(*shared, context);
                    if (!allowed) {
                      note_refusal(*shared, context, allowed.error());
                      co_return std::unexpected(allowed.error());
                    }
                    co_await note(*shared->shared, context, "memory.shutdown", "process");
                    Logger("memory").info("asked to shut down", {{"by", "POST /shutdown"}});
                    shared->begin();
                    co_return json_reply(202, {{"status", "draining"}});
                  });
}

}  // namespace asahi::memory
