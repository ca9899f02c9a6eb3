// The client against a Vault that speaks the real wire format, over real sockets.
#include "identity/secrets/vault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "identity/secrets/testing/fake_vault.h"
#include "net/blocking.h"
#include "net/testing/certificate.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr auto kReadCall = "GET secret/data/asahi";
constexpr auto kLookUpCall = "GET auth/token/lookup-self";
constexpr auto kRenewCall = "POST auth/token/renew-self";
constexpr auto kLoginCall = "POST auth/kubernetes/login";

struct VaultTest : ::testing::Test {
  VaultTest() {
    folder =
        std::filesystem::temp_directory_path() / ("asahi-vault-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    jwt_file = folder / "token";
    write_jwt("jwt-1");
    server.add_token("hvs.given", {});
    server.allow_role("asahi", "jwt-1", {});
    server.put("asahi", R"({"OPENAI_API_KEY":"sk-1","ASAHI_JWT_SECRET":"jwt"})");
    options.address = server.address();
    options.path = "secret/asahi";
    options.token = Secret("hvs.given");
    options.jwt_file = jwt_file;
    options.retry = {.max_attempts = 3, .base = 1ms, .cap = 2ms};
    loops.start();
  }
  ~VaultTest() override {
    run<int>([this]() -> Aw<int> {
      vault.reset();
      co_return 0;
    });
    loops.stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  void write_jwt(const std::string& text) { std::ofstream(jwt_file) << text << "\n"; }
  void use_kubernetes() {
    options.token = Secret();
    options.role = "asahi";
  }

  template <class T>
  T run(std::function<Aw<T>()> body) {
    return net::run_sync<T>(loops.at(0), std::move(body));
  }
  using Read = std::map<std::string, std::string>;
  static Read shown(const SecretSource::Values& values) {
    Read all;
    for (const auto& [name, value] : values) all[name] = value.reveal();
    return all;
  }
  Result<void> make() {
    return run<Result<void>>([this]() -> Aw<Result<void>> {
      auto made = Vault::make(
          loops.at(0), files, clock, options,
          [this](const SecretSource::Values& values) { heard.push_back(shown(values)); });
      if (!made) co_return std::unexpected(made.error());
      vault = std::move(*made);
      co_return Result<void>();
    });
  }
  Result<Read> start() {
    if (auto made = make(); !made) return std::unexpected(made.error());
    auto values = run<Result<SecretSource::Values>>([this] { return vault->start(); });
    if (!values) return std::unexpected(values.error());
    return shown(*values);
  }
  /// Time passes, then the due calls are made. Returns in how many seconds the next one is due.
  std::int64_t after(std::chrono::seconds time) {
    clock.advance(time);
    server.calls();
    const auto next = run<Clock::Steady>([this] { return vault->step(nullptr); });
    return std::chrono::round<std::chrono::seconds>(next - clock.steady_now()).count();
  }

  std::filesystem::path folder;
  std::filesystem::path jwt_file;
  testing::FakeVault server;
  ManualClock clock;
  VaultOptions options;
  net::LoopPool loops{1};
  boost::asio::thread_pool files{1};
  std::vector<Read> heard;
  std::unique_ptr<Vault> vault;
};

TEST_F(VaultTest, ReadsTheSecretsWithAGivenToken) {
  options.name_space = "team/a";
  const auto values = start();
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_THAT(*values, UnorderedElementsAre(Pair("OPENAI_API_KEY", "sk-1"),
                                            Pair("ASAHI_JWT_SECRET", "jwt")));
  EXPECT_THAT(server.calls(), ElementsAre(kLookUpCall, kReadCall));
  EXPECT_EQ(server.last_header("X-Vault-Token"), "hvs.given");
  EXPECT_EQ(server.last_header("X-Vault-Request"), "true");
  EXPECT_EQ(server.last_header("X-Vault-Namespace"), "team/a");
  EXPECT_THAT(heard, IsEmpty());
}

TEST_F(VaultTest, LogsInWithTheServiceAccountsTokenUnderKubernetes) {
  use_kubernetes();
  const auto values = start();
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_EQ(values->at("OPENAI_API_KEY"), "sk-1");
  EXPECT_THAT(server.calls(), ElementsAre(kLoginCall, kReadCall));
  EXPECT_EQ(server.last_header("X-Vault-Token"), "hvs.login-1");
}

TEST_F(VaultTest, TellsWhichNamesChangedAppearedAndVanished) {
  ASSERT_TRUE(start());
  EXPECT_EQ(after(60s), 60);
  EXPECT_THAT(server.calls(), ElementsAre(kReadCall));
  EXPECT_THAT(heard, IsEmpty());
  server.put("asahi", R"({"OPENAI_API_KEY":"sk-2","COHERE_API_KEY":"co-1"})");
  after(60s);
  EXPECT_THAT(heard, ElementsAre(UnorderedElementsAre(Pair("OPENAI_API_KEY", "sk-2"),
                                                      Pair("COHERE_API_KEY", "co-1"),
                                                      Pair("ASAHI_JWT_SECRET", ""))));
  after(60s);
  EXPECT_EQ(heard.size(), 1U);
}

TEST_F(VaultTest, ARotatedSecretReachesTheSourceWithItsOverlap) {
  ASSERT_TRUE(start());
  SecretSource source(clock, 1h, {{"OPENAI_API_KEY", Secret("sk-1")}});
  server.put("asahi", R"({"OPENAI_API_KEY":"sk-2"})");
  after(60s);
  ASSERT_EQ(heard.size(), 1U);
  SecretSource::Values news;
  for (const auto& [name, value] : heard[0]) news.emplace(name, Secret(value));
  source.update(news);
  EXPECT_EQ(source.get("OPENAI_API_KEY").reveal(), "sk-2");
  EXPECT_TRUE(source.matches("OPENAI_API_KEY", "sk-1"));
}

TEST_F(VaultTest, RenewsTheTokenAtHalfItsLife) {
  server.add_token("hvs.given", {.ttl = 100});
  server.renew_gives(100);
  ASSERT_TRUE(start());
  EXPECT_EQ(after(49s), 1);
  EXPECT_THAT(server.calls(), IsEmpty());
  EXPECT_EQ(after(1s), 10);
  EXPECT_THAT(server.calls(), ElementsAre(kRenewCall));
  after(10s);
  EXPECT_THAT(server.calls(), ElementsAre(kReadCall));
  EXPECT_EQ(after(40s), 20);
  EXPECT_THAT(server.calls(), ElementsAre(kRenewCall));
}

TEST_F(VaultTest, LogsInAgainWhenRenewalsGetShort) {
  use_kubernetes();
  server.allow_role("asahi", "jwt-1", {.ttl = 100});
  ASSERT_TRUE(start());
  server.renew_gives(40);
  after(50s);
  EXPECT_THAT(server.calls(), ElementsAre(kRenewCall));
  write_jwt("jwt-2");  // Kubernetes renews it, too
  server.allow_role("asahi", "jwt-2", {.ttl = 100});
  after(20s);
  EXPECT_THAT(server.calls(), Contains(kLoginCall));
  after(60s);
  EXPECT_EQ(server.last_header("X-Vault-Token"), "hvs.login-2");
}

TEST_F(VaultTest, LogsInAgainAndReadsAtOnceWhenTheTokenWasRevoked) {
  use_kubernetes();
  ASSERT_TRUE(start());
  server.expire();
  server.put("asahi", R"({"OPENAI_API_KEY":"sk-2","ASAHI_JWT_SECRET":"jwt"})");
  EXPECT_EQ(after(60s), 60);
  EXPECT_THAT(server.calls(), ElementsAre(kReadCall, kLoginCall, kReadCall));
  EXPECT_THAT(heard, ElementsAre(ElementsAre(Pair("OPENAI_API_KEY", "sk-2"))));
}

TEST_F(VaultTest, ARevokedGivenTokenKeepsTheSecretsAndSlowsDown) {
  ASSERT_TRUE(start());
  server.expire();
  EXPECT_EQ(after(60s), 1);
  EXPECT_THAT(server.calls(), ElementsAre(kReadCall));
  EXPECT_EQ(after(1s), 2);
  EXPECT_EQ(after(2s), 4);
  EXPECT_THAT(heard, IsEmpty());
  server.add_token("hvs.given", {});
  EXPECT_EQ(after(4s), 60);
  EXPECT_THAT(heard, IsEmpty());
}

TEST_F(VaultTest, RepeatsWhatMayHelpAFewTimes) {
  for (const int status : {429, 500, 502, 503, 412, 473}) {
    server.fault("asahi", {.status = status}, 2);
    const auto values = start();
    ASSERT_TRUE(values) << status << values.error().message;
    EXPECT_THAT(server.calls(), ElementsAre(kLookUpCall, kReadCall, kReadCall, kReadCall))
        << status;
  }
}

TEST_F(VaultTest, GivesUpWithANamedError) {
  struct Case {
    int status;
    Errc code;
    std::size_t calls;
  };
  for (const auto& [status, code, calls] :
       {Case{403, Errc::kForbidden, 1}, Case{404, Errc::kNotFound, 1},
        Case{400, Errc::kInvalidArgument, 1}, Case{429, Errc::kRateLimited, 3},
        Case{500, Errc::kUnavailable, 3}, Case{503, Errc::kUnavailable, 3}}) {
    server.fault("asahi", {.status = status, .body = R"({"errors":["hvs.given sk-1"]})"},
                 static_cast<int>(calls));
    server.calls();
    const auto values = start();
    ASSERT_FALSE(values) << status;
    EXPECT_EQ(values.error().code, code) << status;
    EXPECT_EQ(values.error().upstream_status, status);
    EXPECT_EQ(server.calls().size(), 1 + calls) << status;
    EXPECT_THAT(values.error().message, Not(HasSubstr("hvs")));
    EXPECT_THAT(values.error().message, Not(HasSubstr("sk-")));
  }
}

TEST_F(VaultTest, ADeletedSecretIsNotFoundAtTheStartAndKeptLater) {
  ASSERT_TRUE(start());
  server.remove("asahi");
  EXPECT_EQ(after(60s), 1);
  EXPECT_THAT(heard, IsEmpty());
  const auto values = start();
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kNotFound);
}

TEST_F(VaultTest, DoesNotWaitLongerThanItsTimeoutForASlowVault) {
  options.timeout = 50ms;
  options.total = 100ms;
  server.fault("asahi", {.delay = 20s}, 3);
  const auto begin = std::chrono::steady_clock::now();
  const auto values = start();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kTimeout);
}

TEST_F(VaultTest, GivesUpAtOnceWhenToldToWaitPastItsTime) {
  options.total = 500ms;
  server.fault("asahi", {.status = 429, .retry_after = "30"});
  const auto values = start();
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kRateLimited);
  EXPECT_EQ(values.error().retry_after, 30s);
}

TEST_F(VaultTest, TakesNonsenseForAnErrorOfVault) {
  for (const char* body : {"<html>", "{}", R"({"data":{"OPENAI_API_KEY":"sk-1"}})"}) {
    server.fault("asahi", {.status = 200, .body = body});
    const auto values = start();
    ASSERT_FALSE(values) << body;
    EXPECT_EQ(values.error().code, Errc::kUpstream);
  }
}

TEST_F(VaultTest, AnUnreachableVaultIsUnavailable) {
  options.address = "http://127.0.0.1:1";
  const auto values = start();
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kUnavailable);
}

TEST_F(VaultTest, AnUnknownRoleOrAMissingServiceAccountSaysSo) {
  use_kubernetes();
  options.role = "nobody";
  auto values = start();
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(values.error().message, HasSubstr("VAULT_ROLE"));
  write_jwt("forged");
  options.role = "asahi";
  values = start();
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().code, Errc::kForbidden);
  for (const auto& bad : {std::string(), std::string(20'000, 'j')}) {
    write_jwt(bad);
    values = start();
    ASSERT_FALSE(values);
    EXPECT_EQ(values.error().code, Errc::kUnavailable);
    EXPECT_THAT(values.error().message, HasSubstr("ASAHI_VAULT_JWT_FILE"));
  }
}

TEST_F(VaultTest, ATokenThatMayNotLookAtItselfWorksAllTheSame) {
  server.fault("lookup-self", {.status = 403});
  EXPECT_TRUE(start());
  EXPECT_EQ(after(60s), 60);
}

TEST_F(VaultTest, ChecksTheServersCertificate) {
  const net_testing::TemporaryCertificate certificate("127.0.0.1");
  testing::FakeVault secure(
      http::TlsFiles{certificate.certificate_file(), certificate.private_key_file()});
  secure.add_token("hvs.given", {});
  secure.put("asahi", R"({"OPENAI_API_KEY":"sk-tls"})");
  options.address = secure.address();
  const auto refused = start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_THAT(secure.calls(), IsEmpty());
  options.ca_file = certificate.certificate_file();
  const auto values = start();
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_EQ(values->at("OPENAI_API_KEY"), "sk-tls");
}

TEST_F(VaultTest, RunEndsWhenItIsCancelledInTheMiddleOfACall) {
  ASSERT_TRUE(start());
  server.fault("asahi", {.delay = 20s}, 3);
  clock.advance(60s);
  const auto begin = std::chrono::steady_clock::now();
  run<int>([this]() -> Aw<int> {
    auto cancel = std::make_shared<CancelSource>();
    const auto deadline =
        loops.at(0).at(std::chrono::steady_clock::now() + 50ms, [cancel] { cancel->cancel(); });
    co_await vault->run(*cancel);
    co_return 0;
  });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(VaultOptions, ComeFromTheEnvironment) {
  std::map<std::string, std::string, std::less<>> env;
  const auto lookup = [&](std::string_view name) -> std::optional<std::string> {
    const auto at = env.find(name);
    return at == env.end() ? std::nullopt : std::optional(at->second);
  };
  EXPECT_FALSE(VaultOptions::from(lookup).value());
  env["VAULT_ADDR"] = "https://vault:8200";
  EXPECT_EQ(VaultOptions::from(lookup).error().field, "VAULT_PATH");
  env["VAULT_PATH"] = "secret/asahi";
  EXPECT_EQ(VaultOptions::from(lookup).error().field, "VAULT_TOKEN");
  env["VAULT_ROLE"] = "asahi";
  auto options = VaultOptions::from(lookup).value();
  ASSERT_TRUE(options);
  EXPECT_EQ(options->role, "asahi");
  EXPECT_EQ(options->jwt_file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
  env["ASAHI_VAULT_REFRESH_SECONDS"] = "30";
  env["ASAHI_VAULT_JWT_FILE"] = "/token";
  env["ASAHI_VAULT_KUBERNETES_MOUNT"] = "k8s-prod";
  env["VAULT_CACERT"] = "/ca.pem";
  options = VaultOptions::from(lookup).value();
  EXPECT_EQ(options->read_every, 30s);
  EXPECT_EQ(options->jwt_file, "/token");
  EXPECT_EQ(options->kubernetes_mount, "k8s-prod");
  EXPECT_EQ(options->ca_file, "/ca.pem");
  for (const char* bad : {"4", "86401", "x", "5s", "-5"}) {
    env["ASAHI_VAULT_REFRESH_SECONDS"] = bad;
    EXPECT_EQ(VaultOptions::from(lookup).error().field, "ASAHI_VAULT_REFRESH_SECONDS") << bad;
  }
}

TEST_F(VaultTest, RefusesAnAddressOrPathThatIsNone) {
  options.address = "vault:8200";
  EXPECT_EQ(make().error().field, "VAULT_ADDR");
  options.address = server.address();
  options.path = "secret";
  EXPECT_EQ(make().error().field, "VAULT_PATH");
}

}  // namespace
}  // namespace asahi::identity
