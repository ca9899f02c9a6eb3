#include "memory/http/shutdown_route.h"

#include <fmt/format.h>

#include <array>

#include "base/log.h"
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

void add_shutdown_route(const RouteAdder& routes, SharedRouteParts shared,
                        std::function<void()> begin) {
  routes.add_body(
      http::Method::kPost, "/shutdown", "public",
      [shared, begin = std::move(begin)](http::Context& context) -> Task<http::Response> {
        if (auto ok = check_local(context.request); !ok) {
          if (shared->security != nullptr) {
            shared->security->note(context, {.event = identity::SecurityEvent::kDataAccess,
                                             .severity = identity::SecuritySeverity::kHigh,
                                             .result = "denied",
                                             .details = {{"reason", ok.error().message}}});
          }
          co_return std::unexpected(ok.error());
        }
        co_await note(*shared, context, "memory.shutdown", "process");
        Logger("memory").info("asked to shut down", {{"by", "POST /shutdown"}});
        begin();
        co_return json_reply(202, {{"status", "draining"}});
      });
}

}  // namespace asahi::memory
