#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "gateway/alerts/alert.h"
#include "gateway/alerts/book.h"

namespace asahi::gateway::alerts {

// What each channel is sent: values in, texts out.

/// Which installation speaks, in every message.
struct Sender {
  std::string app;  ///< app.name
  std::string environment;
  std::string node;
};

/// {"event": "alert.triggered" | "alert.resolved" | "alert.test", "alert": {…}, "source",
/// "sent_at"}
std::string webhook_body(const Notice& notice, const Sender& sender, Clock::Time now);
/// `t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 of "<t>.<body>" with the shared secret. Who checks it
/// also refuses old `t`.
std::string webhook_signature(std::string_view secret, std::string_view body, Clock::Time now);
/// An incoming webhook of Slack, and of Mattermost.
std::string slack_body(const Notice& notice, const Sender& sender);
/// Events API v2: `trigger` or `resolve`; the alert's key is the dedup_key.
/// https://developer.pagerduty.com/docs/events-api-v2/
std::string pagerduty_body(const Notice& notice, const Sender& sender,
                           std::string_view routing_key);
/// Opsgenie's Alert API: opens an alert, or closes the one of the same alias.
struct OpsgenieCall {
  std::string target;  ///< path and query
  std::string body;
};
OpsgenieCall opsgenie_call(const Notice& notice, const Sender& sender);

struct Mail {
  std::string subject, text;  ///< UTF-8; lines end in \n
};
Mail alert_mail(const Notice& notice, const Sender& sender);

/// What the daily mail tells of one day, over all organisations.
struct Digest {
  std::string day;  ///< 2026-11-21
  std::int64_t requests = 0, errors = 0, hits = 0, lookups = 0;
  double cost = 0, savings = 0;  ///< USD
  struct Model {
    std::string name;
    std::int64_t requests = 0;
    double cost = 0;
  };
  std::vector<Model> models;  ///< the dearest first
  std::vector<Alert> alerts;  ///< that began that day, and low ones that are active
};
Mail digest_mail(const Digest& digest, const Sender& sender);

/// A message of RFC 5322 with one part of text in UTF-8. Nothing in it can begin a header of its
/// own.
std::string mime(const Mail& mail, std::string_view from, const std::vector<std::string>& to,
                 std::string_view message_id, Clock::Time now);

}  // namespace asahi::gateway::alerts
