#include "gateway/alerts/config.h"

#include <algorithm>

namespace asahi::gateway {
namespace {

void fault(config::Binder& binder, std::string path, std::string value, std::string rule) {
  binder.fault(
      {.path = std::move(path), .value = std::move(value), .rule = std::move(rule), .origin = ""});
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return text.starts_with(prefix); });
}

/// An address that can stand in a command of SMTP and in a header.
bool is_address(std::string_view text) {
  const std::size_t at = text.rfind('@');
  const auto is_odd = [](unsigned char c) {
    return c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == ',' || c == ';' || c == '"';
  };
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() && text.size() <= 254 &&
         std::ranges::none_of(text, is_odd);
}

void check_channels(config::Binder& binder, AlertsConfig& c) {
  for (const auto& [path, url] : {std::pair{"alerts.webhook_url", c.webhook_url},
                                  std::pair{"alerts.slack_url", c.slack_url.reveal()},
                                  std::pair{"alerts.slack_ops_url", c.slack_ops_url.reveal()},
                                  std::pair{"alerts.pagerduty_url", c.pagerduty_url},
                                  std::pair{"alerts.opsgenie_url", c.opsgenie_url}}) {
    if (!url.empty() && !starts_with_any(url, {"http://", "https://"}))
      fault(binder, path, "***", "must begin with http:// or https://");
  }
  for (const std::string& address : c.email_to) {
    if (!is_address(address)) fault(binder, "alerts.email_to", address, "must be mail addresses");
  }
  if (!c.email_from.empty() && !is_address(c.email_from))
    fault(binder, "alerts.email_from", c.email_from, "must be a mail address");
  if (!c.smtp_url.empty() && !starts_with_any(c.smtp_url, {"smtp://", "smtps://"}))
    fault(binder, "alerts.smtp_url", "***", "must begin with smtp:// or smtps://");
  if (c.smtp_url.contains('@'))
    fault(binder, "alerts.smtp_url", "***",
          "must not hold a password: set alerts.smtp_user and ASAHI_ALERTS_SMTP_PASSWORD");
  if (!c.email_to.empty() && c.smtp_url.empty()) {
    fault(binder, "alerts.email_to", c.email_to.front(),
          "needs alerts.smtp_url (or SENDGRID_API_KEY)");
  }
}

}  // namespace

void bind(config::Binder& binder, AlertsConfig& c) {
  if (auto key = binder.environment("SENDGRID_API_KEY")) {
    c.smtp_url = "smtps://smtp.sendgrid.net:465";
    c.smtp_user = "apikey";
    c.smtp_password = Secret(*std::move(key));
  }
  auto alerts = binder.section("alerts");
  alerts.value("enabled", c.enabled, {.help = "look for what goes wrong"});
  alerts.value("webhook_url", c.webhook_url, {.help = "alerts as JSON", .secret = true});
  alerts.value("webhook_secret", c.webhook_secret, {.help = "signs what the webhook gets"});
  alerts.value("slack_url", c.slack_url, {.help = "incoming webhook for critical and high"});
  alerts.value("slack_ops_url", c.slack_ops_url, {.help = "the same for medium"});
  alerts.value("pagerduty_key", c.pagerduty_key, {.help = "routing key for critical alerts"});
  alerts.value("pagerduty_url", c.pagerduty_url, {.help = "origin of PagerDuty's Events API"});
  alerts.value("opsgenie_key", c.opsgenie_key, {.help = "API key for critical alerts"});
  alerts.value("opsgenie_url", c.opsgenie_url, {.help = "origin of Opsgenie's API"});
  alerts.value("email_to", c.email_to,
               {.max = 20, .env = {"ALERT_EMAIL"}, .help = "critical, high, and the digest"});
  alerts.value("email_from", c.email_from, {.env = {"ASAHI_FROM_EMAIL"}, .help = "sender"});
  alerts.value("smtp_url", c.smtp_url, {.help = "mail server", .secret = true});
  alerts.value("smtp_user", c.smtp_user, {.help = "as whom mail is sent"});
  alerts.value("smtp_password", c.smtp_password, {.help = "with which password"});
  alerts.value("smtp_ca_file", c.smtp_ca_file, {.help = "PEM of the mail server's CA"});
  alerts.value("smtp_starttls", c.smtp_starttls,
               {.one_of = {"auto", "required", "off"}, .help = "encrypt smtp:// connections"});
  alerts.value("check_seconds", c.check_seconds,
               {.min = 0.1, .max = 300, .help = "between two looks at the counters"});
  alerts.value("analysis_seconds", c.analysis_seconds,
               {.min = 1, .max = 86'400, .help = "between two looks at costs and anomalies"});
  alerts.value("cooldown_seconds", c.cooldown_seconds,
               {.min = 0, .max = 86'400, .help = "between two notifications of one alert"});
  alerts.value("resolve_seconds", c.resolve_seconds,
               {.min = 0, .max = 86'400, .help = "how long a condition must be gone"});
  alerts.value("timeout_seconds", c.timeout_seconds,
               {.min = 0.1, .max = 120, .help = "of one delivery"});
  alerts.value("max_attempts", c.max_attempts, {.min = 1, .max = 20, .help = "of one delivery"});
  alerts.value("error_spike_per_minute", c.error_spike_per_minute,
               {.min = 1, .max = 1e6, .help = "more failures a minute are an alert"});
  alerts.value("error_rate", c.error_rate,
               {.min = 0.001, .max = 1, .help = "of requests, over five minutes"});
  alerts.value("cost_spike_factor", c.cost_spike_factor,
               {.min = 1.1, .max = 100, .help = "a day against the average of seven"});
  alerts.value("cost_spike_min_usd", c.cost_spike_min_usd,
               {.min = 0, .max = 1e6, .help = "cheaper days are no matter"});
  alerts.value("cache_drop", c.cache_drop,
               {.min = 0.05, .max = 1, .help = "drop of the hit rate against the day before"});
  alerts.value("token_ratio", c.token_ratio,
               {.min = 1, .max = 100, .help = "billed over counted tokens"});
  alerts.value("digest_hour_utc", c.digest_hour_utc,
               {.min = 0, .max = 23, .help = "hour of the daily mail"});
  check_channels(binder, c);
}

}  // namespace asahi::gateway
