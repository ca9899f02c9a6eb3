#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/task.h"
#include "net/background.h"
#include "net/http/server.h"

namespace asahi::server {

/// Reads a listener's certificate again when its files change, so that a renewed one is served
/// without a restart. A new one that cannot be used is a warning; the one in use stays.
class CertificateKeeper {
 public:
  /// `files`: those that `server` was bound with. Loop and server outlive it, which goes on an
  /// ordinary thread, while the loop runs.
  CertificateKeeper(net::Loop& loop, http::Server& server, const http::TlsFiles& files);

 private:
  using Times = std::vector<std::filesystem::file_time_type>;
  Times times() const;
  Aw<void> watch(net::Background::Sleep sleep);

  http::Server& server_;
  const std::vector<std::string> files_;
  Times seen_;
  Logger logger_{"tls"};
  net::Background background_;
};

}  // namespace asahi::server
