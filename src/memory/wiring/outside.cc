#include "memory/wiring/outside.h"

#include <utility>

#include "base/log.h"
#include "net/mcp/client.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kReplyBytes = 4 << 20;
constexpr std::chrono::seconds kLongestStop{15};

}  // namespace

Outside::Outside(Parts parts)
    : parts_(std::move(parts)),
      clients_(parts_.loops,
               [](net::Loop& loop) {
                 return std::make_unique<http::Client>(
                     loop, http::ClientOptions{.max_response_bytes = kReplyBytes});
               }),
      runs_(parts_.database),
      services_(std::make_unique<OutsideServices>(OutsideServices::Parts{
          .known = parts_.config.dependencies,
          .ask = ask_by_http([this]() -> http::Client& { return clients_.local(); }),
          .sleep = [](std::chrono::nanoseconds time) -> Aw<void> {
            (void)co_await net::Loop::current()->sleep_for(time);
          },
          .clock = parts_.clock})) {}

Outside::~Outside() { stop(); }

Result<std::unique_ptr<Outside>> Outside::make(Parts parts) {
  std::unique_ptr<Outside> made(new Outside(std::move(parts)));
  if (auto ok = made->make_orchestrator(); !ok) return std::unexpected(ok.error());
  return made;
}

Result<void> Outside::make_orchestrator() {
  const auto& settings = parts_.config.orchestrator;
  Orchestrator::Parts calls{
      .hello = {},
      .call = {},
      .here =
          [ingest = parts_.ingest](Workflow workflow) {
            // Memories age on their own schedule and health is watched here
            // whether or not anybody asks for it.
            if (workflow == Workflow::kDailyIngest && ingest) ingest();
          },
      .claim = [this](std::string workflow, Clock::Time due,
                      Clock::Time now) { return runs_.claim(std::move(workflow), due, now); },
      .metrics = parts_.metrics,
      .clock = parts_.clock};
  if (!settings.url.empty()) {
    auto client = mcp::Client::make({.url = settings.url,
                                     .bearer = settings.api_key,
                                     .name = "akosha",
                                     .version = parts_.version},
                                    [this](http::ClientRequest request, http::CallOptions options) {
                                      return clients_.local().send(std::move(request), options);
                                    });
    if (!client) return fail_field("memory.orchestrator.url", client.error().message);
    const auto shared = std::make_shared<const mcp::Client>(*std::move(client));
    calls.hello = [shared] { return shared->hello(); };
    calls.call = [shared](std::string tool, json::object arguments) {
      return shared->call(std::move(tool), std::move(arguments));
    };
  }
  orchestrator_ = std::make_unique<Orchestrator>(
      std::move(calls), Orchestrator::Options{.configured = !settings.url.empty(),
                                              .starts_workflows = parts_.ingest != nullptr,
                                              .daily_ingest = settings.daily_ingest_schedule,
                                              .tier_transition = parts_.config.aging.schedule});
  return {};
}

void Outside::start() {
  if (!orchestrator_->status().configured) return;
  {
    const std::scoped_lock lock(mutex_);
    ++running_;
  }
  net::Loop& loop = parts_.loops.at(0);
  loop.spawn("orchestrator", [this, &loop]() -> Aw<void> {
    co_await orchestrator_->run(
        [this, &loop](std::chrono::nanoseconds time) { return loop.sleep_for(time, &stopping_); });
    const std::scoped_lock lock(mutex_);
    --running_;
    idle_.notify_all();
  });
}

void Outside::stop() {
  std::unique_lock lock(mutex_);
  if (running_ == 0) return;
  parts_.loops.at(0).post([this] { stopping_.cancel(); });
  if (!idle_.wait_for(lock, kLongestStop, [this] { return running_ == 0; }))
    Logger("memory").error("the orchestrator's calls did not end in time");
}

std::vector<sql::Migration> outside_migrations() { return {workflow_runs_migration()}; }

}  // namespace asahi::memory
