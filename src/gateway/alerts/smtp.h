#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace asahi::gateway::alerts {

struct SmtpServer {
  std::string url;  ///< smtp://host:port or smtps://host:port
  std::string user;
  Secret password;
  std::string ca_file;  ///< PEM; empty: the system's
  enum class StartTls { kNever, kWherePossible, kAlways } starttls = StartTls::kWherePossible;
  std::chrono::milliseconds timeout{10'000};
};

/// Is the library there? Errors: unavailable, naming it.
Result<void> load_smtp();
/// Delivers one message (RFC 5322) to the server: TLS, login, and the server's yes. Blocking;
/// `stop` ends it early. Through libcurl, loaded at the first use. Errors: unavailable (no
/// connection, or the server says 4xx: try again), timeout, cancelled, invalid_argument (refused
/// for good: login, addresses, TLS).
Result<void> send_mail(const SmtpServer& server, const std::string& from,
                       const std::vector<std::string>& to, const std::string& message,
                       const std::atomic<bool>& stop);

}  // namespace asahi::gateway::alerts
