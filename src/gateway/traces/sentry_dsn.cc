#include "gateway/traces/sentry_dsn.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {
namespace {

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

}  // namespace

std::string SentryDsn::auth() const {
  std::string text = fmt::format("Sentry sentry_version=7, sentry_client=asahi/{}, sentry_key={}",
                                 ASAHI_VERSION, public_key);
  if (!secret_key.empty()) text += ", sentry_secret=" + secret_key;
  return text;
}

Result<SentryDsn> parse_sentry_dsn(std::string_view dsn) {
  const auto bad = [](std::string_view why) {
    return fail(Errc::kInvalidArgument,
                fmt::format("must be like https://<key>@<host>/<project>: {}", why));
  };
  const std::size_t scheme = dsn.find("://");
  if (scheme == std::string_view::npos) return bad("it has no scheme");
  const std::string_view rest = dsn.substr(scheme + 3);
  const std::size_t at = rest.find('@');
  if (at == std::string_view::npos || at > rest.find('/')) return bad("it has no key");
  SentryDsn made;
  const std::string_view keys = rest.substr(0, at);
  const std::size_t colon = std::min(keys.find(':'), keys.size());
  made.public_key = keys.substr(0, colon);
  if (!is_key(made.public_key)) return bad("its key is none");
  if (colon < keys.size()) {
    made.secret_key = keys.substr(colon + 1);
    if (!is_key(made.secret_key)) return bad("its secret key is none");
  }
  const std::string_view place = rest.substr(at + 1);
  const std::size_t slash = place.rfind('/');
  if (slash == std::string_view::npos) return bad("it has no project");
  made.project = place.substr(slash + 1);
  if (!is_key(made.project)) return bad("its project is none");
  auto origin =
      http::Origin::parse(fmt::format("{}://{}", dsn.substr(0, scheme), place.substr(0, slash)));
  if (!origin) return bad("its host is none, or the scheme is not http or https");
  made.origin = *std::move(origin);
  return made;
}

}  // namespace asahi::gateway
