#include "net/http/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::http {
namespace {

using namespace std::string_literals;

struct Outcome {
  Request request;
  int fault = 0;  ///< status; 0: none
  bool done = false;
  bool keep_alive = false;
  std::size_t taken = 0;
};

/// Feeds `bytes` in pieces of `step`, as a connection would: what is not taken stays in front.
Outcome parse(std::string_view bytes, std::size_t step = std::string_view::npos,
              RequestParserLimits limits = {}, std::size_t max_body = 1 << 20) {
  Outcome outcome;
  RequestParser parser(limits);
  parser.start(outcome.request);
  std::string held;
  std::size_t at = 0;
  while (!parser.done()) {
    if (at >= bytes.size()) break;
    const auto piece = bytes.substr(at, step);
    at += piece.size();
    held += piece;
    for (bool progress = true; progress && !held.empty() && !parser.done();) {
      const bool had_head = parser.head_done();
      // A copy of exactly this size: a read beyond it shows under ASan.
      const std::vector<char> exact(held.begin(), held.end());
      const auto fed = parser.feed({exact.data(), exact.size()});
      if (!fed) {
        outcome.fault = fed.error().status;
        return outcome;
      }
      held.erase(0, *fed);
      outcome.taken += *fed;
      if (!had_head && parser.head_done()) parser.set_max_body_bytes(max_body);
      progress = *fed > 0;
    }
  }
  outcome.done = parser.done();
  outcome.keep_alive = outcome.done && parser.keep_alive();
  return outcome;
}

TEST(RequestParser, ReadsARequestCutAtEveryByte) {
  const std::string_view chunked =
      "\r\nPOST /v1/chat%20x/a?model=x&y=%31 HTTP/1.1\r\nHost: example.org:80\r\nX-Two:  a b "
      "\t\r\nEmpty:\r\n"
      "Transfer-Encoding: chunked\r\n\r\n4;ext=\"v\"\r\nWiki\r\nB\r\npedia in ch\r\n0\r\nTrailer: "
      "ignored\r\n\r\n";
  const std::string_view sized =
      "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
  for (std::size_t step = 1; step < chunked.size() + 1; ++step) {
    const Outcome a = parse(chunked, step);
    ASSERT_TRUE(a.done) << step << " fault " << a.fault;
    EXPECT_EQ(a.request.method, Method::kPost);
    EXPECT_EQ(a.request.path, "/v1/chat x/a");
    EXPECT_EQ(a.request.query, "model=x&y=%31");
    EXPECT_EQ(a.request.query_param("y"), "1");
    EXPECT_EQ(a.request.headers.get("x-two"), "a b");
    EXPECT_EQ(a.request.headers.size(), 4u) << "a trailer must not become a header";
    EXPECT_EQ(a.request.body, "Wikipedia in ch");
    EXPECT_EQ(a.taken, chunked.size());
    EXPECT_TRUE(a.keep_alive);
    const Outcome b = parse(sized, step);
    ASSERT_TRUE(b.done) << step;
    EXPECT_EQ(b.request.body, "hello world");
  }
}

TEST(RequestParser, TakesNoByteOfTheNextRequest) {
  const std::string first = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  const Outcome outcome = parse(first + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.taken, first.size());
  EXPECT_EQ(outcome.request.path, "/a");
}

TEST(RequestParser, RefusesWhatSmugglingIsMadeOf) {
  const struct {
    int status;
    const char* what;
    std::string bytes;
  } cases[] = {
      {400, "both lengths",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "both lengths, swapped",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
      {400, "two lengths",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
      {400, "same length twice",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
      {400, "length list", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"},
      {400, "signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"},
      {400, "negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc"},
      {400, "hex length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc"},
      {400, "empty length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"},
      {400, "huge length",
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n"},
      {501, "unknown coding",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
      {501, "coding after chunked",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
      {501, "identity", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"},
      {501, "hidden coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"},
      {400, "chunked twice",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n"},
      {400, "vertical tab in coding",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n"},
      {400, "chunked for HTTP/1.0",
       "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, "bare LF after the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"},
      {400, "bare LF after a field", "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"},
      {400, "bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\nGET / HTTP/1.1\r\n\r\n"},
      {400, "bare CR", "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n"},
      {400, "folded field", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"},
      {400, "folded first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
      {400, "folded empty field", "GET / HTTP/1.1\r\nHost: x\r\nX:\r\n \r\n\r\n"},
      {400, "folded coding behind an empty line",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
      {400, "space before colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc"},
      {400, "NUL in value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"s},
      {400, "no colon", "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"},
      {400, "empty name", "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"},
      {400, "missing Host", "GET / HTTP/1.1\r\n\r\n"},
      {400, "two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"},
      {400, "Host with path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"},
      {400, "Host with user", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n"},
      {400, "no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "space in target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "no slash", "GET a HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "other scheme", "GET ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "star for GET", "GET * HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "encoded NUL", "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "broken escape", "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "cut escape", "GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "dot segments", "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "encoded dot segments", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {400, "dots behind an encoded slash", "GET /a%2f..%2fb HTTP/1.1\r\nHost: x\r\n\r\n"},
      {505, "HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n"},
      {505, "HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n"},
      {400, "HTTP/0.9", "GET /\r\n\r\n"},
      {400, "lower case version", "GET / http/1.1\r\nHost: x\r\n\r\n"},
      {400, "binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
      {417, "unknown expectation",
       "POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\nx"},
      {400, "chunk size sign",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nWiki\r\n0\r\n\r\n"},
      {400, "chunk size prefix",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nWiki\r\n0\r\n\r\n"},
      {400, "chunk longer than its size",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWikiX\r\n0\r\n\r\n"},
      {400, "chunk with bare LF",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\nWiki\r\n0\r\n\r\n"},
      {400, "chunk size overflow",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
       "chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nWiki\r\n0\r\n\r\n"},
      {400, "two chunk sizes",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4 6\r\nWiki\r\n0\r\n\r\n"},
      {400, "no chunk size",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\nWiki\r\n0\r\n\r\n"},
      {400, "bare LF in a chunk extension",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
       "chunked\r\n\r\n4;a\nWiki\r\n0\r\n\r\n"},
      {400, "bare CR in a chunk extension",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
       "chunked\r\n\r\n4;a\rb\r\nWiki\r\n0\r\n\r\n"},
      {400, "bare LF behind the last chunk",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nGET"},
      {400, "folded trailer",
       "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n"},
  };
  for (const auto& [status, what, bytes] : cases) {
    EXPECT_EQ(parse(bytes).fault, status) << what;
    EXPECT_EQ(parse(bytes, 1).fault, status) << what << ", byte by byte";
  }
}

TEST(RequestParser, KeepsLimits) {
  const RequestParserLimits limits{512, 5};
  const std::string line = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::string_view::npos}) {
    EXPECT_EQ(parse("GET /" + std::string(600, 'a') + " HTTP/1.1\r\n", step, limits).fault, 414);
    EXPECT_EQ(parse(line + "X: " + std::string(600, 'a') + "\r\n\r\n", step, limits).fault, 431);
    EXPECT_EQ(parse(line + "X: " + std::string(600, 'a'), step, limits).fault, 431);
    EXPECT_EQ(parse(line + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n", step, limits).fault,
              431);
    EXPECT_TRUE(parse(line + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", step, limits).done);
    std::string creeping = line;
    for (int i = 0; i < 3; ++i) creeping += "X: " + std::string(200, 'a') + "\r\n";
    EXPECT_EQ(parse(creeping + "\r\n", step, limits).fault, 431)
        << "fields may not add up beyond the limit";
    const std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(parse(chunked + "6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n", step, limits, 10).fault,
              413);
    EXPECT_EQ(parse(chunked + "1;x=" + std::string(600, 'a'), step, limits).fault, 431)
        << "endless chunk extension";
    EXPECT_EQ(parse(chunked + "0\r\nX: " + std::string(600, 'a'), step, limits).fault, 431)
        << "endless trailer";
    std::string padded = chunked;
    for (int i = 0; i < 200; ++i) padded += "1;" + std::string(100, 'x') + "\r\na\r\n";
    EXPECT_EQ(parse(padded + "0\r\n\r\n", step, limits).fault, 431)
        << "extensions that outweigh the body";
    std::string signed_chunks = chunked;
    for (int i = 0; i < 300; ++i) {
      signed_chunks += "64 ;sig=" + std::string(80, 'x') + "\r\n" + std::string(100, 'a') + "\r\n";
    }
    EXPECT_TRUE(parse(signed_chunks + "0\r\n\r\n", step, limits).done);
  }
}

TEST(RequestParser, StopsBehindTheHeadSoThatTheBodyCanBeRefused) {
  Request request;
  RequestParser parser({});
  parser.start(request);
  const std::string_view head =
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  const auto fed = parser.feed(std::string(head) + "hello");
  ASSERT_TRUE(fed);
  EXPECT_EQ(*fed, head.size());
  EXPECT_TRUE(parser.head_done());
  EXPECT_FALSE(parser.done());
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_EQ(parser.content_length(), 5u);
  EXPECT_TRUE(request.body.empty());
}

TEST(RequestParser, UnderstandsAbsoluteTargetsAndOptionsStar) {
  const Outcome absolute =
      parse("GET http://example.org/a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n");
  EXPECT_TRUE(absolute.done);
  EXPECT_EQ(absolute.request.path, "/a");
  EXPECT_EQ(absolute.request.query, "b=c");
  const Outcome star = parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(star.done);
  EXPECT_EQ(star.request.path, "*");
}

TEST(RequestParser, KeepsConnectionsAsTheVersionAndFieldsSay) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

TEST(RequestParser, NamesUnknownMethods) {
  const Outcome outcome = parse("BREW / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(outcome.request.method, Method::kOther);
  EXPECT_EQ(outcome.request.method_name, "BREW");
}

}  // namespace
}  // namespace asahi::http
