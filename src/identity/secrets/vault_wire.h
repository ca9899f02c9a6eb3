#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "identity/secrets/secret_source.h"
#include "net/http/message.h"

// What goes over the wire between us and Vault, without the wire: HTTP API v1, KV version 2
// (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2).
namespace asahi::identity::vault {

/// A secret's place: VAULT_PATH is "secret/asahi" as the command line has it, or
/// "secret/data/asahi" as the API has it, which also tells where a mount with slashes ends.
struct Path {
  std::string mount;
  std::string name;

  /// Errors: invalid_argument.
  static Result<Path> parse(std::string_view text);
  /// "/v1/secret/data/asahi"
  std::string target() const;
};

/// A token and how long it lives.
struct Token {
  Secret token;
  std::chrono::seconds ttl{0};  ///< 0: for ever
  bool renewable = false;
};

/// One version of a secret: its members by name.
struct Bundle {
  SecretSource::Values values;
  std::int64_t version = 0;
  std::vector<std::string>
      ignored;  ///< names whose values are no text, or that are no variable's name
};

/// {"role", "jwt"} of auth/<mount>/login.
std::string login_body(const std::string& role, const Secret& jwt);
/// The token of a login or a renewal ("auth"). Errors: upstream.
Result<Token> parse_auth(std::string_view body);
/// The life of the own token (auth/token/lookup-self: "data"); `token` is empty. Errors: upstream.
Result<Token> parse_lookup(std::string_view body);
/// Errors: upstream; for a reply of KV version 1 it says so.
Result<Bundle> parse_bundle(std::string_view body);

/// What a refusal means. Vault's own words are left out: they may repeat what was sent.
/// 400 invalid_argument, 401 and 403 forbidden, 404 not_found, 412 and 5xx and 473 unavailable, 429
/// rate_limited with Retry-After, anything else upstream.
Error refusal(int status, const http::Headers& headers, std::string_view what);

/// When which call is due: the token first, renewed at half its life; then the secret, read at an
/// interval. Pure: no clock, no calls.
class Schedule {
 public:
  using Steady = Clock::Steady;
  enum class Login { kGivenToken, kKubernetes };
  enum class Call { kLogIn, kLookUp, kRenew, kRead };

  Schedule(Login login, std::chrono::seconds read_every) : login_(login), read_every_(read_every) {}

  /// When the next call is due (the past: now), and which one it is.
  struct Due {
    Call call;
    Steady at;
  };
  Due next() const;

  void on_token(std::chrono::seconds ttl, bool renewable, Steady now);
  void on_read(Steady now);
  /// Without a token, or when the secret cannot be read, everything waits for 1 s after a failure,
  /// twice as long after each further one, up to a minute. A renewal that fails is tried again
  /// after a tenth of the token's life and holds up nothing else. Under Kubernetes a refused
  /// renewal or reading logs in again, the first time at once; a given token that cannot be renewed
  /// is used up.
  void on_failure(Call call, Errc code, Steady now);

 private:
  const Login login_;
  const std::chrono::seconds read_every_;
  bool has_token_ = false;
  bool renewable_ = false;
  std::chrono::seconds ttl_{0};
  std::chrono::seconds first_ttl_{0};  ///< at login
  Steady renew_at_{};
  Steady read_at_ = Steady::min();
  Steady hold_until_ = Steady::min();
  int failures_ = 0;  ///< since the last reading
};

}  // namespace asahi::identity::vault
