#include "server/commands/daemon.h"

#include <pthread.h>
#include <unistd.h>

#include <string_view>

#include "base/log.h"

namespace asahi::server {
namespace {

LogLevel level_of(std::string_view word) {
  if (word == "DEBUG") return LogLevel::kDebug;
  if (word == "WARNING") return LogLevel::kWarning;
  if (word == "ERROR") return LogLevel::kError;
  if (word == "CRITICAL") return LogLevel::kCritical;
  return LogLevel::kInfo;
}

}  // namespace

ServiceSignals::ServiceSignals() {
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int ServiceSignals::wait() const {
  int signal = 0;
  sigwait(&signals_, &signal);
  return signal;
}

void shut_down_as_asked() { ::kill(::getpid(), SIGTERM); }

void begin_logging(const gateway::GatewayConfig& config) {
  configure_logging(
      {.level = level_of(config.logging.level),
       .format = config.logging.format == "text" ? LogFormat::kText : LogFormat::kJson});
}

}  // namespace asahi::server
