#include "memory/outside/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace asahi::memory {

std::chrono::seconds pause_after(int tries) {
  constexpr int kDoublings = 4;
  return std::chrono::seconds(1 << std::clamp(tries - 1, 0, kDoublings));
}

Dependency OutsideServices::dependency(std::string name, OutsideService service) const {
  const bool required = service.required;
  return {std::move(name), required,
          [ask = parts_.ask, service = std::move(service)] { return ask(service); }};
}

Aw<OutsideServices::Answer> OutsideServices::check(std::string name, OutsideService service) const {
  const std::chrono::seconds patience = service.timeout;
  std::vector<Dependency> one;
  one.push_back(dependency(std::move(name), std::move(service)));
  Health health(std::move(one), parts_.clock, patience);
  Health::Report report = co_await health.look();
  co_return Answer{.report = std::move(report.dependencies.front())};
}

Aw<Health::Report> OutsideServices::check_all() const {
  std::vector<Dependency> all;
  std::chrono::seconds patience{1};
  for (const auto& [name, service] : parts_.known) {
    patience = std::max(patience, service.timeout);
    all.push_back(dependency(name, service));
  }
  Health health(std::move(all), parts_.clock, patience);
  co_return co_await health.look();
}

Aw<OutsideServices::Answer> OutsideServices::wait(std::string name, OutsideService service,
                                                  std::chrono::nanoseconds most) const {
  const Clock::Steady begun = parts_.clock.steady_now();
  const std::chrono::seconds usual = service.timeout;
  for (int tries = 1;; ++tries) {
    const auto left = most - (parts_.clock.steady_now() - begun);
    service.timeout =
        std::clamp(std::chrono::ceil<std::chrono::seconds>(left), std::chrono::seconds(1), usual);
    Answer answer = co_await check(name, service);
    answer.tries = tries;
    answer.waited = parts_.clock.steady_now() - begun;
    const std::chrono::nanoseconds pause = pause_after(tries);
    if (answer.report.healthy || answer.waited + pause > most) co_return answer;
    co_await parts_.sleep(pause);
  }
}

OutsideServices::Ask ask_by_http(std::function<http::Client&()> client) {
  return [client = std::move(client)](OutsideService service) -> Task<void> {
    http::ClientRequest request;
    request.method = http::Method::kGet;
    request.origin = {
        .tls = service.use_tls, .host = service.host, .port = service.port, .base_path = ""};
    request.target = "/health";
    request.headers.add("Accept", "application/json");
    const http::CallOptions options{.deadline = std::chrono::steady_clock::now() + service.timeout,
                                    .idle_timeout = service.timeout};
    ASAHI_CO_TRY(const http::ClientResponse reply,
                 co_await client().send(std::move(request), options));
    constexpr int kFirstOk = 200, kLastOk = 299;
    if (reply.status < kFirstOk || reply.status > kLastOk)
      co_return fail(Errc::kUpstream, fmt::format("GET /health answered {}", reply.status));
    co_return Result<void>{};
  };
}

}  // namespace asahi::memory
