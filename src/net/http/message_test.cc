#include "net/http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/utf8.h"
#include "net/http/ascii.h"
#include "net/http/cors.h"
#include "net/http/response_head.h"
#include "net/http/server.h"

namespace asahi::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TEST(Headers, CompareNamesWithoutCaseAndKeepOrder) {
  Headers headers;
  headers.add("Accept", "a");
  headers.add("X", "1");
  headers.add("accept", "b");
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  EXPECT_EQ(headers.get("missing"), "");
  EXPECT_FALSE(headers.has("missing"));
  headers.set("aCCept", "c");
  EXPECT_THAT(std::vector<Headers::Field>(headers.begin(), headers.end()),
              ElementsAre(Pair("Accept", "c"), Pair("X", "1")));
  headers.remove("x");
  EXPECT_EQ(headers.size(), 1u);
  headers.set("New", "n");
  EXPECT_EQ(headers.get("new"), "n");
}

TEST(PercentDecode, TakesEscapesAndRefusesBrokenOnes) {
  EXPECT_EQ(percent_decode("%41b%2fc").value(), "Ab/c");
  EXPECT_EQ(percent_decode("a+b").value(), "a+b");
  EXPECT_EQ(percent_decode("a+b", true).value(), "a b");
  for (const char* bad : {"%", "%4", "%4g", "%00", "a%"}) EXPECT_FALSE(percent_decode(bad)) << bad;
  const std::string every = "a/b?c d\xc3\xa9%";
  EXPECT_EQ(percent_decode(percent_encode(every)).value(), every);
}

TEST(QueryParam, FindsDecodesAndTellsEmptyFromAbsent) {
  Request request;
  request.query = "a=1&b=x%20y+z&flag&c=&a=2&bad=%zz&%61b=d";
  EXPECT_EQ(request.query_param("a"), "1");
  EXPECT_EQ(request.query_param("b"), "x y z");
  EXPECT_EQ(request.query_param("flag"), "");
  EXPECT_EQ(request.query_param("c"), "");
  EXPECT_EQ(request.query_param("bad"), "%zz");
  EXPECT_EQ(request.query_param("ab"), "d");
  EXPECT_EQ(request.query_param("d"), std::nullopt);
}

TEST(HasToken, LooksIntoCommaLists) {
  EXPECT_TRUE(has_token("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(has_token("upgrade", "upgrade"));
  EXPECT_FALSE(has_token("upgraded", "upgrade"));
  EXPECT_FALSE(has_token("", "upgrade"));
}

std::string head_of(const Response& response, ReplyFrame frame = {}, Headers defaults = {},
                    std::vector<std::string> cors = {}, const Request& request = {}) {
  std::string out;
  ResponseHeadWriter(std::move(defaults), std::move(cors)).append(out, response, frame, request);
  return out;
}

TEST(ResponseHead, HoldsTheServersFieldsOnce) {
  Response response = Response::json(201, "{}");
  response.headers.add("content-length", "999");
  response.headers.add("Transfer-Encoding", "chunked");
  response.headers.add("X-Own", "1");
  ReplyFrame frame;
  frame.body_bytes = 2;
  frame.request_id = "req_1";
  EXPECT_EQ(head_of(response, frame),
            "HTTP/1.1 201 Created\r\nX-Request-Id: req_1\r\nContent-Type: "
            "application/json\r\nX-Own: 1\r\n"
            "Content-Length: 2\r\n\r\n");
}

TEST(ResponseHead, TellsWhatIsLeftOfACallersLimits) {
  ReplyFrame frame;
  frame.limits = {100, 0, 1'700'000'060};
  EXPECT_EQ(head_of({}, frame),
            "HTTP/1.1 200 OK\r\nX-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\n"
            "X-RateLimit-Reset: 1700000060\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseHead, AHandlerCannotBreakOutOfItsLine) {
  Response response;
  response.headers.add("X-Bad", "a\r\nSet-Cookie: evil");
  response.headers.add("X Bad: a\r\nY", "b");
  response.headers.add("X-Good", "c");
  EXPECT_EQ(head_of(response), "HTTP/1.1 200 OK\r\nX-Good: c\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseHead, DefaultsAreAddedWhereTheReplyLacksThem) {
  Headers defaults;
  defaults.add("X-Frame-Options", "DENY");
  defaults.add("Cache-Control", "no-store");
  Response response;
  EXPECT_THAT(head_of(response, {}, defaults),
              HasSubstr("X-Frame-Options: DENY\r\nCache-Control: no-store\r\n"));
  response.headers.add("cache-control", "max-age=5");
  const std::string head = head_of(response, {}, defaults);
  EXPECT_THAT(head, HasSubstr("cache-control: max-age=5\r\nX-Frame-Options: DENY\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("no-store")));
}

TEST(ResponseHead, DateHasTheFormOfRfc9110) {
  DateField date;
  EXPECT_THAT(
      std::string(date.now()),
      ::testing::MatchesRegex("Date: [A-Z][a-z]+, [0-9]+ [A-Z][a-z]+ 20[0-9]+ [0-9:]+ GMT\r\n"));
}

Request cross_origin(Method method, std::string origin) {
  Request request;
  request.method = method;
  request.headers.add("Origin", std::move(origin));
  return request;
}

TEST(Cors, AStarAllowsAnyOriginWithoutCredentials) {
  const std::string head =
      head_of({}, {}, {}, {"*"}, cross_origin(Method::kGet, "https://a.example"));
  EXPECT_THAT(head, HasSubstr("Access-Control-Allow-Origin: *\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Credentials")));
}

TEST(Cors, AListEchoesItsOriginsOnlyAndVaries) {
  const std::vector<std::string> list{"https://a.example", "https://b.example"};
  const std::string known =
      head_of({}, {}, {}, list, cross_origin(Method::kGet, "https://b.example"));
  EXPECT_THAT(known, HasSubstr("Access-Control-Allow-Origin: https://b.example\r\n"));
  EXPECT_THAT(known, HasSubstr("Access-Control-Allow-Credentials: true\r\n"));
  EXPECT_THAT(known, HasSubstr("Vary: Origin\r\n"));
  const std::string foreign =
      head_of({}, {}, {}, list, cross_origin(Method::kGet, "https://c.example"));
  EXPECT_THAT(foreign, Not(HasSubstr("Access-Control")));
  EXPECT_THAT(foreign, HasSubstr("Vary: Origin\r\n"));
  EXPECT_THAT(head_of({}, {}, {}, {}, cross_origin(Method::kGet, "https://a.example")),
              Not(HasSubstr("Access-Control")));
}

TEST(Cors, OnlyAPreflightIsAnsweredEarly) {
  const Cors cors({"https://a.example"});
  Request request = cross_origin(Method::kOptions, "https://a.example");
  EXPECT_FALSE(cors.preflight(request)) << "a plain OPTIONS";
  request.headers.add("Access-Control-Request-Method", "POST");
  request.headers.add("Access-Control-Request-Headers", "authorization");
  const auto answer = cors.preflight(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 204);
  EXPECT_EQ(answer->headers.get("Access-Control-Allow-Headers"), "authorization");
  EXPECT_FALSE(Cors({}).preflight(request));
  request.headers.set("Origin", "https://evil.example");
  EXPECT_FALSE(cors.preflight(request)->headers.has("Access-Control-Allow-Methods"));
}

struct NativeError : ::testing::Test {
  net::Loop loop{0};
  Request request;
  CancelSource cancel;
  Context context{request, loop, cancel, {}, {}, "req_0123456789ab", {}, {}, {}};

  json::object body(const Error& error) {
    return parse_json(native_error(error, context).body).value().as_object();
  }
};

TEST_F(NativeError, HasTheFieldsOfTheDesign) {
  const auto object = body(fail_field("messages[2].content", "must be text").error());
  EXPECT_EQ(object.at("error"), "validation_error");
  EXPECT_EQ(object.at("message"), "must be text");
  EXPECT_EQ(object.at("details").at("field"), "messages[2].content");
  EXPECT_EQ(object.at("request_id"), "req_0123456789ab");
  EXPECT_TRUE(object.contains("timestamp"));
}

TEST_F(NativeError, AReasonReplacesTheCode) {
  Error error = fail(Errc::kNotFound, "no model named 'x'").error();
  error.reason = "model_not_found";
  EXPECT_EQ(body(error).at("error"), "model_not_found");
}

TEST_F(NativeError, IsUtf8WhateverItQuotes) {
  const std::string cut = std::string("é").substr(0, 1);
  const std::string text =
      native_error(fail_field("x\xFF", "no '" + cut + "…'").error(), context).body;
  EXPECT_TRUE(is_utf8(text)) << text;
  EXPECT_THAT(text, HasSubstr("no '\uFFFD…'"));
}

TEST_F(NativeError, InternalErrorsTellNothing) {
  for (const Errc code : {Errc::kInternal, Errc::kCorrupt}) {
    Error error = fail(code, "table users: secret").error();
    error.reason = "sqlite_error";
    const Response response = native_error(error, context);
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(response.body, Not(HasSubstr("secret")));
    EXPECT_THAT(response.body, HasSubstr("internal_server_error"));
  }
}

TEST_F(NativeError, RefusalsSayWhenToComeBack) {
  Error error = fail(Errc::kRateLimited, "slow down").error();
  error.retry_after = std::chrono::milliseconds(1500);
  EXPECT_EQ(native_error(error, context).headers.get("Retry-After"), "2");
  EXPECT_EQ(body(error).at("retry_after_seconds"), 2);
  EXPECT_EQ(
      native_error(fail(Errc::kUnavailable, "down").error(), context).headers.get("Retry-After"),
      "1");
  EXPECT_FALSE(
      native_error(fail(Errc::kConflict, "no").error(), context).headers.has("Retry-After"));
}

TEST(HttpStatus, IsOneTable) {
  EXPECT_EQ(http_status(Errc::kInvalidArgument), 400);
  EXPECT_EQ(http_status(Errc::kCancelled), 499);
  EXPECT_EQ(http_status(Errc::kUpstream), 502);
  EXPECT_EQ(http_status(Errc::kUnavailable), 503);
  EXPECT_EQ(http_status(Errc::kTimeout), 504);
  EXPECT_EQ(http_status(Errc::kCorrupt), 500);
}

}  // namespace
}  // namespace asahi::http
