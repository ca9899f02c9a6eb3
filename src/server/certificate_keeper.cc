#include "server/certificate_keeper.h"

#include <chrono>
#include <utility>

namespace asahi::server {
namespace {

std::vector<std::string> said(const http::TlsFiles& files) {
  std::vector<std::string> all;
  for (const std::string* file :
       {&files.certificate_file, &files.private_key_file, &files.client_ca_file}) {
    if (!file->empty()) all.push_back(*file);
  }
  return all;
}

}  // namespace

CertificateKeeper::CertificateKeeper(net::Loop& loop, http::Server& server,
                                     const http::TlsFiles& files)
    : server_(server), files_(said(files)), seen_(times()), background_(loop) {
  background_.run("certificate files",
                  [this](net::Background::Sleep sleep) { return watch(std::move(sleep)); });
}

CertificateKeeper::Times CertificateKeeper::times() const {
  Times found;
  std::error_code ignored;
  for (const std::string& file : files_)
    found.push_back(std::filesystem::last_write_time(file, ignored));
  return found;
}

Aw<void> CertificateKeeper::watch(net::Background::Sleep sleep) {
  while (co_await sleep(std::chrono::seconds(2))) {
    const Times now = times();
    if (now == seen_) continue;
    if (auto loaded = server_.reload_tls(); !loaded) {
      // Half written, or a pair that does not match yet: the one in use stays, and the next look
      // may find it whole.
      logger_.warning("the new certificate cannot be used; the old one stays",
                      {{"error", loaded.error().message}});
      continue;
    }
    seen_ = now;
    logger_.info("certificate read again", {{"file", files_.front()}});
  }
}

}  // namespace asahi::server
