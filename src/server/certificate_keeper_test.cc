#include "server/certificate_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "net/blocking.h"
#include "net/testing/certificate.h"

namespace asahi::server {
namespace {

struct CertificateKeeperTest : testing::Test {
  CertificateKeeperTest() {
    loops.start();
    auto bound =
        http::Server::bind(loops, {.host = "127.0.0.1", .port = 0, .tls = files}, http::Router());
    EXPECT_TRUE(bound) << bound.error().message;
    server = std::move(*bound);
    keeper.emplace(loops.at(0), *server, files);
  }
  ~CertificateKeeperTest() override {
    server->drain(std::chrono::milliseconds(0));
    loops.stop();
  }

  net_testing::TemporaryCertificate certificate{"localhost"};
  const http::TlsFiles files{.certificate_file = certificate.certificate_file(),
                             .private_key_file = certificate.private_key_file()};
  net::LoopPool loops{1};
  std::unique_ptr<http::Server> server;
  std::optional<CertificateKeeper> keeper;
};

TEST_F(CertificateKeeperTest, GoesBetweenTwoLooks) {
  // The watch has begun, and waits for its next look.
  net::run_sync<int>(loops.at(0), []() -> Aw<int> { co_return 0; });
  keeper.reset();
}

TEST_F(CertificateKeeperTest, GoesBeforeTheWatchHasBegun) { keeper.reset(); }

}  // namespace
}  // namespace asahi::server
