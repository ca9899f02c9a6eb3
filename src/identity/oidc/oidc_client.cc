#include "identity/oidc/oidc_client.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "identity/http/browser_login.h"
#include "identity/oidc/id_token.h"
#include "identity/tokens/form.h"
#include "identity/tokens/strict_json.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxDocument = 256 * 1024;
constexpr std::size_t kMaxTokenReply = 64 * 1024;
constexpr std::chrono::seconds kPatience{10};

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

OidcClient::OidcClient(OidcProvider provider, HttpFetch fetch, const Clock& clock)
    : provider_(std::move(provider)), fetch_(std::move(fetch)), clock_(clock) {}

Task<std::shared_ptr<const OidcClient::Endpoints>> OidcClient::discover() {
  std::shared_ptr<const Endpoints> known;
  {
    const std::scoped_lock lock(mutex_);
    known = endpoints_;
    const auto now = clock_.steady_now();
    if (known != nullptr && now - fetched_at_ < kFresh) co_return known;
    if (failed_at_ && now - *failed_at_ < kPause) {
      if (known != nullptr) co_return known;
      co_return fail(Errc::kUnavailable,
                     "the identity provider cannot be reached; try again in a few seconds");
    }
  }
  std::string url = provider_.issuer;
  if (url.ends_with('/')) url.pop_back();
  url += "/.well-known/openid-configuration";
  const auto document =
      co_await fetch_document(fetch_, url, kMaxDocument, std::chrono::steady_clock::now());
  auto metadata = document ? parse_oidc_metadata(*document, provider_.issuer)
                           : std::unexpected(document.error());
  const std::scoped_lock lock(mutex_);
  if (!metadata) {
    failed_at_ = clock_.steady_now();
    log_.warning("cannot read a provider's discovery document",
                 {{"provider", provider_.id}, {"reason", metadata.error().message}});
    if (known != nullptr) co_return known;
    co_return fail(Errc::kUnavailable,
                   "the identity provider cannot be reached; try again in a few seconds");
  }
  auto fresh = std::make_shared<Endpoints>();
  // The keys are kept where the address is: they have their own hour.
  if (endpoints_ != nullptr && endpoints_->metadata.jwks_uri == metadata->jwks_uri) {
    fresh->keys = endpoints_->keys;
  } else {
    fresh->keys = std::make_shared<RemoteJwks>(metadata->jwks_uri, fetch_, clock_);
  }
  fresh->metadata = std::move(*metadata);
  endpoints_ = fresh;
  fetched_at_ = clock_.steady_now();
  failed_at_.reset();
  co_return std::move(fresh);
}

Task<std::string> OidcClient::login_url(LoginStates::Begun begun, std::string redirect_uri) {
  ASAHI_CO_TRY(const auto endpoints, co_await discover());
  std::string url = endpoints->metadata.authorization_endpoint;
  url += url.find('?') == std::string::npos ? '?' : '&';
  append_form(url, "response_type", "code");
  append_form(url, "client_id", provider_.client_id);
  append_form(url, "redirect_uri", redirect_uri);
  append_form(url, "scope", fmt::format("{}", fmt::join(provider_.scopes, " ")));
  append_form(url, "state", begun.state);
  append_form(url, "nonce", begun.login.nonce);
  append_form(url, "code_challenge", pkce_challenge(begun.login.verifier));
  append_form(url, "code_challenge_method", "S256");
  co_return url;
}

Task<JwtClaims> OidcClient::redeem(std::string code, std::optional<std::string> issuer,
                                   PendingLogin login, std::string redirect_uri) {
  ASAHI_CO_TRY(const auto endpoints, co_await discover());
  const OidcMetadata& metadata = endpoints->metadata;
  if (issuer ? *issuer != provider_.issuer : metadata.sends_issuer)
    co_return refuse("mixed_up_issuer");

  ASAHI_CO_TRY(auto request, request_to(http::Method::kPost, metadata.token_endpoint));
  append_form(request.body, "grant_type", "authorization_code");
  append_form(request.body, "code", code);
  append_form(request.body, "redirect_uri", redirect_uri);
  append_form(request.body, "code_verifier", login.verifier);
  const std::string& secret = provider_.client_secret.reveal();
  if (!secret.empty() && metadata.basic_auth) {
    request.headers.add("Authorization",
                        "Basic " + base64_encode(http::percent_encode(provider_.client_id) + ":" +
                                                 http::percent_encode(secret)));
  } else {
    append_form(request.body, "client_id", provider_.client_id);
    if (!secret.empty()) append_form(request.body, "client_secret", secret);
  }
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.headers.add("Accept", "application/json");
  ASAHI_CO_TRY(
      const auto reply,
      co_await fetch_(std::move(request), {.deadline = std::chrono::steady_clock::now() + kPatience,
                                           .idle_timeout = kPatience}));
  const auto body =
      reply.body.size() <= kMaxTokenReply ? parse_strict_object(reply.body, 16) : std::nullopt;
  if (reply.status != 200) {
    const std::string error = body ? text_of(*body, "error") : "";
    if (error == "invalid_grant") co_return refuse("code_refused");
    log_.warning(
        "a provider's token endpoint failed",
        {{"provider", provider_.id}, {"status", reply.status}, {"error", error.substr(0, 64)}});
    co_return fail(Errc::kUpstream,
                   "the identity provider refused this gateway; see its log for the reason");
  }
  if (!body)
    co_return fail(Errc::kUpstream,
                   "the identity provider's token endpoint did not answer with JSON");

  const std::string id_token = text_of(*body, "id_token");
  const auto parts = split_jwt(id_token);
  if (!parts) co_return refuse(to_string(parts.error()));
  ASAHI_CO_TRY(const auto keys, co_await endpoints->keys->keys(parts->kid, parts->alg));
  auto claims = verify_id_token(id_token, *keys,
                                {.issuer = provider_.issuer,
                                 .client_id = provider_.client_id,
                                 .nonce = login.nonce,
                                 .access_token = text_of(*body, "access_token")},
                                clock_.now());
  if (!claims) co_return refuse(claims.error());
  co_return std::move(*claims);
}

std::unexpected<Error> OidcClient::refuse(std::string_view reason) const {
  log_.warning("a login was refused", {{"provider", provider_.id}, {"reason", reason}});
  return std::unexpected(failed_login());
}

}  // namespace asahi::identity
