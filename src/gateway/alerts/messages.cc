#include "gateway/alerts/messages.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/utf8.h"

namespace asahi::gateway::alerts {
namespace {

// Texts a little shorter than the longest that the services take.
constexpr std::size_t kPagerDutySummary = 1'000, kOpsgenieMessage = 120, kOpsgenieAlias = 480;
constexpr std::size_t kDedupKey = 250;
constexpr std::size_t kMailLine = 76;

std::string_view event_of(Notice::What what) {
  switch (what) {
    case Notice::What::kTriggered:
      return "alert.triggered";
    case Notice::What::kResolved:
      return "alert.resolved";
    case Notice::What::kTest:
      return "alert.test";
  }
  return "";
}

std::string upper(std::string_view word) {
  std::string out(word);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return out;
}

/// "CRITICAL: title", "Resolved: title".
std::string headline(const Notice& notice) {
  return notice.what == Notice::What::kResolved
             ? "Resolved: " + notice.alert.title
             : fmt::format("{}: {}", upper(to_string(notice.alert.severity)), notice.alert.title);
}

std::string source_of(const Sender& sender) {
  return fmt::format("{} ({}, {})", sender.app, sender.environment, sender.node);
}

/// Keys may be longer than a service takes; then a digest stands for the rest.
std::string short_key(const std::string& key, std::size_t most) {
  if (key.size() <= most) return key;
  const std::string digest = to_hex(sha256(key)).substr(0, 32);
  return mended_utf8(key, most - digest.size() - 1) + "/" + digest;
}

/// Slack's three characters.
std::string slack_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view colour_of(const Notice& notice) {
  if (notice.what == Notice::What::kResolved) return "#2eb67d";
  static constexpr std::array<std::string_view, 4> kColours{"#868686", "#ecb22e", "#e8912d",
                                                            "#e01e5a"};
  return kColours[static_cast<std::size_t>(notice.alert.severity)];
}

std::string number(double value) { return fmt::format("{:.6g}", value); }

json::object details_of(const Alert& alert) {
  return {{"kind", alert.kind},
          {"subject", alert.subject},
          {"org_id", alert.org_id},
          {"message", alert.message},
          {"metric", alert.metric},
          {"current_value", alert.current},
          {"expected_value", alert.expected},
          {"occurrences", alert.occurrences},
          {"alert_id", alert.id}};
}

/// A header's value in ASCII: other text as words of RFC 2047, line breaks as blanks.
std::string header_text(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? ' ' : c;
  if (std::ranges::all_of(plain, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return plain;
  plain = mended_utf8(plain);
  std::string out;
  // 39 bytes make 52 characters of base 64, and a line with its frame and "Subject: " stays below
  // 78. No character is cut.
  for (std::size_t at = 0; at < plain.size();) {
    const std::string_view part = utf8_prefix(std::string_view(plain).substr(at), 39);
    if (!out.empty()) out += "\r\n ";
    out += "=?UTF-8?B?" + base64_encode(part) + "?=";
    at += part.size();
  }
  return out;
}

}  // namespace

std::string webhook_body(const Notice& notice, const Sender& sender, Clock::Time now) {
  return write_json(json::object{
      {"event", event_of(notice.what)},
      {"alert", alert_json(notice.alert)},
      {"source",
       {{"app", sender.app}, {"environment", sender.environment}, {"node_id", sender.node}}},
      {"sent_at", format_rfc3339(now)}});
}

std::string webhook_signature(std::string_view secret, std::string_view body, Clock::Time now) {
  const auto at = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return fmt::format("t={},v1={}", at, to_hex(hmac_sha256(secret, fmt::format("{}.{}", at, body))));
}

std::string slack_body(const Notice& notice, const Sender& sender) {
  const Alert& alert = notice.alert;
  json::array fields{
      {{"title", "Severity"}, {"value", to_string(alert.severity)}, {"short", true}},
      {{"title", "Source"}, {"value", slack_escaped(source_of(sender))}, {"short", true}}};
  if (!alert.metric.empty()) {
    fields.push_back(
        {{"title", slack_escaped(alert.metric)},
         {"value", fmt::format("{} (expected {})", number(alert.current), number(alert.expected))},
         {"short", true}});
  }
  const std::string title = slack_escaped(headline(notice));
  return write_json(
      json::object{{"text", title},
                   {"attachments", json::array{json::object{{"color", colour_of(notice)},
                                                            {"fallback", title},
                                                            {"text", slack_escaped(alert.message)},
                                                            {"fields", std::move(fields)}}}}});
}

std::string pagerduty_body(const Notice& notice, const Sender& sender,
                           std::string_view routing_key) {
  const Alert& alert = notice.alert;
  json::object body{
      {"routing_key", routing_key},
      {"event_action", notice.what == Notice::What::kResolved ? "resolve" : "trigger"},
      {"dedup_key", short_key(alert.key(), kDedupKey)}};
  if (notice.what == Notice::What::kResolved) return write_json(body);
  static constexpr std::array<std::string_view, 4> kSeverities{"info", "warning", "error",
                                                               "critical"};
  body["payload"] = {{"summary", mended_utf8(headline(notice), kPagerDutySummary)},
                     {"source", source_of(sender)},
                     {"severity", kSeverities[static_cast<std::size_t>(alert.severity)]},
                     {"timestamp", format_rfc3339(alert.fired_at)},
                     {"component", alert.subject.empty() ? "gateway" : alert.subject},
                     {"group", sender.app},
                     {"class", alert.kind},
                     {"custom_details", details_of(alert)}};
  return write_json(body);
}

OpsgenieCall opsgenie_call(const Notice& notice, const Sender& sender) {
  const Alert& alert = notice.alert;
  // The alias goes into a path as well.
  const std::string alias =
      alert.key().size() > kOpsgenieAlias || !std::ranges::all_of(alert.key(),
                                                                  [](char c) {
                                                                    return (c >= 'a' && c <= 'z') ||
                                                                           (c >= '0' && c <= '9') ||
                                                                           c == '_';
                                                                  })
          ? to_hex(sha256(alert.key()))
          : alert.key();
  if (notice.what == Notice::What::kResolved) {
    return {fmt::format("/v2/alerts/{}/close?identifierType=alias", alias),
            write_json(json::object{{"source", source_of(sender)}})};
  }
  json::object details;
  for (const auto& member : details_of(alert)) {
    details[member.key()] = member.value().is_string() ? json::value(member.value())
                                                       : json::value(write_json(member.value()));
  }
  static constexpr std::array<std::string_view, 4> kPriorities{"P4", "P3", "P2", "P1"};
  return {"/v2/alerts",
          write_json(json::object{
              {"message", mended_utf8(headline(notice), kOpsgenieMessage)},
              {"alias", alias},
              {"description", alert.message},
              {"priority", kPriorities[static_cast<std::size_t>(alert.severity)]},
              {"source", source_of(sender)},
              {"entity", alert.subject},
              {"tags", json::array{json::value(sender.environment), json::value(alert.kind)}},
              {"details", std::move(details)}})};
}

Mail alert_mail(const Notice& notice, const Sender& sender) {
  const Alert& alert = notice.alert;
  std::string text = fmt::format("{}\n\n{}\n\n", headline(notice), alert.message);
  const auto line = [&text](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<10} {}\n", name, value);
  };
  line("Severity", to_string(alert.severity));
  line("About", alert.subject);
  line("For", alert.org_id);
  if (!alert.metric.empty()) {
    line("Metric", fmt::format("{}: {}, expected {}", alert.metric, number(alert.current),
                               number(alert.expected)));
  }
  line("Since", format_rfc3339(alert.fired_at));
  if (alert.resolved_at) line("Until", format_rfc3339(*alert.resolved_at));
  line("From", source_of(sender));
  line("Alert", alert.id);
  return {fmt::format("[{}] {}", sender.app, headline(notice)), std::move(text)};
}

Mail digest_mail(const Digest& digest, const Sender& sender) {
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  std::string text = fmt::format("{} on {} (UTC)\n\n", source_of(sender), digest.day);
  text += fmt::format("Requests        {}\n", digest.requests);
  text += fmt::format("Failed          {} ({:.1f} %)\n", digest.errors,
                      share(digest.errors, digest.requests));
  text += fmt::format("From the cache  {} ({:.1f} %)\n", digest.hits,
                      share(digest.hits, digest.lookups));
  text += fmt::format("Cost            ${:.4f}\n", digest.cost);
  text += fmt::format("Saved           ${:.4f}\n", digest.savings);
  if (!digest.models.empty()) text += "\nModels\n";
  for (const Digest::Model& model : digest.models) {
    text +=
        fmt::format("  {:<32} {:>10} requests  ${:.4f}\n", model.name, model.requests, model.cost);
  }
  if (!digest.alerts.empty()) text += "\nAlerts\n";
  for (const Alert& alert : digest.alerts) {
    text += fmt::format("  {} {:<8} {}{}\n", format_rfc3339(alert.fired_at),
                        to_string(alert.severity), alert.title, alert.resolved_at ? " (over)" : "");
    if (alert.severity == Severity::kLow) text += fmt::format("      {}\n", alert.message);
  }
  return {fmt::format("[{}] {}: {} requests, ${:.2f}", sender.app, digest.day, digest.requests,
                      digest.cost),
          std::move(text)};
}

std::string mime(const Mail& mail, std::string_view from, const std::vector<std::string>& to,
                 std::string_view message_id, Clock::Time now) {
  std::string out = fmt::format(
      "Date: {:%a, %d %b %Y %H:%M:%S} +0000\r\nFrom: <{}>\r\nTo: <{}>\r\nMessage-ID: <{}>\r\n"
      "Subject: {}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
      fmt::gmtime(std::chrono::system_clock::to_time_t(
          std::chrono::time_point_cast<std::chrono::system_clock::duration>(now))),
      from, fmt::join(to, ">,\r\n <"), message_id, header_text(mail.subject));
  std::string text;
  for (const char c : mail.text) {
    if (c == '\n') text += '\r';
    text += c;
  }
  const std::string body = base64_encode(text);
  for (std::size_t at = 0; at < body.size(); at += kMailLine) {
    out += std::string_view(body).substr(at, kMailLine);
    out += "\r\n";
  }
  return out;
}

}  // namespace asahi::gateway::alerts
