#include "identity/tokens/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "identity/tokens/jwks.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

// RFC 7515 appendix A and RFC 7520 section 4.
constexpr std::string_view kJoe =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlf"
    "Q";
constexpr std::string_view kFrodo =
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250by"
    "B0aGUgcm9hZCwgYW5kIGlmIH"
    "lvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0"
    "IG9mZiB0by4";
struct Vector {
  std::string_view name, jwk, header, payload, signature;
};
constexpr Vector kVectors[] = {
    {"RFC 7515 A.2",
     R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})",
     "eyJhbGciOiJSUzI1NiJ9", kJoe,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
     "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjb"
     "KBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"
     "dO--xi12jzDwusC-eOkHWEsqtFZES"
     "c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
     "IoypGlUPQGe77Rw"},
    {"RFC 7515 A.3",
     R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
     "eyJhbGciOiJFUzI1NiJ9", kJoe,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7520 4.1",
     R"({"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"})",
     "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9", kFrodo,
     "MRjdkly7_-"
     "oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wn"
     "B-BDkoBwA78185hX-Es"
     "4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_"
     "qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGd"
     "jluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_"
     "fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
};

constexpr Clock::Time kNow{std::chrono::seconds{1'700'000'000}};
const std::string kSecret = "an HMAC secret of at least thirty-two bytes";

std::string part(std::string_view text) { return base64url_encode(text); }

json::object claims() {
  return {{"iss", "asahi"},       {"aud", "asahi-api"},   {"sub", "usr_1"},
          {"exp", 1'700'003'600}, {"iat", 1'700'000'000}, {"jti", "tok_1"}};
}

struct Jwt : ::testing::Test {
  JwtKey hs = JwtKey::hs256("hs", Secret(kSecret)).value();
  static inline const JwtKey rs = JwtKey::generate("rs", JwtAlg::kRs256).value();
  JwtKey es = JwtKey::generate("es", JwtAlg::kEs256).value();
  JwtKeySet keys{{hs, rs, es}};
  JwtRules rules{.issuer = "asahi", .audience = "asahi-api"};

  std::optional<JwtFault> fault(std::string_view token, Clock::Time now = kNow) {
    const auto verified = verify_jwt(token, keys, rules, now);
    return verified ? std::nullopt : std::optional(verified.error());
  }
  /// A token whose header and payload are the given texts, rightly signed with `key`.
  static std::string forge(const JwtKey& key, std::string_view header, std::string_view payload) {
    const std::string text = part(header) + "." + part(payload);
    return text + "." + part(key.sign(text));
  }
  std::string with(std::string_view name, json::value value) {
    json::object changed = claims();
    changed[name] = std::move(value);
    return sign_jwt(hs, changed);
  }
  std::string without(std::string_view name) {
    json::object changed = claims();
    changed.erase(name);
    return sign_jwt(hs, changed);
  }
};

TEST(JwtVectors, SignaturesOfTheStandardsVerify) {
  for (const Vector& vector : kVectors) {
    const auto keys = parse_jwks(R"({"keys":[)" + std::string(vector.jwk) + "]}").value();
    std::string token = std::string(vector.header) + "." + std::string(vector.payload) + "." +
                        std::string(vector.signature);
    const auto parts = split_jwt(token);
    ASSERT_TRUE(parts) << vector.name;
    const JwtKey* const key = keys.find(parts->kid, parts->alg);
    ASSERT_NE(key, nullptr) << vector.name;
    EXPECT_TRUE(key->verify(parts->signed_text, parts->signature)) << vector.name;
    token[vector.header.size() + 5] = token[vector.header.size() + 5] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(key->verify(split_jwt(token).value().signed_text, parts->signature))
        << vector.name;
  }
}

TEST(JwtVectors, HmacOfTheStandardsIsMadeAndVerified) {
  const auto key = [](std::string_view k) {
    return JwtKey::hs256("", Secret(base64url_decode(k).value())).value();
  };
  const JwtKey rfc7515 =
      key("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  const std::string text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + std::string(kJoe);
  EXPECT_EQ(part(rfc7515.sign(text)), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  const std::string token = text + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const auto parts = split_jwt(token).value();
  EXPECT_TRUE(rfc7515.verify(parts.signed_text, parts.signature));

  const JwtKey rfc7520 = key("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg");
  const std::string header = R"({"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"})";
  EXPECT_EQ(part(rfc7520.sign(part(header) + "." + std::string(kFrodo))),
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0");
}

TEST_F(Jwt, WhatIsSignedVerifiesWithEveryAlgorithm) {
  for (const JwtKey& key : {hs, rs, es}) {
    const auto verified = verify_jwt(sign_jwt(key, claims()), keys, rules, kNow);
    ASSERT_TRUE(verified) << to_string(verified.error());
    EXPECT_EQ(verified->subject, "usr_1");
    EXPECT_EQ(verified->id, "tok_1");
    EXPECT_EQ(verified->expires_at, kNow + 1h);
    EXPECT_EQ(verified->issued_at, kNow);
    EXPECT_EQ(verified->text("iss"), "asahi");
  }
}

TEST_F(Jwt, AnUnsignedTokenIsRefused) {
  const std::string payload = part(json::serialize(claims()));
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", "HS512", "hs256", "RS512", "PS256"}) {
    const std::string header = part(R"({"alg":")" + std::string(alg) + R"(","kid":"hs"})");
    EXPECT_EQ(fault(header + "." + payload + "."), JwtFault::kAlgorithm) << alg;
    EXPECT_EQ(fault(header + "." + payload + "." + part("x")), JwtFault::kAlgorithm) << alg;
  }
  for (const char* header : {R"({"kid":"hs"})", R"({"alg":null,"kid":"hs"})",
                             R"({"alg":["HS256"]})", R"({"alg":256})"}) {
    EXPECT_EQ(fault(forge(hs, header, json::serialize(claims()))), JwtFault::kAlgorithm) << header;
  }
  EXPECT_EQ(fault(part(R"({"alg":"HS256","kid":"hs"})") + "." + payload + "."),
            JwtFault::kMalformed);
}

TEST_F(Jwt, APublicKeyIsNoSecret) {
  // Every form in which the public RSA key can be had, used as an HMAC key under the RSA key's id.
  const auto jwk = rs.public_jwk().value();
  for (const std::string& stolen :
       {json::serialize(jwk), base64url_decode(std::string(jwk.at("n").as_string())).value(),
        write_jwks(keys)}) {
    const JwtKey hmac = JwtKey::hs256("rs", Secret(stolen)).value();
    EXPECT_EQ(fault(sign_jwt(hmac, claims())), JwtFault::kAlgorithm);
    const JwtKey without_id = JwtKey::hs256("", Secret(stolen)).value();
    EXPECT_EQ(fault(forge(without_id, R"({"alg":"HS256"})", json::serialize(claims()))),
              JwtFault::kSignature);
  }
  // The other way round: RS256 claimed for the secret's id, and ES256 for the RSA key's.
  EXPECT_EQ(fault(forge(rs, R"({"alg":"RS256","kid":"hs"})", json::serialize(claims()))),
            JwtFault::kAlgorithm);
  EXPECT_EQ(fault(forge(es, R"({"alg":"ES256","kid":"rs"})", json::serialize(claims()))),
            JwtFault::kAlgorithm);
}

TEST_F(Jwt, AForgedKeyIdIsRefused) {
  const std::string text = json::serialize(claims());
  for (const char* kid :
       {R"("../../../dev/null")", R"("' OR 1=1 --")", R"("RS")", R"("")", R"("hs\u0000")"}) {
    EXPECT_EQ(fault(forge(hs, R"({"alg":"HS256","kid":)" + std::string(kid) + "}", text)),
              JwtFault::kUnknownKey)
        << kid;
  }
  for (const char* kid : {"1", "null", "[\"hs\"]", "{}"}) {
    EXPECT_EQ(fault(forge(hs, R"({"alg":"HS256","kid":)" + std::string(kid) + "}", text)),
              JwtFault::kMalformed)
        << kid;
  }
  // A key that the token brings along is never looked at.
  const JwtKey own = JwtKey::generate("mine", JwtAlg::kEs256).value();
  const std::string header = json::serialize(json::object{
      {"alg", "ES256"}, {"jwk", own.public_jwk().value()}, {"jku", "https://evil.example/jwks"}});
  EXPECT_EQ(fault(forge(own, header, text)), JwtFault::kSignature);
}

TEST_F(Jwt, ATokenWithoutAKeyIdNeedsAnUnmistakableKey) {
  const std::string text = json::serialize(claims());
  EXPECT_EQ(fault(forge(es, R"({"alg":"ES256"})", text)), std::nullopt);
  keys = JwtKeySet({es, JwtKey::generate("es2", JwtAlg::kEs256).value()});
  EXPECT_EQ(fault(forge(es, R"({"alg":"ES256"})", text)), JwtFault::kUnknownKey);
}

TEST_F(Jwt, ExtensionsThatMustBeUnderstoodAreNot) {
  const std::string text = json::serialize(claims());
  for (const char* crit : {R"(["exp"])", R"(["b64"])", "[]", "null"}) {
    EXPECT_EQ(fault(forge(
                  hs, R"({"alg":"HS256","kid":"hs","b64":false,"crit":)" + std::string(crit) + "}",
                  text)),
              JwtFault::kCritical);
  }
}

TEST_F(Jwt, TokensOfOtherKindsAreRefused) {
  const std::string text = json::serialize(claims());
  for (const char* type : {"logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", ""}) {
    EXPECT_EQ(
        fault(forge(hs, R"({"alg":"HS256","kid":"hs","typ":")" + std::string(type) + "\"}", text)),
        JwtFault::kType);
  }
  for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+jwt"}) {
    EXPECT_EQ(
        fault(forge(hs, R"({"alg":"HS256","kid":"hs","typ":")" + std::string(type) + "\"}", text)),
        std::nullopt);
  }
}

TEST_F(Jwt, AMemberNamedTwiceIsRefused) {
  const std::string good = json::serialize(claims());
  EXPECT_EQ(fault(forge(hs, R"({"alg":"none","kid":"hs","alg":"HS256"})", good)),
            JwtFault::kMalformed);
  std::string twice = good;
  twice.insert(1, R"("sub":"admin",)");
  EXPECT_EQ(fault(forge(hs, R"({"alg":"HS256","kid":"hs"})", twice)), JwtFault::kMalformed);
  std::string deep = good;
  deep.insert(1, R"("a":[{"b":1,"c":{"d":1,"\u0064":2}}],)");
  EXPECT_EQ(fault(forge(hs, R"({"alg":"HS256","kid":"hs"})", deep)), JwtFault::kMalformed);
}

TEST_F(Jwt, BrokenEncodingIsRefused) {
  const std::string token = sign_jwt(hs, claims());
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  EXPECT_EQ(fault(""), JwtFault::kMalformed);
  EXPECT_EQ(fault(".."), JwtFault::kMalformed);
  EXPECT_EQ(fault("a.b"), JwtFault::kMalformed);
  EXPECT_EQ(fault(token + "."), JwtFault::kMalformed);
  EXPECT_EQ(fault(token + "="), JwtFault::kMalformed);
  EXPECT_EQ(fault(token + " "), JwtFault::kMalformed);
  EXPECT_EQ(fault(token + "\n"), JwtFault::kMalformed);
  EXPECT_EQ(fault(" " + token), JwtFault::kMalformed);
  EXPECT_EQ(fault(token.substr(first)), JwtFault::kMalformed);
  EXPECT_EQ(fault(token.substr(0, second + 1)), JwtFault::kMalformed);
  // The last character of 32 bytes holds two bits that mean nothing: with others it is another text
  // for the same bytes.
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string same = token;
  same.back() = kAlphabet[kAlphabet.find(same.back()) | 1];
  EXPECT_EQ(fault(same), JwtFault::kMalformed);
}

TEST_F(Jwt, NestedJunkAndOtherJsonIsRefused) {
  constexpr std::string_view kHeader = R"({"alg":"HS256","kid":"hs"})";
  EXPECT_EQ(
      fault(forge(hs, R"({"alg":"HS256","kid":"hs","x":[[[[[1]]]]]})", json::serialize(claims()))),
      JwtFault::kMalformed);
  EXPECT_EQ(fault(forge(hs, kHeader, std::string(64, '[') + std::string(64, ']'))),
            JwtFault::kMalformed);
  json::object deep = claims();
  deep["x"] = parse_json(std::string(20, '[') + std::string(20, ']')).value();
  EXPECT_EQ(fault(sign_jwt(hs, deep)), JwtFault::kMalformed);
  for (const char* payload :
       {"", "null", "[]", "\"a\"", "1", "{", "{\"sub\":\"\xff\"}", "{}x", "{\"a\":01}"}) {
    EXPECT_EQ(fault(forge(hs, kHeader, payload)), JwtFault::kMalformed) << payload;
  }
}

TEST_F(Jwt, AnOversizeTokenIsRefusedBeforeAnyWork) {
  EXPECT_EQ(fault(with("x", json::string(8'000, 'x'))), JwtFault::kTooLong);
  EXPECT_EQ(fault(with("x", json::string(5'000, 'x'))), std::nullopt);
  EXPECT_EQ(fault(std::string(1'000'000, '.')), JwtFault::kTooLong);
}

TEST_F(Jwt, TimesAreHeldToWithAMinuteOfLeeway) {
  const std::string token = sign_jwt(hs, claims());
  EXPECT_EQ(fault(token, kNow + 1h + 59s), std::nullopt);
  EXPECT_EQ(fault(token, kNow + 1h + 60s), JwtFault::kExpired);
  EXPECT_EQ(fault(token, kNow - 60s), std::nullopt);
  EXPECT_EQ(fault(token, kNow - 61s), JwtFault::kNotYetValid);  // issued in the future
  EXPECT_EQ(fault(with("nbf", 1'700'000'060)), std::nullopt);
  EXPECT_EQ(fault(with("nbf", 1'700'000'061)), JwtFault::kNotYetValid);
  EXPECT_EQ(fault(with("exp", 1'700'003'600.5)), std::nullopt);
}

TEST_F(Jwt, ClaimsMustBeThereAndOfTheirType) {
  for (const char* name : {"exp", "sub"})
    EXPECT_EQ(fault(without(name)), JwtFault::kClaims) << name;
  EXPECT_EQ(fault(without("iss")), JwtFault::kIssuer);
  EXPECT_EQ(fault(without("aud")), JwtFault::kAudience);
  for (const json::value& wrong :
       {json::value("1800000000"), json::value(-1), json::value(1e300), json::value(true),
        json::value(nullptr), json::value(json::array{1})}) {
    for (const char* name : {"exp", "nbf", "iat"})
      EXPECT_EQ(fault(with(name, wrong)), JwtFault::kClaims) << name << wrong;
  }
  for (const json::value& wrong :
       {json::value(1), json::value(nullptr), json::value(json::array{"usr_1"}),
        json::value(json::string(256, 'x'))}) {
    for (const char* name : {"sub", "iss", "jti"})
      EXPECT_EQ(fault(with(name, wrong)), JwtFault::kClaims) << name;
  }
  EXPECT_EQ(fault(with("sub", "")), JwtFault::kClaims);
  EXPECT_EQ(fault(with("sub", "a\nb")), JwtFault::kClaims);
  EXPECT_EQ(fault(with("sub", json::string("a\0b", 3))), JwtFault::kClaims);
  EXPECT_EQ(fault(with("aud", json::array{1})), JwtFault::kClaims);
}

TEST_F(Jwt, IssuerAndAudienceAreExact) {
  for (const char* issuer : {"Asahi", "asahi/", "asahi2", ""})
    EXPECT_EQ(fault(with("iss", issuer)), JwtFault::kIssuer);
  for (const json::value& audience :
       {json::value("other"), json::value(json::array{}), json::value(json::array{"asahi"})}) {
    EXPECT_EQ(fault(with("aud", audience)), JwtFault::kAudience);
  }
  EXPECT_EQ(fault(with("aud", json::array{"other", "asahi-api"})), std::nullopt);
  rules = {};
  EXPECT_EQ(fault(with("iss", "")), JwtFault::kIssuer);  // rules that say nothing accept nothing
}

TEST_F(Jwt, AChangedTokenIsRefused) {
  for (const JwtKey& key : {hs, rs, es}) {
    const std::string token = sign_jwt(key, claims());
    for (std::size_t i = 0; i < token.size(); i += 7) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      if (changed != token) EXPECT_NE(fault(changed), std::nullopt) << i;
    }
  }
}

TEST_F(Jwt, AnEcdsaSignatureIsTwoNumbersOf32Bytes) {
  const auto signature = [&](std::string bytes) {
    const std::string text =
        part(R"({"alg":"ES256","kid":"es"})") + "." + part(json::serialize(claims()));
    return text + "." + part(bytes);
  };
  EXPECT_EQ(fault(signature(std::string(64, '\0'))), JwtFault::kSignature);  // CVE-2022-21449
  EXPECT_EQ(fault(signature(std::string(64, '\xff'))), JwtFault::kSignature);
  EXPECT_EQ(fault(signature(std::string(63, 'x'))), JwtFault::kSignature);
  EXPECT_EQ(fault(signature(std::string(72, 'x'))), JwtFault::kSignature);
}

TEST_F(Jwt, TheIssuerCanBeReadToChooseKeys) {
  EXPECT_EQ(claimed_issuer(sign_jwt(hs, claims())), "asahi");
  EXPECT_EQ(claimed_issuer(without("iss")), std::nullopt);
  EXPECT_EQ(claimed_issuer(with("iss", 1)), std::nullopt);
  EXPECT_EQ(claimed_issuer("a.b.c"), std::nullopt);
  EXPECT_TRUE(looks_like_jwt("a.b.c"));
  EXPECT_FALSE(looks_like_jwt("ask_acme_0123456789"));
}

TEST_F(Jwt, TheAnswerToABadTokenTellsNothing) {
  EXPECT_EQ(bad_token().code, Errc::kUnauthenticated);
  EXPECT_EQ(bad_token().message, "the credential is missing, wrong, expired or revoked");
  EXPECT_EQ(bad_token().reason, "");
}

TEST(JwtKeys, WeakKeysAreRefused) {
  const auto weak = JwtKey::hs256("k", Secret(std::string(31, 's')));
  ASSERT_FALSE(weak);
  EXPECT_THAT(weak.error().message, HasSubstr("at least 32"));
  EXPECT_THAT(weak.error().message, Not(HasSubstr("sss")));
  const std::string n(128, '\xff');  // 1024 bits
  EXPECT_FALSE(JwtKey::rsa_public("k", n, "\x01\x00\x01"));
  const std::string good =
      base64url_decode(
          std::string(
              JwtKey::generate("k", JwtAlg::kRs256).value().public_jwk()->at("n").as_string()))
          .value();
  EXPECT_TRUE(JwtKey::rsa_public("k", good, std::string("\x01\x00\x01", 3)));
  EXPECT_FALSE(JwtKey::rsa_public("k", good, "\x01"));
  EXPECT_FALSE(JwtKey::rsa_public("k", good, std::string("\x01\x00\x00", 3)));
  EXPECT_FALSE(JwtKey::rsa_public("k", good, std::string(5, '\xff')));
  EXPECT_FALSE(JwtKey::rsa_public("k", std::string(4096, '\xff'), std::string("\x01\x00\x01", 3)));
  EXPECT_FALSE(
      JwtKey::ec_public("k", std::string(32, 'x'), std::string(32, 'y')));  // not on the curve
  EXPECT_FALSE(JwtKey::generate("k", JwtAlg::kHs256));
}

TEST(JwtKeys, APrivateKeySurvivesItsPem) {
  for (const JwtAlg alg : {JwtAlg::kRs256, JwtAlg::kEs256}) {
    const JwtKey key = JwtKey::generate("k", alg).value();
    const auto read = JwtKey::from_private_pem("k", key.private_pem());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->alg(), alg);
    EXPECT_TRUE(key.verify("text", read->sign("text")));
    EXPECT_FALSE(key.verify("texts", read->sign("text")));
    EXPECT_EQ(read->public_jwk(), key.public_jwk());
  }
  EXPECT_FALSE(JwtKey::from_private_pem("k", Secret("no PEM")));
}

}  // namespace
}  // namespace asahi::identity
