#include "memory/ops/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kServesAgain{1};

double ms_of(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

bool Health::Report::ready() const {
  return std::ranges::all_of(dependencies,
                             [](const auto& one) { return one.healthy || !one.required; });
}

bool Health::Report::whole() const {
  return std::ranges::all_of(dependencies, &DependencyReport::healthy);
}

Aw<Health::Report> Health::look() {
  {
    const std::scoped_lock lock(mutex_);
    if (!last_.dependencies.empty() && clock_.steady_now() - asked_ < kServesAgain) co_return last_;
  }
  Report report = co_await ask();
  const std::scoped_lock lock(mutex_);
  last_ = report;
  asked_ = clock_.steady_now();
  co_return report;
}

Aw<Health::Report> Health::ask() const {
  // Lives until the slowest has answered, though nobody may wait for it any more.
  struct Asked {
    explicit Asked(net::Loop& loop, std::size_t count) : done(loop), answers(count) {}
    net::Event done;
    std::vector<std::optional<Result<void>>> answers;
    std::vector<std::chrono::nanoseconds> took;
    std::size_t waiting = 0;
  };
  net::Loop& loop = *net::Loop::current();
  const auto asked = std::make_shared<Asked>(loop, dependencies_.size());
  asked->took.resize(dependencies_.size(), patience_);
  asked->waiting = dependencies_.size();
  for (std::size_t i = 0; i < dependencies_.size(); ++i) {
    loop.spawn("health of a dependency",
               [](std::shared_ptr<Asked> state, std::function<Task<void>()> ask_one,
                  std::size_t at) -> Aw<void> {
                 const auto begun = std::chrono::steady_clock::now();
                 auto answer = co_await ask_one();
                 state->took[at] = std::chrono::steady_clock::now() - begun;
                 state->answers[at] = std::move(answer);
                 if (--state->waiting == 0) state->done.set();
               }(asked, dependencies_[i].ask, i));
  }
  if (asked->waiting > 0) {
    const auto timer =
        loop.at(std::chrono::steady_clock::now() + patience_, [asked] { asked->done.set(); });
    co_await asked->done.wait();
  }
  Report report;
  report.at = clock_.now();
  for (std::size_t i = 0; i < dependencies_.size(); ++i) {
    const auto& answer = asked->answers[i];
    DependencyReport one{.name = dependencies_[i].name,
                         .required = dependencies_[i].required,
                         .healthy = answer && *answer,
                         .latency = asked->took[i]};
    if (!answer) {
      one.error = fmt::format("no answer within {} ms", patience_.count());
    } else if (!*answer) {
      one.error = answer->error().message;
    }
    report.dependencies.push_back(std::move(one));
  }
  co_return report;
}

json::object health_json(const Health::Report& report) {
  json::object dependencies;
  for (const DependencyReport& one : report.dependencies) {
    dependencies[one.name] = json::object{{"status", one.healthy ? "healthy" : "unavailable"},
                                          {"required", one.required},
                                          {"latency_ms", ms_of(one.latency)}};
  }
  const char* status = report.whole() ? "ready" : report.ready() ? "degraded" : "unavailable";
  return {{"status", status}, {"dependencies", std::move(dependencies)}};
}

}  // namespace asahi::memory
