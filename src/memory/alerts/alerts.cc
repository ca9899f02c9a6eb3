#include "memory/alerts/alerts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/address.h"
#include "net/http/url.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kSettingsHold{30};
constexpr std::size_t kMostUrl = 2000;
constexpr std::size_t kMostLanes = 20'000;
constexpr std::size_t kAtOnce = 500;  ///< rows of history in one statement batch
constexpr std::size_t kPatternsOfTenant = 1000;
constexpr std::chrono::seconds kLongestStop{10};

http::ClientOptions guarded(bool allow_private) {
  http::ClientOptions options;
  options.max_response_bytes = 64 * 1024;
  if (!allow_private) options.allows = net::is_public_address;
  return options;
}

std::string_view anomaly_severity(series::Severity severity) {
  switch (severity) {
    case series::Severity::kInfo:
      return "low";
    case series::Severity::kWarning:
      return "medium";
    case series::Severity::kError:
      return "high";
    case series::Severity::kCritical:
      return "critical";
  }
  return "low";
}

json::object about_json(const series::Alert& alert) {
  json::object about;
  for (const auto& [name, value] : alert.about) about[name] = value;
  about["value"] = alert.value;
  if (alert.threshold) about["threshold"] = *alert.threshold;
  return about;
}

Result<void> judge(const http::ClientResponse& reply) {
  if (reply.status / 100 == 2) return {};
  const std::string said = fmt::format("the webhook answered {}", reply.status);
  const bool later = reply.status >= 500 || reply.status == 408 || reply.status == 429;
  return fail(later ? Errc::kUnavailable : Errc::kInvalidArgument, said);
}

}  // namespace

Alerts::Alerts(Parts parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      guarded_(parts.loop, guarded(options_.allow_private)),
      plain_(parts.loop, guarded(true)),
      dropped_(parts.metrics.counter("akosha_alert_observations_dropped_total",
                                     "Observations that the full queue did not take.")),
      delivered_count_(parts.metrics.counter("akosha_alert_deliveries_total",
                                             "Alerts sent to webhooks by outcome.",
                                             {{"outcome", "delivered"}})),
      failed_count_(parts.metrics.counter("akosha_alert_deliveries_total",
                                          "Alerts sent to webhooks by outcome.",
                                          {{"outcome", "failed"}})),
      lost_count_(parts.metrics.counter("akosha_alert_deliveries_total",
                                        "Alerts sent to webhooks by outcome.",
                                        {{"outcome", "dropped"}})),
      background_(parts.loop) {}

Alerts::~Alerts() = default;

void Alerts::start() {
  const std::scoped_lock lock(mutex_);
  stopped_ = false;
}

void Alerts::stop() {
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  if (!background_.stop(kLongestStop))
    logger_.error("alerts did not stop in time: the database or the loop does not answer");
}

void Alerts::observe(std::string tenant, series::Observation observation) {
  // stop() does not return between the queue's turn and the work's.
  const net::Background::Mark mark(background_);
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;
    if (queue_.size() >= options_.queue) {
      dropped_.add();
      return;
    }
    queue_.push_back({std::move(tenant), std::move(observation)});
    wake = !std::exchange(scheduled_, true);
  }
  if (wake) background_.run("alerts", [this](const net::Background::Sleep&) { return work(); });
}

void Alerts::set_repeat_window(std::chrono::nanoseconds window) {
  {
    const std::scoped_lock lock(mutex_);
    options_.repeat_window = window;
  }
  parts_.loop.post([this] { tenants_.clear(), tenant_order_.clear(); });
}

void Alerts::forget(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  forgotten_.push_back(tenant);
}

std::vector<std::pair<std::string, CircuitStats>> Alerts::circuits(
    const std::string& tenant) const {
  std::vector<std::pair<std::string, CircuitStats>> found;
  const std::scoped_lock lock(mutex_);
  for (const auto& [key, lane] : lanes_) {
    if (lane->tenant == tenant) found.emplace_back("webhook:" + lane->id, lane->circuit->stats());
  }
  return found;
}

Result<void> Alerts::check_url(const std::string& url) const {
  if (url.size() > kMostUrl)
    return fail_field("url", fmt::format("a URL has at most {} bytes", kMostUrl));
  const auto parsed = http::Url::parse(url);
  if (!parsed) return fail_field("url", parsed.error().message);
  const std::string& host = parsed->origin.host;
  if (host.starts_with("unix:")) return fail_field("url", "a webhook is at http:// or https://");
  // A name is judged when it is resolved, each time; an address can be judged now.
  const bool literal = host.find_first_not_of("0123456789.") == std::string::npos ||
                       host.find(':') != std::string::npos;
  if (!options_.allow_private && (host == "localhost" || literal) &&
      !net::is_public_address(host)) {
    return fail_field("url",
                      "this address is private; the operator can allow such webhooks with "
                      "memory.alerts.allow_private_webhooks");
  }
  return {};
}

std::shared_ptr<Alerts::Tenant> Alerts::tenant_of(const std::string& name) {
  if (const auto found = tenants_.find(name); found != tenants_.end()) return found->second;
  if (tenants_.size() >= options_.tenants) {
    tenants_.erase(tenant_order_.front());
    tenant_order_.pop_front();
  }
  tenant_order_.push_back(name);
  series::AlertConfig config;
  config.most_patterns = kPatternsOfTenant;
  {
    const std::scoped_lock lock(mutex_);
    config.repeat_window = options_.repeat_window;
  }
  auto made = std::make_shared<Tenant>(
      Tenant{.rules = series::AlertRules(std::move(config)), .webhooks = {}});
  tenants_.emplace(name, made);
  return made;
}

Aw<void> Alerts::refresh(const std::string& name, Tenant& tenant) {
  const Clock::Steady now = parts_.clock.steady_now();
  if (tenant.known && now - tenant.read < kSettingsHold) co_return;
  auto thresholds = co_await parts_.store.thresholds(name);
  auto webhooks = thresholds ? co_await parts_.store.webhooks(name)
                             : Result<std::vector<Webhook>>(std::vector<Webhook>{});
  tenant.read = now;
  if (!thresholds || !webhooks) {
    // What was known goes on to hold.
    if (const auto held = outage_.pass(now)) {
      logger_.error("the settings of alerts cannot be read",
                    {{"error", (thresholds ? webhooks.error() : thresholds.error()).message},
                     {"suppressed", *held}});
    }
    co_return;
  }
  for (std::size_t i = 0; i < thresholds->size(); ++i)
    (void)tenant.rules.set_threshold(static_cast<series::AlertType>(i), (*thresholds)[i]);
  tenant.webhooks = std::move(*webhooks);
  if (name == kInstallation && !options_.operators_url.empty())
    tenant.webhooks.push_back({.id = "configured", .url = options_.operators_url, .types = {}});
  tenant.known = true;
}

Aw<void> Alerts::work() {
  for (;;) {
    std::deque<Item> items;
    {
      const std::scoped_lock lock(mutex_);
      for (const std::string& name : std::exchange(forgotten_, {})) {
        if (const auto found = tenants_.find(name); found != tenants_.end())
          found->second->known = false;
      }
      if (queue_.empty() || stopped_) {
        queue_.clear();
        scheduled_ = false;
        co_return;
      }
      const std::size_t count = std::min(queue_.size(), kAtOnce);
      for (std::size_t i = 0; i < count; ++i) {
        items.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    std::vector<AlertStore::Row> rows;
    std::vector<std::shared_ptr<Tenant>> settings;
    for (const Item& item : items) {
      const std::shared_ptr<Tenant> tenant = tenant_of(item.tenant);
      co_await refresh(item.tenant, *tenant);
      const auto alert = tenant->rules.decide(item.observation, parts_.clock.now());
      if (!alert) continue;
      parts_.metrics
          .counter("akosha_alerts_total", "Alerts by type and severity.",
                   {{"alert_type", std::string(series::to_string(alert->type))},
                    {"severity", std::string(series::to_string(alert->severity))}})
          .add();
      publish(item.tenant, *alert);
      const bool wanted = std::ranges::any_of(
          tenant->webhooks, [&](const Webhook& one) { return one.wants(alert->type); });
      rows.push_back({item.tenant, *alert, wanted ? Told::kUnderWay : Told::kNobody});
      settings.push_back(tenant);
    }
    if (rows.empty()) continue;
    // The row comes first: a quick webhook must find it when its outcome is noted.
    if (const auto kept = co_await parts_.store.add(rows); !kept) {
      if (const auto held = outage_.pass(parts_.clock.steady_now())) {
        logger_.error("alerts are missing in the history",
                      {{"error", kept.error().message}, {"suppressed", *held}});
      }
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
      hand_out(rows[i].tenant, *settings[i], rows[i].alert);
  }
}

void Alerts::publish(const std::string& tenant, const series::Alert& alert) {
  const bool anomaly = alert.type == series::AlertType::kAnomalyDetected ||
                       alert.type == series::AlertType::kSpikeInErrors ||
                       alert.type == series::AlertType::kUnusualTraffic;
  if (anomaly) {
    parts_.hub.publish(tenant, "anomalies", "anomaly.detected",
                       {{"anomaly_id", alert.id},
                        {"anomaly_type", series::to_string(alert.type)},
                        {"severity", anomaly_severity(alert.severity)},
                        {"description", alert.message},
                        {"metrics", about_json(alert)}});
    return;
  }
  parts_.hub.publish(tenant, "insights", "insight.generated",
                     {{"insight_id", alert.id},
                      {"insight_type", series::to_string(alert.type)},
                      {"title", series::to_string(alert.type)},
                      {"description", alert.message},
                      {"data", about_json(alert)}});
}

void Alerts::hand_out(const std::string& tenant, const Tenant& settings,
                      const series::Alert& alert) {
  auto round =
      std::make_shared<Round>(Round{.tenant = tenant, .alert_id = alert.id, .body = alert.json()});
  for (const Webhook& webhook : settings.webhooks) {
    if (!webhook.wants(alert.type)) continue;
    std::shared_ptr<Lane> lane;
    {
      const std::scoped_lock lock(mutex_);
      // Idle lanes of webhooks that are gone make room; those at work are bounded by the webhooks.
      if (lanes_.size() >= kMostLanes)
        std::erase_if(lanes_, [](const auto& item) { return !item.second->running; });
      auto& known = lanes_[tenant + '\n' + webhook.id];
      if (known == nullptr) {
        known = std::make_shared<Lane>(Lane{.tenant = tenant,
                                            .id = webhook.id,
                                            .url = webhook.url,
                                            .circuit = std::make_unique<Circuit>(parts_.clock),
                                            .waiting = {},
                                            .trusted = webhook.id == "configured"});
      }
      lane = known;
    }
    if (lane->waiting.size() >= options_.lane) {
      lost_count_.add();
      continue;
    }
    ++round->left;
    lane->waiting.push_back(round);
    if (!std::exchange(lane->running, true)) {
      background_.run("a webhook", [this, lane](net::Background::Sleep sleep) {
        return drain(lane, std::move(sleep));
      });
    }
  }
}

Aw<void> Alerts::drain(std::shared_ptr<Lane> lane, net::Background::Sleep sleep) {
  while (!lane->waiting.empty() && !background_.stopping()) {
    const std::shared_ptr<Round> round = std::move(lane->waiting.front());
    lane->waiting.pop_front();
    bool delivered = false;
    for (int attempt = 1;; ++attempt) {
      if (!lane->circuit->allow()) break;
      const auto sent = co_await post(*lane, round->body);
      sent ? lane->circuit->succeeded() : lane->circuit->failed();
      delivered = sent.has_value();
      if (delivered || background_.stopping()) break;
      const auto pause =
          retry_delay(options_.retry, attempt, sent.error(), 0.5, std::chrono::milliseconds::max());
      if (!pause) {
        logger_.warning("a webhook was not told", {{"webhook_id", lane->id},
                                                   {"tenant", lane->tenant},
                                                   {"alert_id", round->alert_id},
                                                   {"error", sent.error().message}});
        break;
      }
      if (!co_await sleep(*pause)) break;
    }
    (delivered ? delivered_count_ : failed_count_).add();
    co_await settle(round, delivered);
  }
  lane->running = false;
}

Task<void> Alerts::post(const Lane& lane, std::string body) {
  ASAHI_CO_TRY(http::Url url, http::Url::parse(lane.url));
  http::Headers headers;
  headers.set("Content-Type", "application/json");
  headers.set("User-Agent", "akosha");
  http::ClientRequest request{.method = http::Method::kPost,
                              .origin = std::move(url.origin),
                              .target = std::move(url.target),
                              .headers = std::move(headers),
                              .body = std::move(body)};
  const http::CallOptions options{
      .deadline = std::chrono::steady_clock::now() + options_.post_timeout,
      .idle_timeout = options_.post_timeout,
      .cancel = &background_.cancel_source()};
  http::Client& client = lane.trusted ? plain_ : guarded_;
  ASAHI_CO_TRY(const http::ClientResponse reply, co_await client.send(std::move(request), options));
  co_return judge(reply);
}

Aw<void> Alerts::settle(std::shared_ptr<Round> round, bool delivered) {
  round->delivered = round->delivered || delivered;
  if (--round->left > 0) co_return;
  const Told told = round->delivered ? Told::kDelivered : Told::kFailed;
  if (told == Told::kFailed) {
    logger_.error(
        "an alert reached nobody",
        {{"tenant", round->tenant}, {"alert_id", round->alert_id}, {"body", round->body}});
  }
  (void)co_await parts_.store.set_told(round->tenant, round->alert_id, told);
}

}  // namespace asahi::memory
