#include "identity/http/authenticators.h"

#include "base/hash.h"

namespace asahi::identity {
namespace {

using Verified = Result<std::shared_ptr<const Principal>>;

std::unexpected<Error> refused() {
  return fail(Errc::kUnauthenticated, std::string(ApiKeys::kRefused));
}

std::string_view bearer(const http::Request& request) {
  std::string_view value = request.headers.get("Authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() <= kScheme.size()) return {};
  for (std::size_t at = 0; at < kScheme.size(); ++at) {
    const char c = value[at];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kScheme[at]) return {};
  }
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

class KeyAuthenticator final : public Authenticator {
 public:
  explicit KeyAuthenticator(ApiKeys& keys) : keys_(keys) {}

  bool applies(const http::Context& context) const override { return !key_in(context).empty(); }
  std::optional<Verified> try_authenticate(http::Context& context) override {
    return keys_.try_verify(key_in(context));
  }
  Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) override {
    return keys_.verify(std::string(key_in(context)));
  }

 private:
  std::string_view key_in(const http::Context& context) const {
    if (const std::string_view token = bearer(context.request); keys_.is_ours(token)) return token;
    if (const std::string_view key = context.request.headers.get("x-api-key"); keys_.is_ours(key))
      return key;
    return {};
  }

  ApiKeys& keys_;
};

class StaticTokenAuthenticator final : public Authenticator {
 public:
  explicit StaticTokenAuthenticator(Secret token) : token_(std::move(token)) {
    auto principal = std::make_shared<Principal>();
    principal->kind = Principal::Kind::kToken;
    principal->user_id = "api-token";
    principal->permissions = {Permission::kIngestUpload, Permission::kQuerySearch,
                              Permission::kSystemStatus};
    principal_ = std::move(principal);
  }

  bool applies(const http::Context& context) const override {
    const http::Request& request = context.request;
    return is_ours(bearer(request)) || is_ours(request.headers.get("x-api-key"));
  }
  std::optional<Verified> try_authenticate(http::Context&) override { return principal_; }
  Task<std::shared_ptr<const Principal>> authenticate(http::Context&) override {
    co_return principal_;
  }

 private:
  bool is_ours(std::string_view given) const { return equal_constant_time(given, token_.reveal()); }

  const Secret token_;
  std::shared_ptr<const Principal> principal_;
};

class AdminAuthenticator final : public Authenticator {
 public:
  AdminAuthenticator(std::function<bool(std::string_view)> is_secret, Lockout& lockout,
                     std::function<std::string(const http::Request&)> client_ip)
      : is_secret_(std::move(is_secret)), lockout_(lockout), client_ip_(std::move(client_ip)) {
    auto principal = std::make_shared<Principal>();
    principal->kind = Principal::Kind::kOperator;
    principal->user_id = "operator";
    principal->role = "operator";
    principal->permissions = *builtin_role("operator");
    operator_ = std::move(principal);
  }

  bool applies(const http::Context& context) const override {
    return context.request.headers.has("X-Admin-Secret");
  }
  /// The lock-out may be far away.
  std::optional<Verified> try_authenticate(http::Context&) override { return std::nullopt; }
  Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) override {
    const std::string subject = "admin:" + client_ip_(context.request);
    ASAHI_CO_TRY(Lockout::Attempt attempt, co_await lockout_.begin({subject}));
    if (!is_secret_(context.request.headers.get("X-Admin-Secret"))) {
      co_await lockout_.failed(std::move(attempt));
      co_return refused();
    }
    co_await lockout_.succeeded(std::move(attempt), subject);
    co_return operator_;
  }

 private:
  const std::function<bool(std::string_view)> is_secret_;
  Lockout& lockout_;
  const std::function<std::string(const http::Request&)> client_ip_;
  std::shared_ptr<const Principal> operator_;
};

class SessionAuthenticator final : public Authenticator {
 public:
  SessionAuthenticator(Sessions& sessions, Roles& roles, Tenants& tenants)
      : sessions_(sessions), roles_(roles), tenants_(tenants) {}

  bool applies(const http::Context& context) const override {
    return !Sessions::id_in(context.request).empty();
  }
  std::optional<Verified> try_authenticate(http::Context&) override { return std::nullopt; }
  Task<std::shared_ptr<const Principal>> authenticate(http::Context& context) override {
    ASAHI_CO_TRY(const auto session,
                 co_await sessions_.find(std::string(Sessions::id_in(context.request))));
    if (!session) {
      context.reply_headers.add("Set-Cookie",
                                Sessions::expired_cookie(wants_secure_cookie(context.request)));
      co_return refused();
    }
    if (!is_read(context.request.method) &&
        !equal_constant_time(context.request.headers.get("X-CSRF-Token"), session->csrf_token)) {
      co_return fail(
          Errc::kForbidden,
          "a change needs the session's token in the header X-CSRF-Token; GET /auth/me tells it");
    }
    auto principal = std::make_shared<Principal>();
    principal->kind = Principal::Kind::kSession;
    principal->org_id = session->org_id;
    principal->user_id = session->user_id;
    principal->role = session->role;
    ASAHI_CO_TRY(principal->permissions,
                 co_await roles_.permissions(session->org_id, session->role));
    ASAHI_CO_TRY(OrgState org, co_await tenants_.state(session->org_id));
    principal->org_active = org.active;
    principal->plan = std::move(org.plan);
    co_return principal;
  }

 private:
  Sessions& sessions_;
  Roles& roles_;
  Tenants& tenants_;
};

}  // namespace

std::shared_ptr<Authenticator> make_key_authenticator(ApiKeys& keys) {
  return std::make_shared<KeyAuthenticator>(keys);
}

std::shared_ptr<Authenticator> make_admin_authenticator(
    std::function<bool(std::string_view)> is_secret, Lockout& lockout,
    std::function<std::string(const http::Request&)> client_ip) {
  return std::make_shared<AdminAuthenticator>(std::move(is_secret), lockout, std::move(client_ip));
}

std::shared_ptr<Authenticator> make_static_token_authenticator(Secret token) {
  return std::make_shared<StaticTokenAuthenticator>(std::move(token));
}

std::shared_ptr<Authenticator> make_session_authenticator(Sessions& sessions, Roles& roles,
                                                          Tenants& tenants) {
  return std::make_shared<SessionAuthenticator>(sessions, roles, tenants);
}

bool is_read(http::Method method) {
  return method == http::Method::kGet || method == http::Method::kHead ||
         method == http::Method::kOptions;
}

bool wants_secure_cookie(const http::Request& request) {
  const std::string& peer = request.remote_address;
  const bool here = peer == "::1" || peer.starts_with("127.") || peer.starts_with("::ffff:127.");
  return request.tls || !here || request.headers.has("X-Forwarded-For") ||
         request.headers.get("X-Forwarded-Proto") == "https";
}

}  // namespace asahi::identity
