#pragma once

#include <signal.h>

#include "gateway/config.h"

namespace asahi::server {

/// The signals that a process serves by: SIGTERM and SIGINT end it, SIGHUP reads settings again.
/// Made before any thread exists, so that only `wait` takes them.
class ServiceSignals {
 public:
  ServiceSignals();
  /// The next of them.
  int wait() const;

 private:
  sigset_t signals_;
};

/// Begins what SIGTERM begins, and returns at once. Any thread.
void shut_down_as_asked();

/// Log lines on stdout, as `logging.…` says.
void begin_logging(const gateway::GatewayConfig& config);

}  // namespace asahi::server
