#include "identity/tokens/jwks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "net/blocking.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

JwtKey make_key(const std::string& kid) { return JwtKey::generate(kid, JwtAlg::kEs256).value(); }

TEST(Jwks, WhatIsWrittenIsReadAgain) {
  const JwtKeySet keys(
      {make_key("a"), JwtKey::generate("b", JwtAlg::kRs256).value(),
       JwtKey::hs256("c", Secret("a secret that must never be published")).value()});
  const std::string text = write_jwks(keys);
  EXPECT_THAT(text, Not(HasSubstr("\"d\"")));
  EXPECT_THAT(text, Not(HasSubstr("oct")));
  const auto read = parse_jwks(text).value();
  ASSERT_EQ(read.keys().size(), 2U);
  EXPECT_EQ(read.keys()[0].public_jwk(), keys.keys()[0].public_jwk());
  EXPECT_TRUE(read.find("b", JwtAlg::kRs256)->verify("text", keys.keys()[1].sign("text")));
  EXPECT_FALSE(read.keys()[0].can_sign());
}

TEST(Jwks, PassesOverWhatCannotVerify) {
  const json::object good = make_key("good").public_jwk().value();
  const auto count = [&](std::string_view name, json::value value) {
    json::object key = good;
    key[name] = std::move(value);
    return parse_jwks(json::serialize(json::object{{"keys", {key}}})).value().keys().size();
  };
  EXPECT_EQ(count("use", "sig"), 1U);
  EXPECT_EQ(count("use", "enc"), 0U);
  EXPECT_EQ(count("key_ops", json::array{"verify"}), 1U);
  EXPECT_EQ(count("key_ops", json::array{"encrypt"}), 0U);
  EXPECT_EQ(count("kty", "oct"), 0U);
  EXPECT_EQ(count("kty", "OKP"), 0U);
  EXPECT_EQ(count("kty", 1), 0U);
  EXPECT_EQ(count("crv", "P-384"), 0U);
  EXPECT_EQ(count("alg", "RS256"), 0U);
  EXPECT_EQ(count("kid", 7), 0U);
  EXPECT_EQ(count("x", good.at("y")), 0U);  // not on the curve
  EXPECT_EQ(count("x", "%%%"), 0U);
  EXPECT_EQ(count("x", nullptr), 0U);
  EXPECT_EQ(parse_jwks(R"({"keys":[1,null,[],{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]})")
                .value()
                .keys()
                .size(),
            0U);
}

TEST(Jwks, RefusesWhatIsNoSet) {
  for (const char* text :
       {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[],"keys":[]})", "<html>"}) {
    EXPECT_FALSE(parse_jwks(text)) << text;
  }
  std::string many = R"({"keys":[)";
  for (int i = 0; i < 65; ++i) many += i == 0 ? "{}" : ",{}";
  EXPECT_FALSE(parse_jwks(many + "]}"));
}

TEST(RequestTo, KeepsPathAndQuery) {
  const auto request =
      request_to(http::Method::kGet, "https://idp.example:8443/tenant/keys?p=a%20b").value();
  EXPECT_EQ(request.origin.to_string(), "https://idp.example:8443");
  EXPECT_EQ(request.target, "/tenant/keys?p=a%20b");
  EXPECT_EQ(request_to(http::Method::kGet, "https://idp.example").value().target, "/");
  EXPECT_EQ(request_to(http::Method::kGet, "https://idp.example/a/").value().target, "/a/");
  for (const char* url : {"", "idp.example", "file:///etc/passwd", "https://u:p@idp.example/",
                          "https://a/?b c", "https://a/?b#c"}) {
    EXPECT_FALSE(request_to(http::Method::kGet, url)) << url;
  }
}

/// An issuer that is played by a function.
struct RemoteJwksTest : ::testing::Test {
  RemoteJwksTest() { loops.start(); }
  ~RemoteJwksTest() override { loops.stop(); }

  HttpFetch fetch() {
    return [this](http::ClientRequest request,
                  http::CallOptions options) -> Task<http::ClientResponse> {
      ++fetches;
      EXPECT_EQ(request.target, "/jwks");
      EXPECT_LT(options.deadline, std::chrono::steady_clock::now() + 6s);
      if (gate) co_await gate->wait();
      if (away) co_return fail(Errc::kUnavailable, "connection refused");
      co_return http::ClientResponse{status, {}, document};
    };
  }
  Result<std::shared_ptr<const JwtKeySet>> keys(const std::string& kid) {
    return net::run_sync<Result<std::shared_ptr<const JwtKeySet>>>(
        loops.at(0), [&]() -> Task<std::shared_ptr<const JwtKeySet>> {
          co_return co_await jwks.keys(kid, JwtAlg::kEs256);
        });
  }
  bool knows(const std::string& kid) {
    const auto got = keys(kid);
    return got && (*got)->has_kid(kid);
  }
  void publish(std::vector<std::string> kids) {
    std::vector<JwtKey> made;
    for (const auto& kid : kids) made.push_back(make_key(kid));
    document = write_jwks(JwtKeySet(std::move(made)));
  }

  net::LoopPool loops{2};
  ManualClock clock;
  std::atomic<int> fetches{0};
  std::atomic<bool> away{false};
  int status = 200;
  std::string document;
  std::unique_ptr<net::Event> gate;
  RemoteJwks jwks{"https://idp.example/jwks", fetch(), clock};
};

TEST_F(RemoteJwksTest, KeysAreFetchedOnceAnHour) {
  publish({"a"});
  EXPECT_EQ(jwks.try_keys("a", JwtAlg::kEs256), nullptr);
  EXPECT_TRUE(knows("a"));
  EXPECT_TRUE(knows("a"));
  EXPECT_NE(jwks.try_keys("a", JwtAlg::kEs256), nullptr);
  EXPECT_EQ(fetches, 1);
  clock.advance(60min);
  EXPECT_EQ(jwks.try_keys("a", JwtAlg::kEs256), nullptr);
  EXPECT_TRUE(knows("a"));
  EXPECT_EQ(fetches, 2);
}

TEST_F(RemoteJwksTest, ARotatedKeyIsFoundAtOnceAndTheOldOneIsGone) {
  publish({"a"});
  EXPECT_TRUE(knows("a"));
  clock.advance(10min);
  publish({"b"});
  EXPECT_TRUE(knows("b"));
  EXPECT_EQ(fetches, 2);
  EXPECT_FALSE(knows("a"));
}

TEST_F(RemoteJwksTest, ForgedIdsFetchAtMostOnceAMinute) {
  publish({"a"});
  EXPECT_TRUE(knows("a"));
  clock.advance(61s);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(knows("forged" + std::to_string(i)));
  EXPECT_EQ(fetches, 2);
  EXPECT_NE(jwks.try_keys("forged", JwtAlg::kEs256), nullptr);
  clock.advance(60s);
  EXPECT_FALSE(knows("forged"));
  EXPECT_EQ(fetches, 3);
}

TEST_F(RemoteJwksTest, AnAbsentIssuerIsUnavailableAndAskedAgainSoon) {
  away = true;
  publish({"a"});
  const auto failed = keys("a");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kUnavailable);
  EXPECT_FALSE(keys("a"));
  EXPECT_EQ(fetches, 1);
  away = false;
  clock.advance(5s);
  EXPECT_TRUE(knows("a"));
}

TEST_F(RemoteJwksTest, OldKeysServeWhileTheIssuerIsAwayButNotForEver) {
  publish({"a"});
  EXPECT_TRUE(knows("a"));
  away = true;
  clock.advance(2h);
  EXPECT_TRUE(knows("a"));
  clock.advance(61s);
  EXPECT_TRUE(knows("a"));
  EXPECT_EQ(fetches, 3);
  clock.advance(2h);
  EXPECT_FALSE(keys("a"));
}

TEST_F(RemoteJwksTest, NonsenseDoesNotReplaceKeys) {
  publish({"a"});
  EXPECT_TRUE(knows("a"));
  for (const auto& [code, text] : std::initializer_list<std::pair<int, std::string>>{
           {200, "<html>"},
           {500, document},
           {302, document},
           {200, std::string(300 * 1024, ' ') + document}}) {
    status = code;
    const std::string good = std::exchange(document, text);
    clock.advance(61min);
    EXPECT_TRUE(knows("a")) << code;
    status = 200;
    document = good;
    clock.advance(61s);
    EXPECT_TRUE(knows("a"));
  }
}

TEST_F(RemoteJwksTest, ManyWaitForOneFetch) {
  publish({"a"});
  std::vector<std::future<bool>> askers;
  net::run_sync<int>(loops.at(0), [&]() -> Aw<int> {
    gate = std::make_unique<net::Event>(loops.at(0));
    co_return 0;
  });
  const auto ask = [&](net::Loop& loop) {
    auto promise = std::make_shared<std::promise<bool>>();
    askers.push_back(promise->get_future());
    loop.spawn("ask", [this, promise]() -> Aw<void> {
      const auto got = co_await jwks.keys("a", JwtAlg::kEs256);
      promise->set_value(got && (*got)->has_kid("a"));
    });
  };
  ask(loops.at(0));
  while (fetches == 0) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) ask(loops.at(i % 2));
  loops.at(0).post([&] { gate->set(); });
  for (auto& asker : askers) EXPECT_TRUE(asker.get());
  EXPECT_EQ(fetches, 1);
  net::run_sync<int>(loops.at(0), [&]() -> Aw<int> {
    gate.reset();
    co_return 0;
  });
}

}  // namespace
}  // namespace asahi::identity
