#include "net/websocket/websocket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/event.h"
#include "net/http/server.h"
#include "net/testing/raw_socket.h"

namespace asahi::http {
namespace {

using namespace std::chrono_literals;
using net_testing::RawSocket;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string frame(std::uint8_t first, std::string_view payload) {
  std::string out(1, static_cast<char>(first));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else {
    out += '\xff';
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>((payload.size() >> shift) & 0xff);
  }
  out += "abcd";
  for (std::size_t i = 0; i < payload.size(); ++i)
    out += static_cast<char>(payload[i] ^ "abcd"[i & 3]);
  return out;
}

const std::string kHandshake =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
    "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct WebSocketTest : ::testing::Test {
  void TearDown() override {
    server.reset();
    pool.stop();
  }

  void serve(WebSocketHandler handler) {
    Router router;
    Route route{Method::kGet, "/ws", {}};
    route.websocket = std::move(handler);
    router.add(std::move(route));
    ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server = Server::bind(pool, std::move(options), std::move(router)).value();
    pool.start();
    server->start();
  }

  void serve_echo() {
    serve([this](Context&, WebSocket& socket) -> Aw<void> {
      for (;;) {
        auto message = co_await socket.read();
        if (!message) {
          ended.set_value(message.error().code);
          co_return;
        }
        auto sent = co_await socket.write(*std::move(message));
        if (!sent) {
          ended.set_value(sent.error().code);
          co_return;
        }
      }
    });
  }

  RawSocket open(std::string_view early = "") {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send(kHandshake + std::string(early));
    return socket;
  }

  Errc end() {
    auto future = ended.get_future();
    return future.wait_for(5s) == std::future_status::ready ? future.get() : Errc::kInternal;
  }

  std::promise<Errc> ended;
  net::LoopPool pool{1};
  std::unique_ptr<Server> server;
};

TEST_F(WebSocketTest, EchoesMessagesEvenThoseSentWithTheHandshake) {
  serve_echo();
  RawSocket socket = open(frame(0x81, "early"));
  const std::string head = socket.receive_until("early");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 101"));
  EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(head, ::testing::EndsWith(std::string("\x81\x05"
                                                    "early")));
  socket.send(frame(0x01, "frag") + frame(0x80, "ment"));
  EXPECT_EQ(socket.receive_until("fragment"), std::string("\x81\x08"
                                                          "fragment"));
  const std::string big(200'000, 'B');
  socket.send(frame(0x82, big));
  const std::string reply = socket.receive_until(big);
  EXPECT_EQ(reply.size(), big.size() + 10);
  EXPECT_EQ(server->active_requests(), 0u) << "it counts among the connections";
}

TEST_F(WebSocketTest, AnswersPingsWhileTheHandlerDoesNotRead) {
  std::promise<void> go;
  auto gate = go.get_future().share();
  serve([gate](Context& context, WebSocket&) -> Aw<void> {
    while (gate.wait_for(0s) != std::future_status::ready) co_await context.loop.sleep_for(1ms);
  });
  RawSocket socket = open();
  socket.receive_until("\r\n\r\n");
  socket.send(frame(0x89, "beat"));
  EXPECT_EQ(socket.receive_until("beat"), std::string("\x8a\x04"
                                                      "beat"));
  go.set_value();
  EXPECT_EQ(socket.receive_until("\xe8"), std::string("\x88\x02\x03\xe8"))
      << "closed when the handler returns";
  socket.send(frame(0x88, "\x03\xe8"));
  EXPECT_TRUE(socket.closed_by_peer());
}

TEST_F(WebSocketTest, ThePeersCloseIsAnsweredAndEndsTheHandler) {
  serve_echo();
  RawSocket socket = open();
  socket.receive_until("\r\n\r\n");
  socket.send(frame(0x88,
                    "\x03\xe8"
                    "bye"));
  EXPECT_EQ(socket.receive_all(), std::string("\x88\x02\x03\xe8"));
  EXPECT_EQ(end(), Errc::kCancelled);
}

TEST_F(WebSocketTest, APeerThatVanishesCancelsTheHandler) {
  std::promise<bool> slept;
  serve([&](Context& context, WebSocket&) -> Aw<void> {
    slept.set_value(co_await context.loop.sleep_for(20s, &context.cancel));
  });
  {
    RawSocket socket = open();
    socket.receive_until("\r\n\r\n");
    socket.reset();
  }
  auto future = slept.get_future();
  ASSERT_EQ(future.wait_for(5s), std::future_status::ready);
  EXPECT_FALSE(future.get());
}

TEST_F(WebSocketTest, AnOversizedMessageIsRefusedByItsHead) {
  serve_echo();
  RawSocket socket = open();
  socket.receive_until("\r\n\r\n");
  socket.send(frame(0x82, std::string((1 << 20) + 1, 'x')).substr(0, 1000));
  EXPECT_EQ(socket.receive_until("\xf1"), std::string("\x88\x02\x03\xf1"));
  EXPECT_EQ(end(), Errc::kTooLarge);
}

TEST_F(WebSocketTest, TheHandlersCloseCarriesItsCodeAndReason) {
  serve([](Context&, WebSocket& socket) -> Aw<void> {
    co_await socket.close(4001, "no key");
    auto after = co_await socket.write({true, "late"});
    EXPECT_FALSE(after);
  });
  RawSocket socket = open();
  EXPECT_THAT(socket.receive_until("key"),
              ::testing::EndsWith(std::string("\r\n\r\n\x88\x08\x0f\xa1"
                                              "no key")));
  socket.close();
}

TEST_F(WebSocketTest, DrainSaysGoingAway) {
  serve_echo();
  RawSocket socket = open();
  socket.receive_until("\r\n\r\n");
  auto drained = std::async(std::launch::async, [&] { server->drain(5s); });
  EXPECT_EQ(socket.receive_until("\xe9"), std::string("\x88\x02\x03\xe9"));
  socket.send(frame(0x88, "\x03\xe9"));
  EXPECT_EQ(end(), Errc::kCancelled);
  drained.get();
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(WebSocketTest, APlainRequestIsToldToUpgrade) {
  serve_echo();
  RawSocket socket = RawSocket::connect(server->port());
  socket.send("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string reply = socket.receive_until("}");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 426"));
  EXPECT_THAT(reply, HasSubstr("Upgrade: websocket\r\n"));
}

TEST_F(WebSocketTest, Http10CannotUpgrade) {
  serve_echo();
  RawSocket socket = RawSocket::connect(server->port());
  std::string handshake = kHandshake;
  handshake.replace(handshake.find("HTTP/1.1"), 8, "HTTP/1.0");
  socket.send(handshake);
  EXPECT_THAT(socket.receive_until("}"), StartsWith("HTTP/1.1 426"));
}

TEST_F(WebSocketTest, AHandlerThatDoesNotReadHoldsItsPeerBack) {
  std::promise<std::size_t> read;
  net::Event released(pool.at(0));
  serve([&](Context&, WebSocket& socket) -> Aw<void> {
    co_await released.wait();
    std::size_t count = 0;
    while (auto message = co_await socket.read()) {
      if (message->data == "last") break;
      ++count;
    }
    read.set_value(count);
  });
  RawSocket socket = open();
  socket.receive_until("\r\n\r\n");
  // More than all queues and socket buffers hold: the sender must be stopped, and nothing be lost.
  constexpr std::size_t kCount = 60;
  auto sending = std::async(std::launch::async, [&socket] {
    const std::string message = frame(0x82, std::string(1 << 20, 'm'));
    for (std::size_t i = 0; i < kCount; ++i) socket.send(message);
    socket.send(frame(0x82, "last"));
  });
  EXPECT_EQ(sending.wait_for(300ms), std::future_status::timeout) << "60 MiB taken unread";
  pool.at(0).post([&released] { released.set(); });
  EXPECT_EQ(read.get_future().get(), kCount);
  sending.get();
}

}  // namespace
}  // namespace asahi::http
