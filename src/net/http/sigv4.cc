#include "net/http/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/hash.h"

namespace asahi::http {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string_view bytes_of(const Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// "20150830T123600Z".
std::string basic_time(Clock::Time time) {
  std::string text = format_rfc3339(time).substr(0, 19) + "Z";
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// As the client writes it: the port where it is not the scheme's.
std::string host_of(const Origin& origin) {
  constexpr std::uint16_t kHttp = 80, kHttps = 443;
  const bool usual = origin.port == (origin.tls ? kHttps : kHttp);
  return usual ? origin.host : fmt::format("{}:{}", origin.host, origin.port);
}

}  // namespace

void sign_aws(ClientRequest& request, const AwsSigner& signer, Clock::Time now) {
  const std::string time = basic_time(now);
  const std::string day = time.substr(0, 8);
  request.headers.set("X-Amz-Date", time);
  if (!signer.session_token.empty())
    request.headers.set("X-Amz-Security-Token", signer.session_token);

  std::map<std::string, std::string> headers{{"host", host_of(request.origin)}};
  for (const auto& [name, value] : request.headers)
    headers[lower(name)] = std::string(trimmed(value));
  std::string listed, names;
  for (const auto& [name, value] : headers) {
    listed += fmt::format("{}:{}\n", name, value);
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string target = request.origin.base_path + request.target;
  const std::size_t query = target.find('?');
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", to_string(request.method), target.substr(0, query),
                  query == std::string::npos ? "" : target.substr(query + 1), listed, names,
                  to_hex(sha256(request.body)));
  const std::string scope =
      fmt::format("{}/{}/{}/aws4_request", day, signer.region, signer.service);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, to_hex(sha256(canonical)));
  Digest256 key = hmac_sha256("AWS4" + signer.secret_access_key.reveal(), day);
  for (const std::string_view part :
       {std::string_view(signer.region), std::string_view(signer.service),
        std::string_view("aws4_request")})
    key = hmac_sha256(bytes_of(key), part);
  request.headers.set(
      "Authorization",
      fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                  signer.access_key_id, scope, names, to_hex(hmac_sha256(bytes_of(key), to_sign))));
}

}  // namespace asahi::http
