#include "gateway/alerts/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace asahi::gateway::alerts {
namespace {

using testing::HasSubstr;
using testing::Not;

const Sender kSender{"asahi", "production", "node_1"};
const Clock::Time kNow{std::chrono::seconds{1'700'000'000}};

Notice notice(Notice::What what = Notice::What::kTriggered) {
  Notice made{.what = what, .alert = {}};
  Alert& alert = made.alert;
  alert.id = "alt_1";
  alert.kind = "breaker_open";
  alert.subject = "openai";
  alert.node = "node_1";
  alert.severity = Severity::kCritical;
  alert.title = "openai <is> failing & more";
  alert.message = "Look there.";
  alert.metric = "asahi_errors_total";
  alert.current = 12;
  alert.expected = 10;
  alert.fired_at = alert.last_seen_at = kNow;
  return made;
}

json::value parsed(const std::string& text) { return json::parse(text); }

TEST(AlertMessages, WebhookCarriesTheAlertAsTheApiShowsIt) {
  const json::value body = parsed(webhook_body(notice(), kSender, kNow));
  EXPECT_EQ(body.at("event"), "alert.triggered");
  EXPECT_EQ(body.at("alert").at("id"), "alt_1");
  EXPECT_EQ(body.at("alert").at("state"), "active");
  EXPECT_EQ(body.at("alert").at("deviation_pct").to_number<double>(), 20);
  EXPECT_TRUE(body.at("alert").at("org_id").is_null());
  EXPECT_EQ(body.at("sent_at"), "2023-11-14T22:13:20.000Z");
}

TEST(AlertMessages, WebhookSignatureIsAnHmacOfTimeAndBody) {
  const std::string signature = webhook_signature("secret", "{}", kNow);
  EXPECT_EQ(signature, "t=1700000000,v1=" + to_hex(hmac_sha256("secret", "1700000000.{}")));
}

TEST(AlertMessages, SlackTextIsEscaped) {
  const json::value body = parsed(slack_body(notice(), kSender));
  EXPECT_EQ(body.at("text"), "CRITICAL: openai &lt;is&gt; failing &amp; more");
  EXPECT_EQ(body.at("attachments").at(0).at("text"), "Look there.");
}

TEST(AlertMessages, PagerDutyTriggersAndResolvesByOneKey) {
  const json::value trigger = parsed(pagerduty_body(notice(), kSender, "key"));
  EXPECT_EQ(trigger.at("event_action"), "trigger");
  EXPECT_EQ(trigger.at("routing_key"), "key");
  EXPECT_EQ(trigger.at("payload").at("severity"), "critical");
  EXPECT_EQ(trigger.at("payload").at("source"), "asahi (production, node_1)");
  const json::value resolve =
      parsed(pagerduty_body(notice(Notice::What::kResolved), kSender, "key"));
  EXPECT_EQ(resolve.at("event_action"), "resolve");
  EXPECT_EQ(resolve.at("dedup_key"), trigger.at("dedup_key"));
  EXPECT_EQ(resolve.as_object().if_contains("payload"), nullptr);
}

TEST(AlertMessages, PagerDutysKeyStaysShortAndDistinct) {
  Notice one = notice(), two = notice();
  one.alert.subject = std::string(400, 'x') + "1";
  two.alert.subject = std::string(400, 'x') + "2";
  const std::string first(parsed(pagerduty_body(one, kSender, "k")).at("dedup_key").as_string());
  const std::string second(parsed(pagerduty_body(two, kSender, "k")).at("dedup_key").as_string());
  EXPECT_LE(first.size(), 255u);
  EXPECT_NE(first, second);
}

TEST(AlertMessages, OpsgenieOpensAndClosesByOneAlias) {
  const OpsgenieCall open = opsgenie_call(notice(), kSender);
  EXPECT_EQ(open.target, "/v2/alerts");
  const json::value body = parsed(open.body);
  EXPECT_EQ(body.at("priority"), "P1");
  const OpsgenieCall close = opsgenie_call(notice(Notice::What::kResolved), kSender);
  EXPECT_EQ(close.target, "/v2/alerts/" + std::string(body.at("alias").as_string()) +
                              "/close?identifierType=alias");
}

TEST(AlertMessages, MailIsOneAsciiMessageWhateverTheTextsHold) {
  Notice odd = notice();
  odd.alert.title = "Größe\r\nBcc: evil@example.com\n\n日本語";
  const std::string mail = mime(alert_mail(odd, kSender), "asahi@example.com",
                                {"a@example.com", "b@example.com"}, "1@node_1", kNow);
  EXPECT_THAT(mail, HasSubstr("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"));
  EXPECT_THAT(mail, HasSubstr("To: <a@example.com>,\r\n <b@example.com>\r\n"));
  EXPECT_THAT(mail, Not(HasSubstr("\nBcc:")));
  EXPECT_TRUE(
      std::ranges::all_of(mail, [](char c) { return static_cast<unsigned char>(c) < 128; }));
  const std::size_t end = mail.find("\r\n\r\n");
  std::string encoded = mail.substr(end + 4);
  std::erase_if(encoded, [](char c) { return c == '\r' || c == '\n'; });
  EXPECT_THAT(base64_decode(encoded).value(), HasSubstr("日本語"));
  for (std::size_t at = 0, next; (next = mail.find("\r\n", at)) != std::string::npos; at = next + 2)
    EXPECT_LE(next - at, 80u);
}

TEST(AlertMessages, DigestShowsTheDayAndItsAlerts) {
  Digest digest{.day = "2026-11-21",
                .requests = 1'000,
                .errors = 10,
                .hits = 400,
                .lookups = 800,
                .cost = 12.5,
                .savings = 40,
                .models = {{"gpt-4o", 700, 12}},
                .alerts = {notice().alert}};
  digest.alerts[0].severity = Severity::kLow;
  const Mail mail = digest_mail(digest, kSender);
  EXPECT_EQ(mail.subject, "[asahi] 2026-11-21: 1000 requests, $12.50");
  for (const char* part : {"10 (1.0 %)", "400 (50.0 %)", "$12.5000", "$40.0000", "gpt-4o",
                           "openai <is> failing", "Look there."})
    EXPECT_THAT(mail.text, HasSubstr(part));
  EXPECT_THAT(digest_mail({.day = "2026-11-21"}, kSender).text, HasSubstr("Requests        0"));
}

}  // namespace
}  // namespace asahi::gateway::alerts
