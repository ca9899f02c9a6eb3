#pragma once

#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/log.h"
#include "base/task.h"
#include "net/http/server.h"
#include "net/loop.h"

namespace asahi::server {

/// Reads a listener's certificate again when its files change, so that a renewed one is served
/// without a restart. A new one that cannot be used is a warning; the one in use stays.
class CertificateKeeper {
 public:
  /// `files`: those that `server` was bound with. Loop and server outlive it.
  CertificateKeeper(net::Loop& loop, http::Server& server, const http::TlsFiles& files);
  /// Ordinary thread, while the loop runs.
  ~CertificateKeeper();

 private:
  using Times = std::vector<std::filesystem::file_time_type>;
  Times times() const;
  Aw<void> watch();

  net::Loop& loop_;
  http::Server& server_;
  const std::vector<std::string> files_;
  Times seen_;
  Logger logger_{"tls"};
  CancelSource stopping_;
  std::promise<void> ended_;
};

}  // namespace asahi::server
