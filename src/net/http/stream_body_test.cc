// Streamed replies: framing, back-pressure, cuts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/http/server.h"
#include "net/testing/raw_socket.h"

namespace asahi::http {
namespace {

using namespace std::chrono_literals;
using net_testing::RawSocket;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using Produce = std::function<Task<void>(Context&, BodyWriter&)>;

struct StreamBody : ::testing::Test {
  void TearDown() override {
    server.reset();
    pool.stop();
  }

  void serve(Produce produce) {
    options.host = "127.0.0.1";
    options.port = 0;
    Router router;
    router.get("/", [produce = std::move(produce)](Context& context) -> Aw<Response> {
      Response response;
      response.headers.add("Content-Type", "text/event-stream");
      response.stream = [&context, &produce](BodyWriter& writer) {
        return produce(context, writer);
      };
      co_return response;
    });
    server = Server::bind(pool, std::move(options), std::move(router)).value();
    pool.start();
    server->start();
  }

  RawSocket open(std::string_view version = "1.1") {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send("GET / HTTP/" + std::string(version) + "\r\nHost: x\r\n\r\n");
    return socket;
  }

  ServerOptions options;
  net::LoopPool pool{1};
  std::unique_ptr<Server> server;
};

TEST_F(StreamBody, GoesOutInChunksAndTheConnectionServesOn) {
  serve([](Context&, BodyWriter& writer) -> Task<void> {
    co_await writer.write("data: one\n\n");
    co_await writer.write("");  // would end the body if it were a chunk
    co_return co_await writer.write(std::string(20, 'x'));
  });
  RawSocket socket = open();
  const std::string reply = socket.receive_until("0\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(reply,
              EndsWith("\r\n\r\nb\r\ndata: one\n\n\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"));
  socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.receive_until("0\r\n\r\n"), HasSubstr("200 OK"));
}

TEST_F(StreamBody, EachPieceArrivesBeforeTheNextIsMade) {
  std::promise<void> go;
  auto gate = go.get_future().share();
  serve([gate](Context& context, BodyWriter& writer) -> Task<void> {
    co_await writer.write("first");
    while (gate.wait_for(0s) != std::future_status::ready) co_await context.loop.sleep_for(1ms);
    co_return co_await writer.write("second");
  });
  RawSocket socket = open();
  EXPECT_THAT(socket.receive_until("first"), Not(HasSubstr("second")));
  go.set_value();
  EXPECT_THAT(socket.receive_until("0\r\n\r\n"), HasSubstr("second"));
}

TEST_F(StreamBody, HttpOneZeroGetsPlainBytesToTheEnd) {
  serve([](Context&, BodyWriter& writer) -> Task<void> {
    co_await writer.write("one");
    co_return co_await writer.write("two");
  });
  const std::string reply = open("1.0").receive_all();
  EXPECT_THAT(reply, EndsWith("\r\n\r\nonetwo"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
}

TEST_F(StreamBody, AnErrorOrExceptionLeavesNoClosingChunk) {
  options.on_exception = [](const Context&, std::string_view) {};
  serve([](Context& context, BodyWriter& writer) -> Task<void> {
    co_await writer.write("part");
    if (context.request.query == "throw") throw std::runtime_error("no");
    co_return fail(Errc::kUpstream, "cut");
  });
  for (const char* target : {"/", "/?throw"}) {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string reply = socket.receive_all();
    EXPECT_THAT(reply, EndsWith("4\r\npart\r\n"));
  }
}

TEST_F(StreamBody, AReaderThatStopsHoldsTheProducerBackAndLosesTheConnection) {
  options.limits.write_timeout = 200ms;
  std::atomic<std::size_t> produced{0};
  std::promise<Errc> ended;
  serve([&](Context& context, BodyWriter& writer) -> Task<void> {
    for (;;) {
      auto sent = co_await writer.write(std::string(100'000, 'x'));
      if (!sent) {
        EXPECT_TRUE(context.cancel.cancelled());
        ended.set_value(sent.error().code);
        co_return sent;
      }
      produced += 100'000;
    }
  });
  RawSocket socket = open();
  auto end = ended.get_future();
  ASSERT_EQ(end.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(end.get(), Errc::kCancelled);
  EXPECT_LT(produced.load(), std::size_t{64 << 20}) << "only what the socket buffers hold";
}

TEST_F(StreamBody, AClientThatLeavesCancelsAStreamThatWaits) {
  std::promise<bool> ended;
  serve([&](Context& context, BodyWriter& writer) -> Task<void> {
    co_await writer.write("hello");
    ended.set_value(co_await context.loop.sleep_for(20s, &context.cancel));
    co_return Result<void>{};
  });
  {
    RawSocket socket = open();
    socket.receive_until("hello");
  }
  auto end = ended.get_future();
  ASSERT_EQ(end.wait_for(5s), std::future_status::ready);
  EXPECT_FALSE(end.get());
}

TEST_F(StreamBody, TheDeadlineCutsAStream) {
  options.limits.request_timeout = 80ms;
  serve([](Context& context, BodyWriter& writer) -> Task<void> {
    co_await writer.write("hello");
    co_await context.loop.sleep_for(20s, &context.cancel);
    co_return Result<void>{};
  });
  EXPECT_THAT(open().receive_all(), EndsWith("5\r\nhello\r\n"));
}

TEST_F(StreamBody, HeadRunsNoStream) {
  serve([](Context&, BodyWriter&) -> Task<void> {
    ADD_FAILURE();
    co_return Result<void>{};
  });
  RawSocket socket = RawSocket::connect(server->port());
  socket.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(socket.receive_all(), EndsWith("Transfer-Encoding: chunked\r\n\r\n"));
}

TEST_F(StreamBody, AThousandParallelStreamsAllArriveWhole) {
  serve([](Context& context, BodyWriter& writer) -> Task<void> {
    for (int i = 0; i < 5; ++i) {
      if (auto sent = co_await writer.write("data: token\n\n"); !sent) co_return sent;
      co_await context.loop.sleep_for(5ms, &context.cancel);
    }
    co_return Result<void>{};
  });
  std::vector<RawSocket> sockets;
  for (int i = 0; i < 1000; ++i) sockets.push_back(open());
  int whole = 0;
  for (auto& socket : sockets) {
    if (socket.receive_until("0\r\n\r\n").ends_with("\r\n0\r\n\r\n")) ++whole;
  }
  EXPECT_EQ(whole, 1000);
}

}  // namespace
}  // namespace asahi::http
