// A whole login against the real npm oidc-provider (tests/e2e/identity/oidc_provider.mjs), with a
// browser that is played here: it follows redirects and keeps cookies. Skipped where node or its
// packages are missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "identity/oidc/oidc_routes.h"
#include "identity/tokens/testing/fake_sessions.h"
#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"
#include "net/http/ascii.h"
#include "net/http/server.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/testing/child_process.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RealProvider : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const fs::path tests = fs::path(ASAHI_SOURCE_DIR) / "tests/e2e";
    const std::string node = ASAHI_NODE;
    if (!fs::exists(node) || !fs::exists(tests / "node_modules/oidc-provider")) {
      GTEST_SKIP() << "needs " << node << " and 'npm ci' in tests/e2e";
    }
    loops_.start();
    provider_.issuer = "http://127.0.0.1:" + std::to_string(sql::testing::free_port());
    std::vector<OidcProvider> providers{provider_};
    http::Router router;
    auto added = add_oidc_routes(
        router,
        {.providers = providers,
         .fetch = [this](http::ClientRequest request, http::CallOptions options)
             -> Task<http::ClientResponse> { return client().send(std::move(request), options); },
         .states = states_,
         .browser = {
             .users = users_,
             .sessions = sessions_,
             .session_cookie = [](const Session& session,
                                  bool) { return "asahi_session=" + session.id + "; Path=/"; },
             .public_url = "",
             .audit = [](AuditEntry) {},
             .client_ip = [](const http::Request& request) { return request.remote_address; }},
         .more_options = {},
         .clock = system_clock()});
    ASSERT_TRUE(added) << added.error().message;
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server_ = http::Server::bind(loops_, std::move(options), std::move(router)).value();
    server_->start();
    gateway_ = "http://127.0.0.1:" + std::to_string(server_->port());

    folder_ = sql::testing::make_folder("asahi-oidc-").value();
    const json::object settings{
        {"port", std::stoi(provider_.issuer.substr(17))},
        {"clientSecret", provider_.client_secret.reveal()},
        {"redirectUris", json::array{gateway_ + "/auth/oidc/test/callback"}},
        {"auto", "jane"},
        {"alg", GetParam()}};
    process_ =
        sql::testing::spawn({node, tests / "identity/oidc_provider.mjs", json::serialize(settings)},
                            log(), sql::testing::Account::kOwn);
    ASSERT_NE(process_, 0);
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (sql::testing::tail_of(log()).find("{\"issuer\"") == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << sql::testing::tail_of(log());
      ASSERT_EQ(::waitpid(process_, nullptr, WNOHANG), 0) << sql::testing::tail_of(log());
      std::this_thread::sleep_for(20ms);
    }
  }

  void TearDown() override {
    if (process_ != 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    if (server_) {
      server_->drain(1s);
      net::run_sync<int>(loops_.at(0), [this]() -> Aw<int> {
        client_.reset();
        co_return 0;
      });
    }
    server_.reset();
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  std::string log() const { return folder_ + "/provider.log"; }
  http::Client& client() {
    if (!client_) client_ = std::make_unique<http::Client>(loops_.at(0), http::ClientOptions{});
    return *client_;
  }

  /// One request of the browser, cookies kept per origin.
  http::ClientResponse visit(const std::string& url) {
    auto request = request_to(http::Method::kGet, url).value();
    const std::string origin = request.origin.to_string();
    std::string cookies;
    for (const auto& [name, value] : jar_[origin])
      cookies += (cookies.empty() ? "" : "; ") + name + "=" + value;
    if (!cookies.empty()) request.headers.add("Cookie", cookies);
    auto response = net::run_sync<Result<http::ClientResponse>>(loops_.at(0), [&] {
      return client().send(std::move(request),
                           {.deadline = std::chrono::steady_clock::now() + 30s});
    });
    EXPECT_TRUE(response) << response.error().message;
    if (!response) return {};
    for (const auto& [name, value] : response->headers) {
      if (!http::iequals(name, "Set-Cookie")) continue;
      const std::string pair = value.substr(0, value.find(';'));
      jar_[origin][pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
    }
    return std::move(*response);
  }
  /// Follows redirects until an answer that is none, or until `stop` is part of the next address.
  http::ClientResponse follow(std::string url, const std::string& stop = "\n") {
    for (int hops = 0; hops < 10; ++hops) {
      auto response = visit(url);
      if (response.status / 100 != 3) return response;
      const std::string next(response.headers.get("Location"));
      const std::string origin = url.substr(0, url.find('/', 8));
      url = next.starts_with('/') ? origin + next : next;
      last_ = url;
      if (url.find(stop) != std::string::npos) return response;
    }
    ADD_FAILURE() << "too many redirects";
    return {};
  }

  net::LoopPool loops_{1};
  cache::MemoryStore store_{{}, system_clock()};
  LoginStates states_{store_};
  testing::FakeUsers users_;
  testing::FakeSessions sessions_;
  OidcProvider provider_{
      .id = "test",
      .name = "",
      .issuer = "",
      .client_id = "asahi",
      .client_secret = Secret("tests only: %&+=/?"),
      .scopes = {"openid", "email", "profile", "groups"},
      .org_id = "acme",
      .roles = {.claim = "groups", .map = {{"admins", "admin"}}, .fallback = "viewer"},
      .create_users = true};
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<http::Server> server_;
  std::string folder_, gateway_, last_;
  std::map<std::string, std::map<std::string, std::string>> jar_;
  pid_t process_ = 0;
};

TEST_P(RealProvider, SignsAUserIn) {
  const auto response = follow(gateway_ + "/auth/oidc/test/login?return_to=/%23/usage", "/#/usage");
  EXPECT_EQ(last_, gateway_ + "/#/usage")
      << response.status << response.body << sql::testing::tail_of(log());
  EXPECT_EQ(jar_[gateway_]["asahi_session"], "session-of-usr_1");
  ASSERT_EQ(users_.sign_ins.size(), 1U);
  EXPECT_EQ(users_.sign_ins[0].subject, "oidc:test:jane");
  EXPECT_EQ(users_.sign_ins[0].email, "jane@acme.example");
  EXPECT_EQ(users_.sign_ins[0].full_name, "Jane Admin");
  EXPECT_EQ(users_.sign_ins[0].role, "admin");
}

TEST_P(RealProvider, AnAnswerCannotBeUsedAgain) {
  follow(gateway_ + "/auth/oidc/test/login", "/callback?");
  const std::string answer = last_;
  const auto cookies = jar_[gateway_];
  EXPECT_THAT(answer, HasSubstr("iss="));
  EXPECT_EQ(visit(answer).status, 302);
  jar_[gateway_] = cookies;
  EXPECT_EQ(visit(answer).status, 401);
  // Nor may its code be used with another login's state.
  follow(gateway_ + "/auth/oidc/test/login", "/callback?");
  const auto code = [](const std::string& url) {
    const std::size_t at = url.find("code=") + 5;
    return url.substr(at, url.find('&', at) - at);
  };
  std::string mixed = last_;
  mixed.replace(mixed.find(code(last_)), code(last_).size(), code(answer));
  EXPECT_EQ(visit(mixed).status, 401);
  EXPECT_EQ(users_.sign_ins.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, RealProvider, ::testing::Values("RS256", "ES256"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace asahi::identity
