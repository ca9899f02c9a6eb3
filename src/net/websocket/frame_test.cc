#include "net/websocket/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::http {
namespace {

using Kind = WebSocketEvent::Kind;

/// A client's frame: masked. `first`: FIN, reserved bits and opcode.
std::string frame(std::uint8_t first, std::string_view payload, bool masked = true) {
  std::string out(1, static_cast<char>(first));
  const char mask_bit = masked ? '\x80' : '\0';
  if (payload.size() < 126) {
    out += static_cast<char>(mask_bit | static_cast<char>(payload.size()));
  } else {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  const std::string_view mask("\x12\x34\x56\x78", 4);
  if (masked) out += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    out += masked ? static_cast<char>(payload[i] ^ mask[i & 3]) : payload[i];
  }
  return out;
}

struct Outcome {
  std::vector<WebSocketEvent> events;
  std::uint16_t error = 0;
};

Outcome parse(std::string_view bytes, std::size_t step = std::string_view::npos) {
  WebSocketReader reader(1000);
  Outcome outcome;
  for (std::size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size())) {
    const auto fed = reader.feed(bytes.substr(at, step), outcome.events);
    if (!fed) {
      outcome.error = fed.error();
      break;
    }
  }
  return outcome;
}

TEST(WebSocketReader, JoinsFragmentsAroundControlFramesCutAnywhere) {
  const std::string bytes = frame(0x01, "hel") + frame(0x89, "ping") + frame(0x00, "") +
                            frame(0x80, "lo") + frame(0x82, std::string(300, 'b')) +
                            frame(0x8a, "") + frame(0x81, "") +
                            frame(0x88,
                                  "\x03\xe8"
                                  "bye");
  for (std::size_t step = 1; step < 400; ++step) {
    const Outcome outcome = parse(bytes, step);
    ASSERT_EQ(outcome.error, 0) << step;
    ASSERT_EQ(outcome.events.size(), 6u) << step;
    EXPECT_EQ(outcome.events[0].kind, Kind::kPing);
    EXPECT_EQ(outcome.events[0].data, "ping");
    EXPECT_EQ(outcome.events[1].kind, Kind::kText);
    EXPECT_EQ(outcome.events[1].data, "hello");
    EXPECT_EQ(outcome.events[2].kind, Kind::kBinary);
    EXPECT_EQ(outcome.events[2].data, std::string(300, 'b'));
    EXPECT_EQ(outcome.events[3].kind, Kind::kPong);
    EXPECT_EQ(outcome.events[4].data, "");
    EXPECT_EQ(outcome.events[5].kind, Kind::kClose);
    EXPECT_EQ(outcome.events[5].code, 1000);
    EXPECT_EQ(outcome.events[5].data, "bye");
  }
}

TEST(WebSocketReader, RefusesWhatTheProtocolForbids) {
  const struct {
    const char* what;
    std::uint16_t code;
    std::string bytes;
  } cases[] = {
      {"unmasked", 1002, frame(0x81, "x", false)},
      {"reserved bit", 1002, frame(0xc1, "x")},
      {"unknown opcode", 1002, frame(0x83, "x")},
      {"unknown control", 1002, frame(0x8b, "x")},
      {"fragmented ping", 1002, frame(0x09, "x")},
      {"long ping", 1002, frame(0x89, std::string(126, 'x'))},
      {"continuation of nothing", 1002, frame(0x80, "x")},
      {"new message inside another", 1002, frame(0x01, "x") + frame(0x81, "y")},
      {"long form of a short length", 1002, std::string("\x81\xfe\x00\x05\x01\x02\x03\x04", 8)},
      {"close with one byte", 1002, frame(0x88, "x")},
      {"close with a reserved code", 1002, frame(0x88, "\x03\xed")},
      {"invalid text", 1007, frame(0x81, "\xff\xfe")},
      {"invalid text over fragments", 1007, frame(0x01, "\xc3") + frame(0x80, "x")},
      {"invalid close reason", 1007, frame(0x88, "\x03\xe8\xff")},
      {"too big", 1009, frame(0x81, std::string(1001, 'x'))},
      {"too big over fragments", 1009,
       frame(0x01, std::string(600, 'x')) + frame(0x80, std::string(600, 'x'))},
      {"absurd length", 1009,
       std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", 14)},
  };
  for (const auto& [what, code, bytes] : cases) {
    EXPECT_EQ(parse(bytes).error, code) << what;
    EXPECT_EQ(parse(bytes, 1).error, code) << what;
  }
}

TEST(WebSocketReader, TextMayBeCutInsideACharacter) {
  const Outcome outcome = parse(frame(0x01, "\xc3") + frame(0x80, "\xa9"));
  ASSERT_EQ(outcome.events.size(), 1u);
  EXPECT_EQ(outcome.events[0].data, "\xc3\xa9");
}

TEST(AppendFrame, UsesTheShortestLength) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{125}, std::size_t{126},
                                 std::size_t{65535}, std::size_t{65536}}) {
    std::string out;
    append_frame(out, Kind::kBinary, std::string(size, 'x'));
    EXPECT_EQ(out.size() - size, size < 126 ? 2u : size < 65536 ? 4u : 10u);
    EXPECT_EQ(static_cast<std::uint8_t>(out[0]), 0x82);
  }
}

TEST(AcceptWebSocket, FollowsTheExampleOfTheRfc) {
  Request request;
  request.headers.add("Upgrade", "websocket");
  request.headers.add("Connection", "keep-alive, Upgrade");
  request.headers.add("Sec-WebSocket-Version", "13");
  request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(accept_websocket(request).value(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  for (const char* name : {"Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}) {
    Request incomplete = request;
    incomplete.headers.remove(name);
    EXPECT_FALSE(accept_websocket(incomplete)) << name;
  }
}

}  // namespace
}  // namespace asahi::http
