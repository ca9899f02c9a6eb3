#include "memory/fitness/analyzer.h"

#include <algorithm>
#include <map>
#include <set>

#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory::fitness {
namespace {

constexpr const char* kPollsHelp = "Questions to components about their traces, by outcome.";
constexpr const char* kBufferedHelp = "Routing figures that wait to be written.";
constexpr const char* kWritesHelp = "Routing figures, by what became of them.";
constexpr const char* kSamplesHelp = "Traces of components, by whether they could be used.";

json::value time_json(const std::optional<Clock::Time>& time) {
  return time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
}

}  // namespace

/// What a round has heard so far, by organisation.
struct Analyzer::Asked {
  explicit Asked(net::Loop& loop) : done(loop) {}
  net::Event done;
  std::size_t left = 0, failed = 0, malformed = 0;
  std::map<std::string, Figures> figures;
};

Analyzer::Analyzer(Parts parts, Options options) : parts_(std::move(parts)), options_(options) {
  for (std::size_t i = 0; i < parts_.components.size(); ++i) states_.emplace_back(parts_.clock);
  parts_.metrics.gauge("akosha_fitness_buffered", kBufferedHelp).set(0);
}

void Analyzer::count(const char* family, const char* help, telemetry::Labels labels,
                     std::size_t by) {
  if (by > 0) parts_.metrics.counter(family, help, std::move(labels)).add(static_cast<double>(by));
}

void Analyzer::note(std::size_t component, const Result<Samples>& outcome) {
  State& state = states_[component];
  const std::string& name = parts_.components[component].name;
  bool changed = false;
  {
    const std::scoped_lock lock(mutex_);
    changed = state.error.has_value() == outcome.has_value();
    (outcome ? state.last_success : state.last_failure) = parts_.clock.now();
    state.error = outcome ? std::nullopt : std::optional(outcome.error().code);
  }
  if (outcome) {
    state.circuit.succeeded();
  } else {
    state.circuit.failed();
  }
  count("akosha_fitness_polls_total", kPollsHelp,
        {{"component", name}, {"outcome", outcome ? "success" : "failure"}}, 1);
  if (!changed) return;
  if (outcome) {
    logger_.info("a component tells of its traces again", {{"component", name}});
  } else {
    logger_.warning("a component does not tell of its traces",
                    {{"component", name}, {"error", outcome.error().message}});
  }
}

Aw<void> Analyzer::poll(std::size_t component, Clock::Time from, std::shared_ptr<Asked> into) {
  const Component& whom = parts_.components[component];
  for (const std::string_view task_class : kTaskClasses) {
    if (ending_) co_return;
    if (!states_[component].circuit.allow()) {
      count("akosha_fitness_polls_total", kPollsHelp,
            {{"component", whom.name}, {"outcome", "rejected"}}, 1);
      ++into->failed;
      co_return;
    }
    const auto reply = co_await parts_.ask(component, {{"system_id", whom.system_id},
                                                       {"task_class", task_class},
                                                       {"start_time", format_rfc3339(from)},
                                                       {"limit", options_.most_samples}});
    Result<Samples> samples = Samples();
    if (reply) {
      samples = samples_of(*reply, task_class, from, options_.most_samples);
    } else {
      samples = std::unexpected(reply.error());
    }
    note(component, samples);
    if (!samples) {
      // It is asked again in a minute; what it said of other classes counts.
      ++into->failed;
      co_return;
    }
    into->malformed += samples->malformed;
    into->figures[whom.tenant].add(whom.name, task_class, *samples);
  }
}

Aw<void> Analyzer::ask_all(std::shared_ptr<Asked> asked, Clock::Time from,
                           const std::vector<std::size_t>& whom) {
  asked->left = whom.size();
  for (const std::size_t component : whom) {
    net::Loop::current()->spawn("traces of a component",
                                [](Analyzer* self, std::size_t which, Clock::Time since,
                                   std::shared_ptr<Asked> into) -> Aw<void> {
                                  co_await self->poll(which, since, into);
                                  if (--into->left == 0) into->done.set();
                                }(this, component, from, asked));
  }
  // Each call has its own end.
  if (asked->left > 0) co_await asked->done.wait();
}

void Analyzer::buffer(Written figure) {
  const std::string path = figure.figure.path();
  const auto same = std::ranges::find_if(waiting_, [&](const Waiting& one) {
    return one.figure.tenant == figure.tenant && one.figure.figure.path() == path;
  });
  if (same != waiting_.end()) waiting_.erase(same);
  if (waiting_.size() >= options_.most_buffered) {
    waiting_.pop_front();
    count("akosha_fitness_writes_total", kWritesHelp, {{"outcome", "dropped"}}, 1);
    const std::scoped_lock lock(mutex_);
    ++dropped_;
  }
  waiting_.push_back({std::move(figure), 0});
}

Aw<std::size_t> Analyzer::flush() {
  if (waiting_.empty()) co_return 0;
  std::vector<Written> figures;
  for (const Waiting& one : waiting_) figures.push_back(one.figure);
  const auto written = co_await parts_.write(std::move(figures));
  const std::size_t all = waiting_.size();
  if (written) {
    waiting_.clear();
    count("akosha_fitness_writes_total", kWritesHelp, {{"outcome", "written"}}, all);
    co_return all;
  }
  for (Waiting& one : waiting_) ++one.tries;
  const auto gone = std::erase_if(
      waiting_, [this](const Waiting& one) { return one.tries >= options_.most_writes; });
  count("akosha_fitness_writes_total", kWritesHelp, {{"outcome", "failed"}}, all);
  count("akosha_fitness_writes_total", kWritesHelp, {{"outcome", "dropped"}}, gone);
  logger_.warning(
      "routing figures are not written",
      {{"error", written.error().message}, {"waiting", waiting_.size()}, {"dropped", gone}});
  const std::scoped_lock lock(mutex_);
  dropped_ += gone;
  co_return 0;
}

Aw<Analyzer::Round> Analyzer::run_round(std::optional<std::string> tenant) {
  Round round;
  if (running_.exchange(true)) co_return round;
  struct Ended {
    std::atomic<bool>& running;
    ~Ended() { running = false; }
  } const ended{running_};
  round.ran = true;
  const Clock::Time now = parts_.clock.now(), from = now - options_.window;
  std::vector<std::size_t> whom;
  for (std::size_t i = 0; i < parts_.components.size(); ++i) {
    if (!tenant || parts_.components[i].tenant == *tenant) whom.push_back(i);
  }
  const auto asked = std::make_shared<Asked>(*net::Loop::current());
  co_await ask_all(asked, from, whom);
  round.polled = whom.size();
  round.failed = asked->failed;
  round.malformed = asked->malformed;
  for (auto& [owner, figures] : asked->figures) {
    round.samples += figures.samples();
    for (Figure& figure : figures.figures()) {
      round.figures.push_back(figure);
      buffer({.tenant = owner, .figure = std::move(figure), .from = from, .computed_at = now});
    }
  }
  round.written = co_await flush();
  round.buffered = waiting_.size();
  count("akosha_fitness_samples_total", kSamplesHelp, {{"outcome", "used"}}, round.samples);
  count("akosha_fitness_samples_total", kSamplesHelp, {{"outcome", "malformed"}}, round.malformed);
  parts_.metrics.gauge("akosha_fitness_buffered", kBufferedHelp)
      .set(static_cast<double>(round.buffered));
  {
    const std::scoped_lock lock(mutex_);
    last_run_ = now;
    last_samples_ = round.samples;
    buffered_ = round.buffered;
    ++rounds_;
  }
  co_return round;
}

Aw<void> Analyzer::tick() {
  const Clock::Time now = parts_.clock.now();
  if (!parts_.components.empty()) {
    // A little less than the pause, or a process whose clock is late would miss every second turn.
    const auto mine = co_await parts_.claim(now, options_.poll_every * 9 / 10);
    if (mine && *mine) {
      (void)co_await run_round(std::nullopt);
    } else if (!mine) {
      logger_.warning("no routing figures are made: the database is away",
                      {{"error", mine.error().message}});
    }
  }
  if (const auto swept = co_await parts_.sweep(now); !swept)
    logger_.warning("old traces stay", {{"error", swept.error().message}});
}

Aw<void> Analyzer::run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep) {
  do co_await tick();
  while (co_await sleep(options_.poll_every));
}

json::object Analyzer::status(const std::string& tenant) const {
  json::array classes, components;
  for (const std::string_view name : kTaskClasses) classes.emplace_back(name);
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const Component& whom = parts_.components[i];
    if (whom.tenant != tenant) continue;
    const State& state = states_[i];
    components.push_back(json::object{
        {"name", whom.name},
        {"system_id", whom.system_id},
        {"circuit", state_name(state.circuit.stats().state)},
        {"last_success", time_json(state.last_success)},
        {"last_failure", time_json(state.last_failure)},
        {"error", state.error ? json::value(to_string(*state.error)) : json::value(nullptr)}});
  }
  return {{"enabled", !components.empty()},
          {"running", running_.load()},
          {"poll_seconds", options_.poll_every.count()},
          {"window_minutes", options_.window.count()},
          {"task_classes", std::move(classes)},
          {"components", std::move(components)},
          {"rounds", rounds_},
          {"last_run", time_json(last_run_)},
          {"last_samples", last_samples_},
          {"buffered", buffered_},
          {"dropped", dropped_}};
}

std::vector<std::pair<std::string, CircuitStats>> Analyzer::circuits() const {
  std::vector<std::pair<std::string, CircuitStats>> all;
  for (std::size_t i = 0; i < states_.size(); ++i)
    all.emplace_back("fitness:" + parts_.components[i].name, states_[i].circuit.stats());
  return all;
}

}  // namespace asahi::memory::fitness
