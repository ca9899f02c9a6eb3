#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/task.h"
#include "gateway/alerts/config.h"
#include "gateway/alerts/messages.h"
#include "gateway/alerts/smtp.h"
#include "net/http/client.h"
#include "net/http/url.h"
#include "net/loop.h"

namespace asahi::gateway::alerts {

enum class Channel : std::uint8_t { kWebhook, kSlack, kPagerDuty, kOpsgenie, kEmail };
std::string_view to_string(Channel channel);  ///< "webhook", "slack" …

/// The configured ways to people, one delivery at a time. Thread-safe but for the mail thread's
/// queue, which orders.
class Channels {
 public:
  struct Parts {
    const AlertsConfig& config;
    Sender sender;
    net::PerLoop<http::Client>& clients;
    const Clock& clock;
  };
  /// Errors: invalid_argument (a URL), unavailable (mail is configured and libcurl missing).
  static Result<std::unique_ptr<Channels>> make(Parts parts);
  /// Waits for a mail that is being sent, after `stop`.
  ~Channels();

  /// Those that are configured.
  const std::vector<Channel>& all() const { return all_; }
  bool has(Channel channel) const;
  /// Is it told of alerts like this? (spec §7.2)
  static bool wants(Channel channel, Severity severity);

  /// One attempt, on a loop. A test that opens an incident closes it at once. Errors: rate_limited
  /// with retry_after, unavailable, timeout, cancelled: another attempt may help; invalid_argument:
  /// it will not. Texts hold no secrets.
  Task<void> send(Channel channel, Notice notice, CancelSource* cancel);
  Task<void> send_mail(Mail mail);
  /// Ends what blocks.
  void stop() { stopping_ = true; }

 private:
  explicit Channels(Parts parts) : parts_(std::move(parts)) {}
  Result<void> read_settings();
  Task<void> send_once(Channel channel, Notice notice, CancelSource* cancel);
  Task<void> post(http::Url url, http::Headers headers, std::string body, CancelSource* cancel);

  const Parts parts_;
  std::vector<Channel> all_;
  http::Url webhook_, slack_, slack_ops_, pagerduty_, opsgenie_;
  SmtpServer mail_;
  std::string mail_from_;
  std::atomic<bool> stopping_{false};
  boost::asio::thread_pool mail_thread_{1};
};

}  // namespace asahi::gateway::alerts
