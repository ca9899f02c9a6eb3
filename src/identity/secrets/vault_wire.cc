#include "identity/secrets/vault_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"

namespace asahi::identity::vault {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMaxNames = 1'000;
constexpr std::size_t kMaxValue = 64 * 1024;
/// Vault's own limit is some years; beyond is nonsense.
constexpr seconds kLongestLife = std::chrono::hours(24 * 366 * 100);

bool is_variable(std::string_view name) {
  if (name.empty() || name.size() > 255 || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// The object at `root`.`name`, or null.
const json::object* member(const json::object& root, std::string_view name) {
  const json::value* const value = root.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

Result<json::value> parse_reply(std::string_view body) {
  auto parsed = parse_json(body);
  // The parser's text could show a piece of a secret.
  if (!parsed || !parsed->is_object()) {
    return fail(Errc::kUpstream,
                "Vault's answer is not a JSON object; is VAULT_ADDR the address of a Vault?");
  }
  return parsed;
}

seconds life(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return seconds(0);
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? seconds(0) : std::clamp(seconds(number), seconds(0), kLongestLife);
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace

Result<Path> Path::parse(std::string_view text) {
  constexpr std::string_view kExpected =
      "must be the path of a KV version 2 secret, such as \"secret/asahi\" or "
      "\"secret/data/asahi\"";
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  constexpr std::string_view kApi = "/data/";
  const auto api = text.find(kApi);
  const auto end = api == text.npos ? text.find('/') : api;
  Path path;
  if (end != text.npos) {
    path.mount = text.substr(0, end);
    path.name = text.substr(end + (api == text.npos ? 1 : kApi.size()));
  }
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("?#%\\").find(c) == std::string_view::npos;
  });
  if (path.mount.empty() || path.name.empty() || !plain || text.contains("//") ||
      ("/" + std::string(text) + "/").contains("/../")) {
    return fail_field("VAULT_PATH", std::string(kExpected));
  }
  return path;
}

std::string Path::target() const { return "/v1/" + mount + "/data/" + name; }

std::string login_body(const std::string& role, const Secret& jwt) {
  return write_json(json::object{{"role", role}, {"jwt", jwt.reveal()}});
}

Result<Token> parse_auth(std::string_view body) {
  ASAHI_TRY(const auto reply, parse_reply(body));
  const json::object* const auth = member(reply.get_object(), "auth");
  const json::value* const token = auth == nullptr ? nullptr : auth->if_contains("client_token");
  if (token == nullptr || !token->is_string() || token->get_string().empty()) {
    return fail(Errc::kUpstream, "Vault's answer to a login or renewal has no auth.client_token");
  }
  return Token{.token = Secret(std::string(token->get_string())),
               .ttl = life(*auth, "lease_duration"),
               .renewable = flag(*auth, "renewable")};
}

Result<Token> parse_lookup(std::string_view body) {
  ASAHI_TRY(const auto reply, parse_reply(body));
  const json::object* const data = member(reply.get_object(), "data");
  if (data == nullptr || !data->contains("ttl")) {
    return fail(Errc::kUpstream, "Vault's answer about the token has no data.ttl");
  }
  return Token{.token = Secret(), .ttl = life(*data, "ttl"), .renewable = flag(*data, "renewable")};
}

Result<Bundle> parse_bundle(std::string_view body) {
  ASAHI_TRY(const auto reply, parse_reply(body));
  const json::object* const outer = member(reply.get_object(), "data");
  const json::object* const data = outer == nullptr ? nullptr : member(*outer, "data");
  const json::object* const metadata = outer == nullptr ? nullptr : member(*outer, "metadata");
  if (data == nullptr || metadata == nullptr) {
    return fail(Errc::kUpstream,
                "Vault's answer has no data.data and data.metadata; VAULT_PATH must lie in a KV "
                "engine of version 2");
  }
  if (data->size() > kMaxNames) {
    return fail(Errc::kUpstream,
                fmt::format("the secret in Vault has more than {} members", kMaxNames));
  }
  Bundle bundle;
  if (const auto* version = metadata->if_contains("version");
      version != nullptr && version->is_int64()) {
    bundle.version = version->get_int64();
  }
  for (const auto& [key, value] : *data) {
    const std::string name(key);
    const json::string* const text = value.if_string();
    if (text == nullptr || text->empty() || text->size() > kMaxValue || !is_variable(name)) {
      bundle.ignored.push_back(name.substr(0, 64));
      continue;
    }
    bundle.values.emplace(name, Secret(std::string(*text)));
  }
  return bundle;
}

Error refusal(int status, const http::Headers& headers, std::string_view what) {
  const auto made = [&](Errc code, std::string_view why) {
    Error error;
    error.code = code;
    error.message = fmt::format("Vault refused to {}: {} (status {})", what, why, status);
    error.upstream_status = status;
    const std::string_view after = headers.get("Retry-After");
    unsigned delay = 0;
    const auto [end, problem] = std::from_chars(after.data(), after.data() + after.size(), delay);
    if (!after.empty() && problem == std::errc() && end == after.data() + after.size()) {
      error.retry_after = seconds(std::min(delay, 3'600U));
    }
    return error;
  };
  if (status == 400) {
    return made(Errc::kInvalidArgument,
                "it does not take the request; check VAULT_ROLE, VAULT_PATH and the token");
  }
  if (status == 401 || status == 403) {
    return made(Errc::kForbidden,
                "the token or role is unknown, expired or lacks a policy that allows it");
  }
  if (status == 404) {
    return made(Errc::kNotFound, "there is nothing there, or it was deleted; check VAULT_PATH");
  }
  if (status == 412) return made(Errc::kUnavailable, "this node is behind its cluster");
  if (status == 429) return made(Errc::kRateLimited, "too many requests");
  if (status == 473 || status >= 500) {
    return made(Errc::kUnavailable, "it is sealed, in standby or out of order");
  }
  if (status >= 300 && status < 400) {
    return made(Errc::kUpstream,
                "it redirects; VAULT_ADDR must be the active node or its load balancer");
  }
  return made(Errc::kUpstream, "with a status that is not known of it");
}

Schedule::Due Schedule::next() const {
  const auto due = [this](Call call, Steady at) { return Due{call, std::max(at, hold_until_)}; };
  if (!has_token_) {
    return due(login_ == Login::kKubernetes ? Call::kLogIn : Call::kLookUp, Steady::min());
  }
  const Due read = due(Call::kRead, read_at_);
  if (ttl_ == seconds(0)) return read;
  // At the end of its longest life a renewed token gets shorter and shorter.
  const bool worn = ttl_ < first_ttl_ / 2;
  const bool renew = renewable_ && !(worn && login_ == Login::kKubernetes);
  if (!renew && login_ == Login::kGivenToken) return read;
  const Due token = due(renew ? Call::kRenew : Call::kLogIn, renew_at_);
  return token.at <= read.at ? token : read;
}

void Schedule::on_token(seconds ttl, bool renewable, Steady now) {
  first_ttl_ = has_token_ ? std::max(first_ttl_, ttl) : ttl;
  has_token_ = true;
  ttl_ = ttl;
  renewable_ = renewable;
  renew_at_ = now + std::chrono::duration_cast<Steady::duration>(ttl) / 2;
}

void Schedule::on_read(Steady now) {
  read_at_ = now + read_every_;
  failures_ = 0;
  hold_until_ = Steady::min();
}

void Schedule::on_failure(Call call, Errc code, Steady now) {
  const bool refused = code == Errc::kForbidden || code == Errc::kInvalidArgument;
  if (call == Call::kLookUp && refused) {
    // The token may lack the policy to ask about itself; reading tells whether it is any good.
    on_token(seconds(0), false, now);
    return;
  }
  if (has_token_ && (call == Call::kRenew || call == Call::kLogIn)) {
    if (call == Call::kRenew && refused) {
      renewable_ = false;
      renew_at_ = now;
    } else {
      renew_at_ = now + std::clamp(ttl_ / 10, seconds(1), seconds(30));
    }
    return;
  }
  const auto pause = std::min(seconds(1LL << std::min(failures_, 6)), seconds(60));
  hold_until_ = now + pause;
  if (login_ == Login::kKubernetes && call == Call::kRead && code == Errc::kForbidden) {
    has_token_ = false;
    if (failures_ == 0) hold_until_ = now;
  }
  ++failures_;
}

}  // namespace asahi::identity::vault
