#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "memory/ops/health.h"
#include "memory/outside/service.h"
#include "net/http/client.h"

namespace asahi::memory {

/// Asks services outside whether they work, and waits for them (spec/memory §2.4). Any loop.
class OutsideServices {
 public:
  /// Asks once: done when the service answers with a status of 200 to 299. Errors: unavailable,
  /// timeout, upstream (another status).
  using Ask = std::function<Task<void>(OutsideService service)>;
  struct Parts {
    std::map<std::string, OutsideService, std::less<>> known;
    Ask ask;
    std::function<Aw<void>(std::chrono::nanoseconds)> sleep;
    const Clock& clock;
  };
  explicit OutsideServices(Parts parts) : parts_(std::move(parts)) {}

  const std::map<std::string, OutsideService, std::less<>>& known() const { return parts_.known; }

  struct Answer {
    DependencyReport report;
    int tries = 1;
    std::chrono::nanoseconds waited{0};
  };
  /// One question.
  Aw<Answer> check(std::string name, OutsideService service) const;
  /// All that are known, at the same time.
  Aw<Health::Report> check_all() const;
  /// Asks again after 1, 2, 4, 8, 16, 16 … seconds until it is healthy or `most` has passed.
  Aw<Answer> wait(std::string name, OutsideService service, std::chrono::nanoseconds most) const;

 private:
  Dependency dependency(std::string name, OutsideService service) const;

  const Parts parts_;
};

/// The pause after so many failed tries (from 1): 1, 2, 4, 8, then always 16 seconds.
std::chrono::seconds pause_after(int tries);

/// Asks by HTTP with the client of the loop; `clients` outlives it.
OutsideServices::Ask ask_by_http(std::function<http::Client&()> client);

}  // namespace asahi::memory
