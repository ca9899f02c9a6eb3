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
          .clock = parts_.clock})),
      background_(parts_.loops.at(0)) {}

Outside::~Outside() { stop(); }

Result<std::unique_ptr<Outside>> Outside::make(Parts parts) {
  std::unique_ptr<Outside> made(new Outside(std::move(parts)));
  if (auto ok = made->make_orchestrator(); !ok) return std::unexpected(ok.error());
  if (auto ok = made->make_queue(); !ok) return std::unexpected(ok.error());
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

Result<void> Outside::make_queue() {
  const auto& settings = parts_.config.ingestion;
  if (settings.queue_url.empty() || !parts_.notice) return {};
  auto made = UploadQueue::make(
      {.url = settings.queue_url,
       .dead_letter_url = settings.dead_letter_url,
       .signer = {.access_key_id = settings.access_key_id,
                  .secret_access_key = settings.secret_access_key,
                  .session_token = {},
                  .region = settings.region.empty() ? "us-east-1" : settings.region,
                  .service = "sqs"}},
      [this](http::ClientRequest request, http::CallOptions options) {
        options.cancel = &background_.cancel_source();
        return clients_.local().send(std::move(request), options);
      },
      parts_.clock);
  if (!made) return fail_field("memory.ingestion.queue_url", made.error().message);
  queue_ = std::make_unique<UploadQueue>(*std::move(made));
  listener_ = std::make_unique<QueueListener>(
      QueueListener::Parts{
          .receive = [queue = queue_.get()] { return queue->receive(); },
          .remove =
              [queue = queue_.get()](std::vector<QueueMessage> messages) {
                return queue->remove(std::move(messages));
              },
          .bury = [queue = queue_.get()](
                      QueueMessage message) { return queue->bury(std::move(message)); },
          .notice = parts_.notice,
          .metrics = parts_.metrics,
          .clock = parts_.clock},
      QueueListener::Options{});
  return {};
}

std::vector<std::pair<std::string, CircuitStats>> Outside::circuits() const {
  std::vector<std::pair<std::string, CircuitStats>> all;
  if (orchestrator_->status().configured)
    all.emplace_back("orchestrator", orchestrator_->circuit());
  if (listener_ != nullptr) all.emplace_back("queue", listener_->circuit());
  return all;
}

void Outside::start() {
  using Sleep = net::Background::Sleep;
  if (orchestrator_->status().configured) {
    background_.run("orchestrator",
                    [this](Sleep sleep) { return orchestrator_->run(std::move(sleep)); });
  }
  if (listener_ != nullptr) {
    background_.run("queue of the bucket",
                    [this](Sleep sleep) { return listener_->run(std::move(sleep)); });
  }
}

void Outside::stop() {
  if (!background_.stop(kLongestStop))
    Logger("memory").error("calls of services outside did not end in time");
}

std::vector<sql::Migration> outside_migrations() { return {workflow_runs_migration()}; }

}  // namespace asahi::memory
