#pragma once
// What every login at somebody else's page (OIDC, SAML) has in common: where the browser finds this
// gateway, how it is sent on, how it is told no, and what becomes of who logged in.

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "identity/tokens/token_routes.h"
#include "identity/users/sessions.h"
#include "identity/users/users.h"
#include "net/http/context.h"

namespace asahi::identity {

/// One way to log in, as the login page shows it.
struct LoginOption {
  std::string id, name;
  std::string type;       ///< "oidc" or "saml"
  std::string login_url;  ///< path on this host
};

/// Who came back from an identity provider.
struct SignedIn {
  User user;
  Session session;
};

/// References outlive it. Callable from any loop.
class BrowserLogin {
 public:
  struct Parts {
    Users& users;
    Sessions& sessions;
    /// Sessions::cookie.
    std::function<std::string(const Session&, bool secure)> session_cookie;
    /// Where browsers reach this gateway ("https://gw.example.com"). Empty: taken from Host, on
    /// this machine only (127.0.0.1, localhost).
    std::string public_url;
    RecordAudit audit;
    ClientIp client_ip;
  };
  /// Errors: invalid_argument (public_url).
  static Result<BrowserLogin> make(Parts parts);

  /// The gateway's own address, without '/' at its end. Errors: unavailable (no public_url, and the
  /// caller is not on this machine).
  Result<std::string> base_url(const http::Request& request) const;
  /// Cookies are Secure but over plain HTTP on this machine.
  bool is_secure(const http::Request& request) const;

  /// The user whom an identity provider vouches for, with a session. Texts that no table holds are
  /// refused, names are mended. Errors: as Users::sign_in; unauthenticated.
  Task<SignedIn> sign_in(SsoIdentity identity) const;
  std::string session_cookie(const Session& session, bool secure) const {
    return parts_.session_cookie(session, secure);
  }

  /// A page for browsers, the native body for others.
  http::Response answer(const Error& error, const http::Context& context) const;
  static http::Response redirect(int status, const std::string& location,
                                 const std::string& cookie);
  /// One line of the audit log. `resource`: "oidc/<provider>", "saml/<org>".
  void record(const http::Context& context, std::string resource, std::string org_id,
              std::string user_id, bool success, json::object details = {}) const;

 private:
  explicit BrowserLogin(Parts parts) : parts_(std::move(parts)) {}
  Parts parts_;
};

/// True for http://127.0.0.1, http://[::1] and http://localhost.
bool is_local_http(std::string_view url);

/// The one answer to a login that did not come to its end.
Error failed_login();

}  // namespace asahi::identity
