#include "gateway/alerts/channels.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "net/blocking.h"

namespace asahi::gateway::alerts {
namespace {

std::chrono::milliseconds ms_of_seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

/// Retry-After in seconds; a date is taken as half a minute.
std::chrono::milliseconds retry_after(std::string_view header) {
  constexpr int kMost = 3'600;
  int seconds = 30;
  (void)std::from_chars(header.data(), header.data() + header.size(), seconds);
  return std::chrono::seconds(std::clamp(seconds, 1, kMost));
}

Result<void> judge(const http::ClientResponse& reply) {
  if (reply.status / 100 == 2) return {};
  const std::string said = fmt::format("the receiver answered {}", reply.status);
  if (reply.status == 429) {
    auto failure = fail(Errc::kRateLimited, said);
    failure.error().retry_after = retry_after(reply.headers.get("retry-after"));
    return failure;
  }
  const bool later = reply.status >= 500 || reply.status == 408;
  return fail(later ? Errc::kUnavailable : Errc::kInvalidArgument, said);
}

}  // namespace

std::string_view to_string(Channel channel) {
  switch (channel) {
    case Channel::kWebhook:
      return "webhook";
    case Channel::kSlack:
      return "slack";
    case Channel::kPagerDuty:
      return "pagerduty";
    case Channel::kOpsgenie:
      return "opsgenie";
    case Channel::kEmail:
      return "email";
  }
  return "";
}

Result<std::unique_ptr<Channels>> Channels::make(Parts parts) {
  std::unique_ptr<Channels> made(new Channels(std::move(parts)));
  if (auto read = made->read_settings(); !read) return std::unexpected(std::move(read.error()));
  return made;
}

Channels::~Channels() {
  stopping_ = true;
  mail_thread_.join();
}

Result<void> Channels::read_settings() {
  const AlertsConfig& config = parts_.config;
  Result<void> first;
  const auto add = [&](Channel channel, std::string_view setting, std::string_view url,
                       http::Url& target) {
    if (url.empty()) return;
    auto parsed = http::Url::parse(url);
    if (!parsed) {
      if (first)
        first = fail(parsed.error().code, fmt::format("{}: {}", setting, parsed.error().message));
      return;
    }
    target = std::move(*parsed);
    if (!has(channel)) all_.push_back(channel);
  };
  add(Channel::kWebhook, "alerts.webhook_url", config.webhook_url, webhook_);
  const std::string& slack = config.slack_url.reveal();
  const std::string& ops = config.slack_ops_url.reveal();
  add(Channel::kSlack, "alerts.slack_url", slack.empty() ? ops : slack, slack_);
  add(Channel::kSlack, "alerts.slack_ops_url", ops.empty() ? slack : ops, slack_ops_);
  if (!config.pagerduty_key.empty())
    add(Channel::kPagerDuty, "alerts.pagerduty_url", config.pagerduty_url, pagerduty_);
  if (!config.opsgenie_key.empty())
    add(Channel::kOpsgenie, "alerts.opsgenie_url", config.opsgenie_url, opsgenie_);
  if (!first) return first;
  if (config.email_to.empty()) return {};
  all_.push_back(Channel::kEmail);
  mail_from_ = config.email_from.empty() ? "asahi@localhost" : config.email_from;
  using enum SmtpServer::StartTls;
  mail_ = {.url = config.smtp_url,
           .user = config.smtp_user,
           .password = config.smtp_password,
           .ca_file = config.smtp_ca_file,
           .starttls = config.smtp_starttls == "off" ? kNever
                       : config.smtp_starttls == "required" || !config.smtp_user.empty()
                           ? kAlways
                           : kWherePossible,
           .timeout = ms_of_seconds(config.timeout_seconds)};
  return load_smtp();
}

bool Channels::has(Channel channel) const { return std::ranges::find(all_, channel) != all_.end(); }

bool Channels::wants(Channel channel, Severity severity) {
  switch (channel) {
    case Channel::kWebhook:
    case Channel::kSlack:
      return severity >= Severity::kMedium;
    case Channel::kPagerDuty:
    case Channel::kOpsgenie:
      return severity == Severity::kCritical;
    case Channel::kEmail:
      return severity >= Severity::kHigh;
  }
  return false;
}

Task<void> Channels::post(http::Url url, http::Headers headers, std::string body,
                          CancelSource* cancel) {
  headers.set("Content-Type", "application/json");
  headers.set("User-Agent", "asahi");
  http::ClientRequest request{.method = http::Method::kPost,
                              .origin = std::move(url.origin),
                              .target = std::move(url.target),
                              .headers = std::move(headers),
                              .body = std::move(body)};
  const auto limit = ms_of_seconds(parts_.config.timeout_seconds);
  const http::CallOptions options{.deadline = std::chrono::steady_clock::now() + limit,
                                  .idle_timeout = limit,
                                  .cancel = cancel};
  ASAHI_CO_TRY(const http::ClientResponse reply,
               co_await parts_.clients.local().send(std::move(request), options));
  co_return judge(reply);
}

Task<void> Channels::send(Channel channel, Notice notice, CancelSource* cancel) {
  const bool incident = channel == Channel::kPagerDuty || channel == Channel::kOpsgenie;
  const bool test = notice.what == Notice::What::kTest;
  auto sent = co_await send_once(channel, notice, cancel);
  if (!sent || !test || !incident) co_return sent;
  notice.what = Notice::What::kResolved;
  co_return co_await send_once(channel, std::move(notice), cancel);
}

Task<void> Channels::send_once(Channel channel, Notice notice, CancelSource* cancel) {
  const AlertsConfig& config = parts_.config;
  const Clock::Time now = parts_.clock.now();
  http::Headers headers;
  switch (channel) {
    case Channel::kWebhook: {
      std::string body = webhook_body(notice, parts_.sender, now);
      if (!config.webhook_secret.empty()) {
        headers.set("X-Asahi-Signature",
                    webhook_signature(config.webhook_secret.reveal(), body, now));
      }
      co_return co_await post(webhook_, std::move(headers), std::move(body), cancel);
    }
    case Channel::kSlack: {
      const bool ops = notice.alert.severity <= Severity::kMedium;
      http::Url url = ops ? slack_ops_ : slack_;
      co_return co_await post(std::move(url), std::move(headers), slack_body(notice, parts_.sender),
                              cancel);
    }
    case Channel::kPagerDuty: {
      http::Url url = pagerduty_;
      url.target = "/v2/enqueue";
      std::string body = pagerduty_body(notice, parts_.sender, config.pagerduty_key.reveal());
      co_return co_await post(std::move(url), std::move(headers), std::move(body), cancel);
    }
    case Channel::kOpsgenie: {
      OpsgenieCall call = opsgenie_call(notice, parts_.sender);
      http::Url url = opsgenie_;
      url.target = std::move(call.target);
      headers.set("Authorization", "GenieKey " + config.opsgenie_key.reveal());
      co_return co_await post(std::move(url), std::move(headers), std::move(call.body), cancel);
    }
    case Channel::kEmail:
      co_return co_await send_mail(alert_mail(notice, parts_.sender));
  }
  co_return Result<void>{};
}

Task<void> Channels::send_mail(Mail mail) {
  const Clock::Time now = parts_.clock.now();
  const std::string id = fmt::format("{}@{}", make_ulid(now), parts_.sender.node);
  std::string message = mime(mail, mail_from_, parts_.config.email_to, id, now);
  co_return co_await net::run_blocking(
      mail_thread_, [this, message = std::move(message)]() -> Result<void> {
        return alerts::send_mail(mail_, mail_from_, parts_.config.email_to, message, stopping_);
      });
}

}  // namespace asahi::gateway::alerts
