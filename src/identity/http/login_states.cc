#include "identity/http/login_states.h"

#include <algorithm>

#include "base/hash.h"
#include "base/ids.h"
#include "base/json.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kLength = 43;  // 32 bytes in base64url

std::string random_text() {
  std::string bytes(32, '\0');
  random_bytes(bytes.data(), bytes.size());
  return base64url_encode(bytes);
}

/// The store sees neither states nor cookies.
std::string key_of(std::string_view state) { return "asahi:login:" + to_hex(sha256(state)); }

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

Task<LoginStates::Begun> LoginStates::begin(std::string provider, std::string return_to) {
  Begun begun;
  begun.login = {std::move(provider), random_text(), random_text(), std::move(return_to)};
  begun.state = random_text();
  begun.cookie = random_text();
  const json::object stored{{"provider", begun.login.provider},
                            {"nonce", begun.login.nonce},
                            {"verifier", begun.login.verifier},
                            {"return_to", begun.login.return_to},
                            {"browser", to_hex(sha256(begun.cookie))}};
  auto kept = co_await store_.set(key_of(begun.state),
                                  std::make_shared<const std::string>(write_json(stored)), kLife);
  if (!kept) co_return std::unexpected(kept.error());
  co_return begun;
}

Task<std::optional<PendingLogin>> LoginStates::take(std::string state, std::string cookie,
                                                    std::string provider) {
  if (state.size() != kLength || cookie.size() != kLength) co_return std::nullopt;
  const std::string key = key_of(state);
  ASAHI_CO_TRY(const auto found, co_await store_.get(key));
  if (!found) co_return std::nullopt;
  // Of two answers at a time one finds that it was the one that removed it.
  std::vector<std::string> keys;
  keys.push_back(key);
  ASAHI_CO_TRY(const auto removed, co_await store_.erase(std::move(keys)));
  if (removed != 1) co_return std::nullopt;
  const auto stored = parse_json(**found);
  if (!stored || !stored->is_object())
    co_return fail(Errc::kCorrupt, "a stored login cannot be read");
  const json::object& object = stored->get_object();
  PendingLogin login{text_of(object, "provider"), text_of(object, "nonce"),
                     text_of(object, "verifier"), text_of(object, "return_to")};
  if (login.provider != provider ||
      !equal_constant_time(text_of(object, "browser"), to_hex(sha256(cookie)))) {
    co_return std::nullopt;
  }
  co_return std::move(login);
}

bool is_safe_return_path(std::string_view path) {
  constexpr std::size_t kMax = 1024;
  if (path.empty() || path.size() > kMax || path.front() != '/' || path.starts_with("//"))
    return false;
  return std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

}  // namespace asahi::identity
