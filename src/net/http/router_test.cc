#include "net/http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::http {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Router sample() {
  Router router;
  for (const char* pattern : {"/", "/models", "/v1/models/{id}", "/v1/models/special",
                              "/v1/{kind}/list", "/assets/{path...}", "/orgs/{org}/keys/{key}"}) {
    router.get(pattern, nullptr);
  }
  router.post("/models", nullptr);
  router.del("/v1/models/{id}", nullptr);
  return router;
}

std::string pattern_of(const Router& router, std::string_view path, Method method = Method::kGet) {
  const auto match = router.match(method, path);
  return match.route != nullptr ? match.route->pattern : "";
}

TEST(Router, PrefersLiteralsOverParametersAndGoesBackWhereTheyLeadNowhere) {
  const Router router = sample();
  EXPECT_EQ(pattern_of(router, "/"), "/");
  EXPECT_EQ(pattern_of(router, "/models"), "/models");
  EXPECT_EQ(pattern_of(router, "/v1/models/special"), "/v1/models/special");
  EXPECT_EQ(pattern_of(router, "/v1/models/gpt"), "/v1/models/{id}");
  EXPECT_EQ(pattern_of(router, "/v1/other/list"), "/v1/{kind}/list");
  EXPECT_EQ(pattern_of(router, "/v1/other/nothing"), "");
  EXPECT_EQ(pattern_of(router, "/models/"), "");
  EXPECT_EQ(pattern_of(router, "//models"), "");
  EXPECT_EQ(pattern_of(router, "/v1/models/"), "") << "a parameter is not empty";
  EXPECT_EQ(pattern_of(router, "*"), "");
}

TEST(Router, DecodesParametersAndKeepsAnEncodedSlashInside) {
  const Router router = sample();
  EXPECT_THAT(router.match(Method::kGet, "/v1/models/meta%2Fllama%203").params,
              ElementsAre(Pair("id", "meta/llama 3")));
  EXPECT_THAT(router.match(Method::kGet, "/orgs/a/keys/b").params,
              ElementsAre(Pair("org", "a"), Pair("key", "b")));
  EXPECT_THAT(router.match(Method::kGet, "/assets/js/app.js").params,
              ElementsAre(Pair("path", "js/app.js")));
  EXPECT_EQ(pattern_of(router, "/%6Dodels"), "/models");
  EXPECT_EQ(router.match(Method::kGet, "/v1/models/%zz").route, nullptr);
}

TEST(Router, TellsAWrongMethodFromAnUnknownPath) {
  const Router router = sample();
  auto match = router.match(Method::kPut, "/models");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "GET, HEAD, POST, OPTIONS");
  match = router.match(Method::kPost, "/v1/models/x");
  EXPECT_EQ(match.allow, "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(router.match(Method::kGet, "/nowhere").allow, "");
  EXPECT_EQ(router.match(Method::kOther, "/models").route, nullptr);
}

TEST(Router, HeadFallsBackToGet) {
  EXPECT_EQ(pattern_of(sample(), "/models", Method::kHead), "/models");
}

TEST(Router, RefusesContradictoryRoutes) {
  Router router = sample();
  EXPECT_THROW(router.get("/models", nullptr), std::logic_error);
  EXPECT_THROW(router.get("models", nullptr), std::logic_error);
  EXPECT_THROW(router.get("/a/{rest...}/b", nullptr), std::logic_error);
  EXPECT_THROW(router.get("/orgs/{other}/x", nullptr), std::logic_error);
}

TEST(Router, ListsRoutesInOrder) {
  Router router;
  router.post("/b", nullptr);
  router.get("/a/{id}", nullptr);
  std::vector<std::string> patterns;
  for (const Route* route : router.routes())
    patterns.push_back(std::string(to_string(route->method)) + ' ' + route->pattern);
  EXPECT_THAT(patterns, ElementsAre("POST /b", "GET /a/{id}"));
}

}  // namespace
}  // namespace asahi::http
