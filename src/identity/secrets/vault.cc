#include "identity/secrets/vault.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "identity/secrets/vault_wire.h"
#include "net/blocking.h"
#include "net/http/client.h"

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using vault::Schedule;
using RealClock = std::chrono::steady_clock;

constexpr std::size_t kMaxReply = 1024 * 1024;
constexpr std::size_t kMaxJwt = 16 * 1024;

const Logger& logger() {
  static const Logger instance("vault");
  return instance;
}

std::string_view what_of(Schedule::Call call) {
  switch (call) {
    case Schedule::Call::kLogIn:
      return "log in";
    case Schedule::Call::kLookUp:
      return "look up the token";
    case Schedule::Call::kRenew:
      return "renew the token";
    case Schedule::Call::kRead:
      return "read the secrets";
  }
  return "";
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<Secret> read_jwt(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kMaxJwt + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  if (text.empty() || text.size() > kMaxJwt) {
    return fail(
        Errc::kUnavailable,
        fmt::format("the Kubernetes token of the service account in {} cannot be read; mount "
                    "it, or set ASAHI_VAULT_JWT_FILE or VAULT_TOKEN",
                    file));
  }
  return Secret(std::move(text));
}

}  // namespace

Result<std::optional<VaultOptions>> VaultOptions::from(const Lookup& variable) {
  const auto text = [&](std::string_view name) { return variable(name).value_or(""); };
  VaultOptions options;
  options.address = text("VAULT_ADDR");
  if (options.address.empty()) return std::nullopt;
  options.path = text("VAULT_PATH");
  options.token = Secret(text("VAULT_TOKEN"));
  options.role = text("VAULT_ROLE");
  options.name_space = text("VAULT_NAMESPACE");
  options.ca_file = text("VAULT_CACERT");
  if (const auto mount = text("ASAHI_VAULT_KUBERNETES_MOUNT"); !mount.empty()) {
    options.kubernetes_mount = mount;
  }
  if (const auto file = text("ASAHI_VAULT_JWT_FILE"); !file.empty()) options.jwt_file = file;
  if (const auto every = text("ASAHI_VAULT_REFRESH_SECONDS"); !every.empty()) {
    int number = 0;
    const auto [end, problem] = std::from_chars(every.data(), every.data() + every.size(), number);
    if (problem != std::errc() || end != every.data() + every.size() || number < 5 ||
        number > 86'400) {
      return fail_field("ASAHI_VAULT_REFRESH_SECONDS", "must be a number from 5 to 86400");
    }
    options.read_every = seconds(number);
  }
  if (options.path.empty()) {
    return fail_field("VAULT_PATH", "must be set with VAULT_ADDR, such as \"secret/asahi\"");
  }
  if (options.token.empty() && options.role.empty()) {
    return fail_field("VAULT_TOKEN", "or VAULT_ROLE must be set with VAULT_ADDR");
  }
  return options;
}

struct Vault::Impl {
  net::Loop& loop;
  boost::asio::thread_pool& files;
  const Clock& clock;
  const VaultOptions options;
  const Changed changed;
  const http::Origin origin;
  const vault::Path path;
  http::Client client;
  Schedule schedule;
  Secret token;
  SecretSource::Values values;
  std::vector<std::string> ignored;
  RateLimited outage{std::chrono::minutes(5)};

  /// One call with its retries; the body of a good answer.
  Task<std::string> call(http::Method method, std::string target, std::string body,
                         std::string_view what, CancelSource* cancel) {
    const auto end = RealClock::now() + options.total;
    for (int attempt = 1;; ++attempt) {
      http::ClientRequest request{
          .method = method, .origin = origin, .target = target, .headers = {}, .body = body};
      request.headers.add("X-Vault-Request", "true");
      if (!token.empty()) request.headers.add("X-Vault-Token", token.reveal());
      if (!options.name_space.empty()) request.headers.add("X-Vault-Namespace", options.name_space);
      if (!body.empty()) request.headers.add("Content-Type", "application/json");
      auto reply = co_await client.send(
          std::move(request), {.deadline = std::min(end, RealClock::now() + options.timeout),
                               .idle_timeout = options.timeout,
                               .cancel = cancel});
      if (reply && reply->status >= 200 && reply->status < 300) co_return std::move(reply->body);
      Error error =
          reply ? vault::refusal(reply->status, reply->headers, what) : std::move(reply.error());
      const double jitter = static_cast<double>(random_u64() >> 11) * 0x1p-53;
      const auto pause =
          retry_delay(options.retry, attempt, error, jitter,
                      std::chrono::duration_cast<milliseconds>(end - RealClock::now()));
      if (!pause) co_return std::unexpected(std::move(error));
      if (!co_await loop.sleep_for(*pause, cancel)) {
        co_return fail(Errc::kCancelled, "the call to Vault was given up");
      }
    }
  }

  Task<void> log_in(CancelSource* cancel) {
    auto jwt =
        co_await net::run_blocking(files, [file = options.jwt_file] { return read_jwt(file); });
    if (!jwt) co_return std::unexpected(std::move(jwt).error());
    // A dead token with a login is refused by some proxies before it gets there. The old one comes
    // back if the login fails, for it may live for a while.
    const Secret old = std::exchange(token, Secret());
    auto made = co_await call(
        http::Method::kPost, "/v1/auth/" + options.kubernetes_mount + "/login",
        vault::login_body(options.role, *jwt), what_of(Schedule::Call::kLogIn), cancel);
    auto auth = made ? vault::parse_auth(*made) : std::unexpected(std::move(made).error());
    if (!auth) {
      token = old;
      co_return std::unexpected(std::move(auth).error());
    }
    token = std::move(auth->token);
    schedule.on_token(auth->ttl, auth->renewable, clock.steady_now());
    co_return Result<void>();
  }

  Task<void> look_up(CancelSource* cancel) {
    ASAHI_CO_TRY(const auto body, co_await call(http::Method::kGet, "/v1/auth/token/lookup-self",
                                                "", what_of(Schedule::Call::kLookUp), cancel));
    ASAHI_CO_TRY(const auto life, vault::parse_lookup(body));
    if (life.ttl > seconds(0) && !life.renewable) {
      logger().warning("the token for Vault cannot be renewed and will expire",
                       {{"seconds", life.ttl.count()}});
    }
    schedule.on_token(life.ttl, life.renewable, clock.steady_now());
    co_return Result<void>();
  }

  Task<void> renew(CancelSource* cancel) {
    ASAHI_CO_TRY(const auto body, co_await call(http::Method::kPost, "/v1/auth/token/renew-self",
                                                "{}", what_of(Schedule::Call::kRenew), cancel));
    ASAHI_CO_TRY(auto auth, vault::parse_auth(body));
    token = std::move(auth.token);
    schedule.on_token(auth.ttl, auth.renewable, clock.steady_now());
    co_return Result<void>();
  }

  /// Returns what changed.
  Task<SecretSource::Values> read(CancelSource* cancel) {
    ASAHI_CO_TRY(const auto body, co_await call(http::Method::kGet, path.target(), "",
                                                what_of(Schedule::Call::kRead), cancel));
    ASAHI_CO_TRY(auto bundle, vault::parse_bundle(body));
    schedule.on_read(clock.steady_now());
    if (std::exchange(ignored, bundle.ignored) != bundle.ignored) {
      for (const auto& name : bundle.ignored) {
        logger().warning(
            "a member of the secret in Vault is not used: its name must be that of a variable and "
            "its value a text",
            {{"name", name}});
      }
    }
    SecretSource::Values news;
    for (const auto& [name, value] : bundle.values) {
      const auto old = values.find(name);
      if (old == values.end() || old->second != value) news.emplace(name, value);
    }
    for (const auto& [name, value] : values) {
      if (!bundle.values.contains(name)) news.emplace(name, Secret());
    }
    values = std::move(bundle.values);
    co_return news;
  }

  /// Makes one call; a reading gives what changed.
  Task<SecretSource::Values> make(Schedule::Call call, CancelSource* cancel) {
    Result<SecretSource::Values> news;
    Result<void> done;
    switch (call) {
      case Schedule::Call::kLogIn:
        done = co_await log_in(cancel);
        break;
      case Schedule::Call::kLookUp:
        done = co_await look_up(cancel);
        break;
      case Schedule::Call::kRenew:
        done = co_await renew(cancel);
        break;
      case Schedule::Call::kRead:
        news = co_await read(cancel);
        break;
    }
    if (!done) news = std::unexpected(std::move(done).error());
    if (!news && news.error().code != Errc::kCancelled) {
      schedule.on_failure(call, news.error().code, clock.steady_now());
    }
    co_return news;
  }
};

Vault::Vault(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Vault::~Vault() = default;

Result<std::unique_ptr<Vault>> Vault::make(net::Loop& loop, boost::asio::thread_pool& files,
                                           const Clock& clock, VaultOptions options,
                                           Changed changed) {
  auto origin = http::Origin::parse(options.address);
  if (!origin) return fail_field("VAULT_ADDR", origin.error().message);
  ASAHI_TRY(auto path, vault::Path::parse(options.path));
  if (!origin->tls && !is_loopback(origin->host)) {
    logger().warning(
        "secrets from Vault travel without TLS; VAULT_ADDR should begin with https://");
  }
  const auto login =
      options.token.empty() ? Schedule::Login::kKubernetes : Schedule::Login::kGivenToken;
  const auto read_every = options.read_every;
  Secret token = options.token;
  http::ClientOptions client{.connect_timeout = options.timeout,
                             .max_connections_per_origin = 2,
                             .max_response_bytes = kMaxReply,
                             .ca_file = options.ca_file};
  return std::unique_ptr<Vault>(
      new Vault(std::unique_ptr<Impl>(new Impl{.loop = loop,
                                               .files = files,
                                               .clock = clock,
                                               .options = std::move(options),
                                               .changed = std::move(changed),
                                               .origin = std::move(*origin),
                                               .path = std::move(path),
                                               .client = http::Client(loop, std::move(client)),
                                               .schedule = Schedule(login, read_every),
                                               .token = std::move(token),
                                               .values = {},
                                               .ignored = {}})));
}

Task<SecretSource::Values> Vault::start() {
  while (true) {
    const auto due = impl_->schedule.next();
    auto news = co_await impl_->make(due.call, nullptr);
    if (!news) {
      // Whether the refusal ends it is for the schedule to say: a token need not know itself.
      if (due.call == Schedule::Call::kLookUp &&
          impl_->schedule.next().call == Schedule::Call::kRead) {
        continue;
      }
      co_return std::unexpected(std::move(news).error());
    }
    if (due.call == Schedule::Call::kRead) co_return std::move(*news);
  }
}

Aw<Clock::Steady> Vault::step(CancelSource* cancel) {
  // A token and a reading, and the two again when a dead token shows; the bound is for faults of
  // the server that no schedule foresees.
  for (int calls = 0; calls < 6; ++calls) {
    const auto due = impl_->schedule.next();
    if (due.at > impl_->clock.steady_now()) break;
    auto news = co_await impl_->make(due.call, cancel);
    if (!news) {
      if (news.error().code == Errc::kCancelled) break;
      if (const auto held_back = impl_->outage.pass(impl_->clock.steady_now())) {
        logger().error("Vault does not answer as it should; the secrets read last stay in use",
                       {{"call", what_of(due.call)},
                        {"code", to_string(news.error().code)},
                        {"reason", news.error().message},
                        {"suppressed", *held_back}});
      }
      continue;
    }
    if (!news->empty()) {
      logger().info("secrets changed in Vault", {{"count", news->size()}});
      if (impl_->changed) impl_->changed(*news);
    }
  }
  co_return std::max(impl_->schedule.next().at, impl_->clock.steady_now());
}

Aw<void> Vault::run(CancelSource& cancel) {
  while (!cancel.cancelled()) {
    const auto next = co_await step(&cancel);
    if (cancel.cancelled()) break;
    const auto pause = next - impl_->clock.steady_now();
    // Never in a tight loop, whatever lives the server hands out.
    co_await impl_->loop.sleep_for(std::max<std::chrono::nanoseconds>(pause, milliseconds(500)),
                                   &cancel);
  }
}

}  // namespace asahi::identity
