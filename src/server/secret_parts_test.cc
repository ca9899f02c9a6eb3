#include "server/secret_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "identity/secrets/testing/fake_vault.h"

namespace asahi::server {
namespace {

using namespace std::chrono_literals;
using identity::testing::FakeVault;
using testing::Contains;

constexpr auto kReadCall = "GET secret/data/asahi";

struct SecretPartsTest : testing::Test {
  SecretPartsTest() {
    vault.add_token("hvs.given", {});
    vault.put("asahi", R"({"OPENAI_API_KEY":"sk-1"})");
    identity::VaultOptions options;
    options.address = vault.address();
    options.path = "secret/asahi";
    options.token = Secret("hvs.given");
    options.read_every = 0s;               // the client's own pause remains
    options.timeout = options.total = 1h;  // what waits for its end would be noticed
    config.vault = options;
    loops.start();
    auto made = SecretParts::make({config, loops, metrics});
    EXPECT_TRUE(made) << made.error().message;
    secrets = std::move(*made);
  }
  ~SecretPartsTest() override {
    secrets.reset();
    loops.stop();
  }
  std::future<void> stop() {
    return std::async(std::launch::async, [this] { secrets->stop(); });
  }

  FakeVault vault;
  ServerConfig config;
  telemetry::Registry metrics;
  net::LoopPool loops{1};
  std::unique_ptr<SecretParts> secrets;
};

TEST_F(SecretPartsTest, StopEndsTheWatchOfVaultBetweenTwoReadings) {
  secrets->start();
  EXPECT_EQ(stop().wait_for(10s), std::future_status::ready);
}

TEST_F(SecretPartsTest, StopCutsAReadingThatHangs) {
  (void)vault.calls();
  vault.fault("data/asahi", {.delay = 1h});
  secrets->start();
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  std::vector<std::string> calls;
  while (calls.empty() && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::yield();
    calls = vault.calls();
  }
  EXPECT_THAT(calls, Contains(kReadCall));
  EXPECT_EQ(stop().wait_for(10s), std::future_status::ready);
}

TEST_F(SecretPartsTest, StopsWhereNothingWasStarted) {
  EXPECT_EQ(stop().wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace asahi::server
