#include "memory/wiring/fitness.h"

#include "base/log.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kReplyBytes = 4 << 20;
constexpr std::chrono::seconds kLongestStop{15};
constexpr std::chrono::minutes kSweepEvery{5};

}  // namespace

FitnessWiring::FitnessWiring(Parts parts)
    : parts_(std::move(parts)),
      clients_(parts_.loops,
               [](net::Loop& loop) {
                 return std::make_unique<http::Client>(
                     loop, http::ClientOptions{.max_response_bytes = kReplyBytes});
               }),
      traces_(parts_.database, parts_.metrics,
              {.kept = std::chrono::hours(parts_.config.traces.retention_hours),
               .most = parts_.config.traces.most}),
      figures_(parts_.database),
      background_(parts_.loops.at(0)) {}

FitnessWiring::~FitnessWiring() { stop(); }

Result<std::unique_ptr<FitnessWiring>> FitnessWiring::make(Parts parts) {
  std::unique_ptr<FitnessWiring> made(new FitnessWiring(std::move(parts)));
  if (auto ok = made->make_analyzer(); !ok) return std::unexpected(ok.error());
  return made;
}

Result<void> FitnessWiring::make_analyzer() {
  const auto& settings = parts_.config.fitness;
  std::vector<fitness::Component> components;
  for (const auto& [name, one] : settings.components) {
    auto client = mcp::Client::make({.url = one.url,
                                     .bearer = one.token,
                                     .name = "akosha",
                                     .version = parts_.version,
                                     .timeout = std::chrono::seconds(settings.timeout_seconds)},
                                    [this](http::ClientRequest request, http::CallOptions options) {
                                      return clients_.local().send(std::move(request), options);
                                    });
    if (!client)
      return fail_field("memory.fitness.components." + name + ".url", client.error().message);
    components_.push_back(*std::move(client));
    components.push_back({.name = name, .tenant = one.org_id, .system_id = one.system_id});
  }
  analyzer_ = std::make_unique<fitness::Analyzer>(
      fitness::Analyzer::Parts{.components = std::move(components),
                               .ask =
                                   [this](std::size_t component, json::object arguments) {
                                     return components_[component].call("query_local_traces",
                                                                        std::move(arguments));
                                   },
                               .write =
                                   [this](std::vector<fitness::Written> figures) {
                                     return figures_.write(std::move(figures));
                                   },
                               .claim =
                                   [this](Clock::Time now, std::chrono::milliseconds period) {
                                     return figures_.claim("round", now, period);
                                   },
                               .sweep = [this](Clock::Time now) { return sweep(now); },
                               .metrics = parts_.metrics,
                               .clock = parts_.clock},
      fitness::Analyzer::Options{.poll_every = std::chrono::seconds(settings.poll_seconds),
                                 .window = std::chrono::minutes(settings.window_minutes)});
  fitness_ = std::make_unique<fitness::Fitness>(
      fitness::Fitness{traces_, figures_, *analyzer_, parts_.clock});
  return {};
}

Task<std::uint64_t> FitnessWiring::sweep(Clock::Time now) {
  ASAHI_CO_TRY(const bool mine, co_await figures_.claim("sweep", now, kSweepEvery));
  if (!mine) co_return 0;
  ASAHI_CO_TRY(const std::uint64_t figures,
               co_await figures_.sweep(now - analyzer_->options().forgotten_after));
  ASAHI_CO_TRY(const std::uint64_t traces, co_await traces_.sweep(now));
  co_return figures + traces;
}

void FitnessWiring::start() {
  background_.run("routing fitness", [this](net::Background::Sleep sleep) {
    return analyzer_->run(std::move(sleep));
  });
}

void FitnessWiring::stop() {
  if (analyzer_ != nullptr) analyzer_->end();  // null: make() failed
  if (!background_.stop(kLongestStop))
    Logger("memory").error("questions to components did not end in time");
}

std::vector<sql::Migration> fitness_migrations() {
  return {fitness::trace_migration(), fitness::fitness_migration()};
}

}  // namespace asahi::memory
