#include "gateway/alerts/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/ids.h"
#include "base/policy/retry.h"

namespace asahi::gateway::alerts {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostJobs = 100;
constexpr std::size_t kMostUnsaved = 1'000;
constexpr std::chrono::hours kStale{1};  ///< no process has seen it since: it ended
constexpr std::chrono::days kKept{90};
constexpr int kCostDays = 7;
constexpr std::chrono::seconds kLongestStop{5};
constexpr int kHistoryReuse = 12;  ///< analyses, an hour by default

milliseconds ms_of_seconds(double seconds) {
  return milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

Clock::Time midnight(Clock::Time now) { return std::chrono::floor<std::chrono::days>(now); }

}  // namespace

Notifier::Notifier(Parts parts)
    : parts_(std::move(parts)),
      store_(parts_.database),
      rules_(parts_.config),
      book_(parts_.config, parts_.sender.node),
      background_(parts_.loops.at(0)) {}

Result<std::unique_ptr<Notifier>> Notifier::make(Parts parts) {
  std::unique_ptr<Notifier> made(new Notifier(std::move(parts)));
  const Parts& own = made->parts_;
  ASAHI_TRY(made->channels_, Channels::make({own.config, own.sender, own.clients, own.clock}));
  return made;
}

void Notifier::observe(const InferenceEvent& event) {
  requests_.fetch_add(1, std::memory_order_relaxed);
  if (is_failure(event)) failures_.fetch_add(1, std::memory_order_relaxed);
  if (event.event_type != "inference") return;
  lookups_.fetch_add(1, std::memory_order_relaxed);
  if (event.cache_hit) hits_.fetch_add(1, std::memory_order_relaxed);
}

void Notifier::start() {
  if (!parts_.config.enabled) return;
  background_.run("alerts", [this](net::Background::Sleep sleep) { return run(std::move(sleep)); });
}

void Notifier::stop() {
  channels_->stop();
  background_.stop(kLongestStop);
}

Aw<void> Notifier::run(net::Background::Sleep sleep) {
  const auto pause = ms_of_seconds(parts_.config.check_seconds);
  while (co_await sleep(pause)) co_await look();
}

Aw<void> Notifier::look() {
  if (!restored_) co_await read_open_alerts();
  const Clock::Steady now = parts_.clock.steady_now();
  if (analysed_ == Clock::Steady{} ||
      now - analysed_ >= ms_of_seconds(parts_.config.analysis_seconds)) {
    analysed_ = now;
    co_await analyse();
  }
  Facts facts = slow_;
  facts.counts = {.requests = requests_, .failures = failures_, .lookups = lookups_, .hits = hits_};
  parts_.facts(facts);
  std::vector<Finding> findings = rules_.look(facts, parts_.clock.steady_now());
  findings.insert(findings.end(), further_.begin(), further_.end());
  Book::Changes changes = book_.update(findings, parts_.clock.now(), parts_.clock.steady_now());
  co_await keep(changes);
  for (const Notice& notice : changes.notices) notify(notice);
}

Aw<void> Notifier::read_open_alerts() {
  auto open = co_await store_.open_of(parts_.sender.node);
  if (!open) co_return;  // tried again at the next look
  restored_ = true;
  for (const Alert& alert : *open) book_.restore(alert, parts_.clock.steady_now());
}

Aw<void> Notifier::analyse() {
  slow_.token_ratios.clear();
  for (const telemetry::FamilySnapshot& family : parts_.metrics.collect()) {
    if (family.name != "asahi_token_estimate_ratio") continue;
    for (const telemetry::Sample& sample : family.samples) {
      if (!sample.labels.empty())
        slow_.token_ratios.push_back({sample.labels.front().second, sample.value});
    }
  }
  co_await read_costs();
  if (parts_.further) {
    if (auto found = co_await parts_.further()) further_ = *std::move(found);
  }
  const Clock::Time now = parts_.clock.now();
  (void)co_await store_.tidy(now, now - kStale, now - kKept);
}

Aw<void> Notifier::read_costs() {
  const Clock::Time today = midnight(parts_.clock.now());
  const std::string name = format_date(today);
  // The days before hardly change: rows that come late after an outage of the database.
  if (history_day_ != name || ++history_age_ >= kHistoryReuse) {
    auto past = co_await store_.costs(today - std::chrono::days(kCostDays), today);
    if (!past) co_return;
    history_.clear();
    std::map<std::string, std::string> first;
    for (const Store::DayCost& cost : *past) {
      history_[cost.org_id].average += cost.cost;
      std::string& day = first[cost.org_id];
      if (day.empty() || cost.day < day) day = cost.day;
    }
    for (auto& [org, cost] : history_) {
      for (int days = kCostDays; days > 0 && cost.days == 0; --days) {
        if (format_date(today - std::chrono::days(days)) >= first[org]) cost.days = days;
      }
      cost.org_id = org;
      if (cost.days > 0) cost.average /= cost.days;
    }
    history_day_ = name;
    history_age_ = 0;
  }
  auto now = co_await store_.costs(today, today + std::chrono::days(1));
  if (!now) co_return;
  slow_.costs.clear();
  for (const Store::DayCost& cost : *now) {
    const auto known = history_.find(cost.org_id);
    if (known == history_.end() || cost.org_id.empty()) continue;
    Facts::OrgCost& org = slow_.costs.emplace_back(known->second);
    org.today = cost.cost;
  }
}

Aw<void> Notifier::keep(Book::Changes& changes) {
  for (const Alert& alert : changes.fresh) {
    logger_.write(alert.severity >= Severity::kHigh ? LogLevel::kError : LogLevel::kWarning,
                  "alert",
                  {{"alert", alert.id},
                   {"kind", alert.kind},
                   {"severity", to_string(alert.severity)},
                   {"title", alert.title}});
    auto stored = co_await store_.insert(alert);
    if (stored && !*stored) {
      // Another process tells this one.
      book_.leave_to_others(alert.key());
      std::erase_if(changes.notices,
                    [&](const Notice& notice) { return notice.alert.id == alert.id; });
      continue;
    }
    parts_.metrics
        .counter("asahi_alerts_total", "Alerts that began",
                 {{"kind", alert.kind}, {"severity", std::string(to_string(alert.severity))}})
        .add();
    if (!stored && unsaved_.size() < kMostUnsaved) unsaved_[alert.id] = alert;
  }
  for (const Alert& alert : changes.changed) {
    if (alert.resolved_at)
      logger_.info("alert over", {{"alert", alert.id}, {"title", alert.title}});
    if (const auto waiting = unsaved_.find(alert.id); waiting != unsaved_.end()) {
      waiting->second = alert;
      continue;
    }
    auto saved = co_await store_.save(alert);
    if (saved) continue;
    if (saved.error().code == Errc::kConflict) {
      book_.leave_to_others(alert.key());
    } else if (const auto held_back = database_outage_.pass(parts_.clock.steady_now())) {
      logger_.warning("an alert could not be stored",
                      {{"error", saved.error().message}, {"suppressed", *held_back}});
    }
  }
  if (!unsaved_.empty()) co_await save_later();
}

Aw<void> Notifier::save_later() {
  while (!unsaved_.empty()) {
    const Alert alert = unsaved_.begin()->second;
    if (!co_await store_.insert(alert)) co_return;
    unsaved_.erase(alert.id);
  }
}

void Notifier::notify(const Notice& notice) {
  auto round = std::make_shared<Round>(Round{.key = notice.alert.key()});
  for (const Channel channel : channels_->all()) {
    if (!Channels::wants(channel, notice.alert.severity)) continue;
    Lane& lane = lanes_[static_cast<std::size_t>(channel)];
    if (lane.jobs.size() >= kMostJobs) {
      count(channel, "dropped");
      continue;
    }
    ++round->left;
    lane.jobs.push_back({notice, round});
    if (std::exchange(lane.running, true)) continue;
    background_.run(
        "alerts to " + std::string(to_string(channel)),
        [this, channel](net::Background::Sleep sleep) { return drain(channel, std::move(sleep)); });
  }
}

Aw<void> Notifier::drain(Channel channel, net::Background::Sleep sleep) {
  Lane& lane = lanes_[static_cast<std::size_t>(channel)];
  while (!lane.jobs.empty() && !background_.stopping()) {
    const Job job = std::move(lane.jobs.front());
    lane.jobs.pop_front();
    const Result<void> sent = co_await deliver(channel, job.notice, sleep);
    count(channel, sent ? "delivered" : "failed");
    if (!sent && !background_.stopping()) {
      logger_.warning("a notification was not delivered", {{"channel", to_string(channel)},
                                                           {"alert", job.notice.alert.id},
                                                           {"error", sent.error().message}});
    }
    job.round->delivered |= sent.has_value();
    const bool last = --job.round->left == 0;
    if (last && !job.round->delivered && job.notice.what == Notice::What::kTriggered)
      book_.untold(job.round->key);
  }
  lane.running = false;
}

Aw<Result<void>> Notifier::deliver(Channel channel, Notice notice, net::Background::Sleep sleep) {
  const RetryPolicy policy{.max_attempts = parts_.config.max_attempts,
                           .base = milliseconds(1'000),
                           .cap = milliseconds(60'000)};
  for (int attempt = 1;; ++attempt) {
    Result<void> sent = co_await channels_->send(channel, notice, &background_.cancel_source());
    if (sent || background_.stopping()) co_return sent;
    const double jitter = static_cast<double>(random_u64() % 1'000) / 1'000;
    const auto pause = retry_delay(policy, attempt, sent.error(), jitter, std::chrono::minutes(10));
    if (!pause || !co_await sleep(*pause)) co_return sent;
  }
}

void Notifier::count(Channel channel, std::string outcome) {
  parts_.metrics
      .counter("asahi_alert_notifications_total", "Notifications by what became of them",
               {{"channel", std::string(to_string(channel))}, {"outcome", std::move(outcome)}})
      .add();
}

Aw<std::vector<Notifier::Delivery>> Notifier::test(std::string by) {
  Notice notice{.what = Notice::What::kTest, .alert = {}};
  Alert& alert = notice.alert;
  const Clock::Time now = parts_.clock.now();
  alert.id = "alt_" + make_ulid(now);
  alert.kind = "test";
  alert.subject = alert.id;
  alert.node = parts_.sender.node;
  alert.severity = Severity::kHigh;
  alert.title = "This is a test";
  alert.message = fmt::format("{} asked for it. Nothing is wrong.", by);
  alert.fired_at = alert.last_seen_at = now;
  std::vector<Delivery> results;
  for (const Channel channel : channels_->all()) {
    Result<void> sent = co_await channels_->send(channel, notice, nullptr);
    results.push_back({channel, std::move(sent)});
  }
  co_return results;
}

Task<void> Notifier::send_digest() {
  if (!channels_->has(Channel::kEmail)) co_return Result<void>{};
  const Clock::Time yesterday = midnight(parts_.clock.now()) - std::chrono::days(1);
  ASAHI_CO_TRY(const Digest digest, co_await store_.digest(yesterday));
  auto sent = co_await channels_->send_mail(digest_mail(digest, parts_.sender));
  count(Channel::kEmail, sent ? "delivered" : "failed");
  co_return sent;
}

}  // namespace asahi::gateway::alerts
