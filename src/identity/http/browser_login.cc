#include "identity/http/browser_login.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/markup.h"
#include "base/utf8.h"
#include "net/http/ascii.h"
#include "net/http/client.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxText = 255;  // of subjects, names and addresses: what the tables hold
constexpr std::size_t kShownAgent = 256;

bool is_control(char c) { return (c >= 0 && c < ' ') || c == 0x7f; }

/// A person's name, without control characters and cut between characters.
std::string shown_name(std::string name) {
  std::erase_if(name, is_control);
  constexpr std::size_t kLongestCharacter = 4;
  return mended_utf8(name, kMaxText - kLongestCharacter);
}

http::Response error_page(int status, std::string_view message) {
  http::Response page = http::Response::text(
      status,
      fmt::format(
          "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Login failed</title>"
          "<h1>Login failed</h1><p>{}</p><p><a href=\"/\">Back to the login page</a></p></html>\n",
          escape_markup(message)),
      "text/html; charset=utf-8");
  page.headers.set("Content-Security-Policy", "default-src 'none'");
  return page;
}

}  // namespace

Error failed_login() {
  return fail(Errc::kUnauthenticated,
              "the login could not be completed; start it again from the login page")
      .error();
}

bool is_local_http(std::string_view url) {
  const auto origin = http::Origin::parse(url.substr(0, url.find('?')));
  return origin && !origin->tls &&
         (origin->host == "127.0.0.1" || origin->host == "::1" || origin->host == "localhost");
}

Result<BrowserLogin> BrowserLogin::make(Parts parts) {
  if (!parts.public_url.empty() && !http::Origin::parse(parts.public_url)) {
    return fail(Errc::kInvalidArgument,
                "the public URL must be an http:// or https:// URL without query");
  }
  return BrowserLogin(std::move(parts));
}

Result<std::string> BrowserLogin::base_url(const http::Request& request) const {
  std::string base = parts_.public_url;
  if (base.empty())
    base = fmt::format("{}://{}", request.tls ? "https" : "http", request.headers.get("Host"));
  if (base.ends_with('/')) base.pop_back();
  if (parts_.public_url.empty() && !is_local_http(base)) {
    return fail(Errc::kUnavailable,
                "logins need the address of this gateway; set its public URL in the configuration");
  }
  return base;
}

bool BrowserLogin::is_secure(const http::Request& request) const {
  if (request.tls || parts_.public_url.starts_with("https://")) return true;
  return !is_local_http(fmt::format("http://{}", request.headers.get("Host")));
}

Task<SignedIn> BrowserLogin::sign_in(SsoIdentity identity) const {
  std::ranges::transform(identity.email, identity.email.begin(), http::ascii_lower);
  identity.full_name = shown_name(std::move(identity.full_name));
  // What no table holds and no mail server takes.
  if (identity.subject.size() > kMaxText || identity.email.size() > kMaxText ||
      std::ranges::any_of(identity.email, is_control)) {
    co_return std::unexpected(failed_login());
  }
  ASAHI_CO_TRY(auto user, co_await parts_.users.sign_in(std::move(identity)));
  ASAHI_CO_TRY(auto session, co_await parts_.sessions.open(user));
  co_return SignedIn{std::move(user), std::move(session)};
}

http::Response BrowserLogin::answer(const Error& error, const http::Context& context) const {
  http::Response response;
  if (context.request.headers.get("Accept").find("text/html") != std::string_view::npos) {
    response = error_page(http::http_status(error.code), error.message);
  } else {
    response = http::native_error(error, context);
  }
  response.headers.set("Cache-Control", "no-store");
  return response;
}

http::Response BrowserLogin::redirect(int status, const std::string& location,
                                      const std::string& cookie) {
  http::Response response;
  response.status = status;
  response.headers.add("Location", location);
  response.headers.add("Set-Cookie", cookie);
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("Referrer-Policy", "no-referrer");
  return response;
}

void BrowserLogin::record(const http::Context& context, std::string resource, std::string org_id,
                          std::string user_id, bool success, json::object details) const {
  AuditEntry entry;
  entry.org_id = std::move(org_id);
  entry.user_id = std::move(user_id);
  entry.action = success ? "login" : "auth_failure";
  entry.resource = std::move(resource);
  entry.details = std::move(details);
  entry.ip_address = parts_.client_ip(context.request);
  entry.user_agent = mended_utf8(context.request.headers.get("User-Agent"), kShownAgent);
  entry.result = success ? "success" : "denied";
  parts_.audit(std::move(entry));
}

}  // namespace asahi::identity
