#include "net/http/response_parser.h"

#include <gtest/gtest.h>

namespace asahi::http {
namespace {

struct Outcome {
  int status = 0;
  std::string body;
  bool done = false;
  bool keep_alive = false;
  bool failed = false;
  std::size_t taken = 0;
};

Outcome parse(std::string_view bytes, std::size_t step = std::string_view::npos,
              ResponseParser::RequestKind kind = ResponseParser::RequestKind::kOther,
              bool ends = false) {
  Outcome outcome;
  ResponseParser parser(kind, 4096);
  std::string held;
  for (std::size_t at = 0; at < bytes.size() && !parser.done();) {
    const auto more = bytes.substr(at, step);
    at += more.size();
    held += more;
    for (bool progress = true; progress && !held.empty() && !parser.done();) {
      const std::vector<char> exact(held.begin(), held.end());
      const std::string_view view(exact.data(), exact.size());
      std::size_t taken = 0;
      if (!parser.head_done()) {
        const auto fed = parser.feed_head(view);
        if (!fed) return outcome.failed = true, outcome;
        taken = *fed;
      } else {
        const auto next = parser.next_body(view);
        if (!next) return outcome.failed = true, outcome;
        taken = next->taken;
        outcome.body += next->piece;
      }
      held.erase(0, taken);
      outcome.taken += taken;
      progress = taken > 0;
    }
  }
  if (ends) outcome.failed = !parser.finish().has_value();
  outcome.done = parser.done();
  if (parser.head_done()) outcome.status = parser.status();
  outcome.keep_alive = outcome.done && parser.keep_alive();
  return outcome;
}

TEST(ResponseParser, ReadsEveryFramingCutAtEveryByte) {
  const std::string sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  const std::string chunked =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nhel\r\n2;x\r\nlo\r\n0\r\nT: x\r\n\r\n";
  const std::string to_end = "HTTP/1.1 200 OK\r\n\r\nhello";
  for (std::size_t step = 1; step < 90; ++step) {
    const Outcome a = parse(sized, step);
    EXPECT_TRUE(a.done && a.keep_alive) << step;
    EXPECT_EQ(a.body, "hello");
    const Outcome b = parse(chunked, step);
    EXPECT_TRUE(b.done && b.keep_alive) << step;
    EXPECT_EQ(b.status, 201);
    EXPECT_EQ(b.body, "hello");
    EXPECT_EQ(b.taken, chunked.size());
    const Outcome c = parse(to_end, step, ResponseParser::RequestKind::kOther, true);
    EXPECT_TRUE(c.done && !c.keep_alive && !c.failed) << step;
    EXPECT_EQ(c.body, "hello");
  }
}

TEST(ResponseParser, SomeAnswersHaveNoBodyWhateverTheySay) {
  EXPECT_TRUE(parse("HTTP/1.1 204 No Content\r\n\r\n").done);
  EXPECT_TRUE(parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").done);
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 1000,
                    ResponseParser::RequestKind::kHead)
                  .done);
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").done);
}

TEST(ResponseParser, ACutIsAnError) {
  for (const char* bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n"}) {
    EXPECT_TRUE(parse(bytes, 1000, ResponseParser::RequestKind::kOther, true).failed) << bytes;
  }
}

TEST(ResponseParser, GarbageIsAnError) {
  for (const std::string& bytes :
       {std::string("garbage\r\n\r\n"), std::string("HTTP/2.0 200 OK\r\n\r\n"),
        std::string("HTTP/1.1 abc OK\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
        std::string("HTTP/1.1 101 Switching\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        "HTTP/1.1 200 OK\r\nX: " + std::string(5000, 'x') + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + std::string(5000, 'x')}) {
    EXPECT_TRUE(parse(bytes).failed) << bytes.substr(0, 60);
    EXPECT_TRUE(parse(bytes, 1).failed) << bytes.substr(0, 60);
  }
  std::string interim;
  for (int i = 0; i < 30; ++i) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_TRUE(parse(interim).failed) << "endless interim answers";
}

}  // namespace
}  // namespace asahi::http
