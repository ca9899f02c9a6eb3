// Tokens, key sets and forms of strangers. What is accepted was signed by one of our keys, says
// what the rules ask for, and has one meaning and one spelling.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/hash.h"
#include "identity/oidc/id_token.h"
#include "identity/tokens/form.h"
#include "identity/tokens/jwks.h"
#include "identity/tokens/jwt.h"
#include "identity/tokens/strict_json.h"
#include "net/http/message.h"

namespace {

using namespace asahi;
using namespace asahi::identity;

// RFC 7515 A.3, RFC 7520 4.1.
constexpr std::string_view kPublicKeys =
    R"({"keys":[{"kty":"EC","crv":"P-256","kid":"es","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},{"kty":"RSA","kid":"rs","e":"AQAB",)"
    R"("n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqV)"
    R"(wGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhG)"
    R"(qC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}]})";
constexpr Clock::Time kNow{std::chrono::seconds{1'700'000'000}};

void require(bool holds) {
  if (!holds) std::abort();
}

const JwtKey& secret() {
  static const JwtKey key = JwtKey::hs256("hs", Secret(std::string(32, 's'))).value();
  return key;
}

const JwtKeySet& keys() {
  static const JwtKeySet set = [] {
    auto all = parse_jwks(kPublicKeys).value().keys();
    all.push_back(secret());
    return JwtKeySet(all);
  }();
  return set;
}

void check_token(std::string_view token) {
  const auto parts = split_jwt(token);
  const auto issuer = claimed_issuer(token);
  const auto verified =
      verify_jwt(token, keys(), {.issuer = "asahi", .audience = "asahi-api"}, kNow);
  if (!parts) {
    require(!verified && !issuer);
    return;
  }
  require(token.size() <= kMaxJwtBytes && looks_like_jwt(token));
  require(parts->signed_text.size() < token.size());
  require(base64url_encode(parts->signature) == token.substr(parts->signed_text.size() + 1));
  if (!verified) return;
  require(keys().find(parts->kid, parts->alg) != nullptr);
  require(issuer == "asahi" && verified->issuer == "asahi" && !verified->subject.empty());
  require(verified->expires_at + std::chrono::seconds(60) > kNow);
}

/// Text that is signed rightly: only what it says can be wrong.
void check_signed(std::string_view header, std::string_view payload) {
  std::string token = base64url_encode(header) + "." + base64url_encode(payload);
  token += "." + base64url_encode(secret().sign(token));
  check_token(token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_token(bytes);
  check_signed(R"({"alg":"HS256","kid":"hs"})", bytes);
  check_signed(bytes, R"({"iss":"asahi","aud":"asahi-api","sub":"u","exp":1700000100})");
  if (const auto object = parse_strict_object(bytes, 8)) {
    require(parse_strict_object(write_json(*object), 8).has_value());
  }
  if (const auto set = parse_jwks(bytes)) {
    require(parse_jwks(write_jwks(*set))->keys().size() == set->keys().size());
  }
  if (const auto form = parse_form(bytes)) {
    std::string again;
    for (const auto& [name, value] : *form) append_form(again, http::percent_encode(name), value);
    require(parse_form(again) == *form);
  }
  std::ignore =
      verify_id_token(bytes, keys(), {.issuer = "asahi", .client_id = "c", .nonce = "n"}, kNow);
  return 0;
}
