#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config/loader.h"
#include "base/secret.h"

namespace asahi::gateway {

/// `alerts`: what the gateway notices by itself, and whom it tells. Without any channel alerts are
/// still listed in GET /alerts.
struct AlertsConfig {
  bool enabled = true;  ///< look at all

  // Channels. What holds a secret is read from the environment only, as ASAHI_ALERTS_….
  std::string webhook_url;  ///< POST of JSON; all but low severities
  Secret webhook_secret;    ///< signs it; empty: unsigned
  Secret slack_url;         ///< incoming webhook for high severity, and critical
  Secret slack_ops_url;     ///< for medium severity; empty: slack_url
  Secret pagerduty_key;     ///< Events API v2 routing key; critical only
  std::string pagerduty_url = "https://events.pagerduty.com";  ///< or the EU's
  Secret opsgenie_key;                                         ///< critical only
  std::string opsgenie_url = "https://api.opsgenie.com";       ///< or the EU's
  std::vector<std::string> email_to;  ///< critical, high, and the digest (ALERT_EMAIL)
  std::string email_from;             ///< empty: asahi@localhost (ASAHI_FROM_EMAIL)
  /// smtp://host:587 (STARTTLS) or smtps://host:465. Empty with SENDGRID_API_KEY: SendGrid.
  std::string smtp_url;
  std::string smtp_user;
  Secret smtp_password;
  std::string smtp_ca_file;            ///< PEM; empty: the system's
  std::string smtp_starttls = "auto";  ///< auto (demanded with a password), required, off

  // Pace.
  double check_seconds = 5;       ///< between two looks at the counters, 0.1 to 300
  double analysis_seconds = 300;  ///< between two looks at costs and anomalies, 1 to 86400
  double cooldown_seconds = 300;  ///< between two notifications of one alert, 0 to 86400
  double resolve_seconds = 60;    ///< a condition must be gone for so long, 0 to 86400
  double timeout_seconds = 10;    ///< of one delivery, 0.1 to 120
  int max_attempts = 5;           ///< of one delivery, 1 to 20

  // Conditions.
  std::int64_t error_spike_per_minute = 10;  ///< more failures than this, 1 to 1000000
  double error_rate = 0.05;                  ///< of requests over five minutes, 0.001 to 1
  double cost_spike_factor = 2;              ///< a day against the average of seven, 1.1 to 100
  double cost_spike_min_usd = 1;             ///< cheaper days are no matter, 0 to 1000000
  double cache_drop = 0.5;                   ///< of the hit rate of the day before, 0.05 to 1
  double token_ratio = 1.2;                  ///< billed ÷ counted tokens, 1 to 100
  int digest_hour_utc = 8;                   ///< of the daily mail, 0 to 23
};

void bind(config::Binder& binder, AlertsConfig& config);

}  // namespace asahi::gateway
