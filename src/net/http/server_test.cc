#include "net/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "net/blocking.h"
#include "net/event.h"
#include "net/http/client.h"
#include "net/testing/certificate.h"
#include "net/testing/raw_socket.h"

namespace asahi::http {
namespace {

using namespace std::chrono_literals;
using net_testing::RawSocket;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Steady = std::chrono::steady_clock;

std::string get(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

struct ServerTest : ::testing::Test {
  void TearDown() override {
    server.reset();
    pool.stop();
  }

  void serve() {
    options.host = "127.0.0.1";
    options.port = 0;
    options.on_complete = [this](const Context& context, int status, std::size_t bytes) {
      const std::lock_guard lock(mutex);
      log.push_back({context.request.path, status, bytes, std::string(context.route)});
      logged.notify_all();
    };
    Route fast{Method::kGet, "/fast", {}};
    fast.fast = [](Context& context) -> std::optional<Response> {
      if (context.request.query_param("throw")) throw std::runtime_error("fast secret");
      return Response::text(200, "fast");
    };
    router.add(std::move(fast));
    router.get("/slow", [](Context& context) -> Aw<Response> {
      co_await context.loop.sleep_for(30ms, &context.cancel);
      co_return Response::text(200, "slow");
    });
    router.post("/echo", [](Context& context) -> Aw<Response> {
      co_return Response::text(200, std::move(context.request.body));
    });
    router.get("/throw", [](Context&) -> Aw<Response> {
      throw std::runtime_error("secret detail");
      co_return Response{};
    });
    router.get("/hang", [this](Context& context) -> Aw<Response> {
      entered.set_value();
      const bool whole = co_await context.loop.sleep_for(20s, &context.cancel);
      cancelled.set_value(Steady::now());
      co_return Response::text(whole ? 200 : 499, "hung");
    });
    router.get("/large", [](Context&) -> Aw<Response> {
      co_return Response::text(200, std::string(1 << 20, 'L'));
    });
    auto bound = Server::bind(pool, std::move(options), std::move(router));
    ASSERT_TRUE(bound) << bound.error().message;
    server = *std::move(bound);
    pool.start();
    server->start();
  }

  RawSocket connect() { return RawSocket::connect(server->port()); }

  /// One request on a fresh connection, closed behind the answer.
  std::string ask(std::string_view path, std::string_view more = "") {
    RawSocket socket = connect();
    socket.send(get(path, std::string(more) + "Connection: close\r\n"));
    return socket.receive_all();
  }

  struct Logged {
    std::string path;
    int status;
    std::size_t bytes;
    std::string route;
  };
  /// The `count`-th completed request.
  Logged wait_for_log(std::size_t count) {
    std::unique_lock lock(mutex);
    if (!logged.wait_for(lock, 5s, [&] { return log.size() >= count; }))
      return {"nothing logged", 0, 0, ""};
    return log[count - 1];
  }

  std::mutex mutex;
  std::condition_variable logged;
  std::vector<Logged> log;
  std::promise<void> entered;
  std::promise<Steady::time_point> cancelled;
  ServerOptions options;
  Router router;
  net::LoopPool pool{1};
  std::unique_ptr<Server> server;
};

TEST_F(ServerTest, AnswersWithLengthDateAndRequestId) {
  serve();
  const std::string reply = ask("/fast", "X-Request-Id: my-id_1\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Date: "));
  EXPECT_THAT(reply, HasSubstr("X-Request-Id: my-id_1\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(reply, ::testing::EndsWith("\r\n\r\nfast"));
  EXPECT_THAT(ask("/slow", "X-Request-Id: not valid!\r\n"),
              ::testing::ContainsRegex("X-Request-Id: req_[0-9a-f]+\r\n"));
  const Logged first = wait_for_log(1);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.bytes, 4u);
  EXPECT_EQ(first.route, "/fast");
}

TEST_F(ServerTest, ServesManyRequestsOnOneConnection) {
  serve();
  RawSocket socket = connect();
  for (int i = 0; i < 50; ++i) {
    socket.send(get(i % 2 == 0 ? "/fast" : "/slow"));
    EXPECT_THAT(socket.receive_until(i % 2 == 0 ? "fast" : "slow"), HasSubstr("200 OK"));
  }
  EXPECT_EQ(server->connections(), 1u);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrderAndLosesNone) {
  serve();
  RawSocket socket = connect();
  std::string all;
  for (int i = 0; i < 10; ++i) all += get("/fast") + get("/slow");
  socket.send(all + get("/fast", "Connection: close\r\n"));
  const std::string replies = socket.receive_all();
  std::string order;
  for (std::size_t at = replies.find("\r\n\r\n"); at != std::string::npos;
       at = replies.find("\r\n\r\n", at + 1)) {
    order += replies[at + 4];
  }
  EXPECT_EQ(order, "fsfsfsfsfsfsfsfsfsfsf");
}

TEST_F(ServerTest, PipelinedBytesThatComeWhileAHandlerSleepsAreKept) {
  serve();
  RawSocket socket = connect();
  socket.send(get("/slow"));
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(4ms);  // spread over the time the handler sleeps
    socket.send(get("/fast"));
  }
  socket.send(get("/slow", "Connection: close\r\n"));
  const std::string replies = socket.receive_all();
  std::size_t count = 0;
  for (std::size_t at = replies.find("HTTP/1.1 200"); at != std::string::npos;
       at = replies.find("HTTP/1.1 200", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 7u);
}

TEST_F(ServerTest, ReadingAheadNeverServesOldBytesAgain) {
  net::Event gate(pool.at(0));
  router.get("/gate", [this, &gate](Context&) -> Aw<Response> {
    entered.set_value();
    co_await gate.wait();
    co_return Response::text(200, "gate");
  });
  router.get("/mirror/{word}", [](Context& context) -> Aw<Response> {
    co_return Response::text(200, std::string(context.path_param("word")));
  });
  serve();
  RawSocket socket = connect();
  socket.send(get("/gate"));
  entered.get_future().get();
  std::this_thread::sleep_for(20ms);  // the handler counts as suspended: the server reads ahead
  socket.send(get("/mirror/first"));
  std::this_thread::sleep_for(20ms);  // and has the next request while its next read is under way
  pool.at(0).post([&gate] { gate.set(); });
  EXPECT_THAT(socket.receive_until("first"), HasSubstr("first"));
  socket.send(get("/mirror/other"));
  EXPECT_THAT(socket.receive_until("other"), HasSubstr("other"));
}

TEST_F(ServerTest, TakesBodiesOfBothFramings) {
  serve();
  RawSocket socket = connect();
  const std::string big(300'000, 'b');
  socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + big);
  const std::string reply = socket.receive_until(big);
  EXPECT_THAT(reply, HasSubstr("Content-Length: 300000\r\n"));
  EXPECT_TRUE(reply.ends_with(big));
  socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  socket.send("6\r\n world\r\n0\r\n\r\n");
  EXPECT_THAT(socket.receive_until("hello world"), HasSubstr("Content-Length: 11\r\n"));
}

TEST_F(ServerTest, LargeRepliesArriveWhole) {
  serve();
  const std::string reply = ask("/large");
  EXPECT_EQ(reply.size() - reply.find("\r\n\r\n") - 4, std::size_t{1 << 20});
}

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
  serve();
  RawSocket socket = connect();
  socket.send("HEAD /fast HTTP/1.1\r\nHost: x\r\n\r\n" + get("/slow", "Connection: close\r\n"));
  const std::string replies = socket.receive_all();
  EXPECT_THAT(replies, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(replies, Not(HasSubstr("fast")));
  EXPECT_THAT(replies, ::testing::EndsWith("slow"));
}

TEST_F(ServerTest, SpeaksHttp10) {
  serve();
  RawSocket socket = connect();
  socket.send("GET /fast HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(socket.receive_until("fast"), HasSubstr("Connection: keep-alive\r\n"));
  socket.send("GET /fast HTTP/1.0\r\n\r\n");
  EXPECT_THAT(socket.receive_all(), HasSubstr("Connection: close\r\n"));
}

TEST_F(ServerTest, UnknownPathsAndMethodsGetTheErrorBody) {
  serve();
  EXPECT_THAT(ask("/nowhere"),
              ::testing::AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("\"error\":\"not_found\"")));
  RawSocket socket = connect();
  socket.send("DELETE /fast HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string reply = socket.receive_until("}");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(reply, HasSubstr("Allow: GET, HEAD, OPTIONS\r\n"));
  EXPECT_THAT(reply, HasSubstr("method_not_allowed"));
  socket.send("OPTIONS /fast HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 204"));
}

TEST_F(ServerTest, AnExceptionBecomesAPlain500) {
  std::promise<std::string> reported;
  options.on_exception = [&](const Context&, std::string_view what) {
    reported.set_value(std::string(what));
  };
  serve();
  const std::string reply = ask("/throw");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(reply, Not(HasSubstr("secret")));
  EXPECT_EQ(reported.get_future().get(), "std::runtime_error: secret detail");
}

TEST_F(ServerTest, AnExceptionInAFastHandlerToo) {
  serve();
  const std::string reply = ask("/fast?throw=1");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(reply, Not(HasSubstr("secret")));
}

TEST_F(ServerTest, AHandlersImpossibleStatusBecomesA500) {
  for (const int status : {0, -1, 100, 101, 1000}) {
    router.get("/status" + std::to_string(status),
               [status](Context&) -> Aw<Response> { co_return Response::text(status, "odd"); });
  }
  serve();
  RawSocket socket = connect();  // one for all: none of them may leave the client waiting
  for (const int status : {0, -1, 100, 101, 1000}) {
    socket.send(get("/status" + std::to_string(status)));
    EXPECT_THAT(socket.receive_until("}"), StartsWith("HTTP/1.1 500 ")) << status;
  }
}

TEST_F(ServerTest, MalformedRequestsAreAnsweredAndTheConnectionCloses) {
  serve();
  RawSocket socket = connect();
  socket.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + get("/fast"));
  const std::string reply = socket.receive_all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("200 OK"))) << "nothing behind a malformed request is served";
}

TEST_F(ServerTest, ATooLargeBodyIsRefusedBeforeItIsSentAndTheAnswerArrives) {
  options.limits.max_body_bytes = 1000;
  serve();
  RawSocket socket = connect();
  socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
  socket.send(std::string(1'000'000, 'x'));  // a client that does not listen while it sends
  const std::string reply = socket.receive_all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(reply, HasSubstr("payload_too_large"));
  RawSocket chunked = connect();
  chunked.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
               std::string(2000, 'x'));
  EXPECT_THAT(chunked.receive_all(), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, ExpectContinueIsAnsweredOnlyWhenTheBodyIsWanted) {
  options.limits.max_body_bytes = 1000;
  serve();
  RawSocket socket = connect();
  socket.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(socket.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.send("hello");
  EXPECT_THAT(socket.receive_until("hello"), HasSubstr("200 OK"));
  socket.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
  EXPECT_THAT(socket.receive_all(), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, ASlowHeaderTimesOut) {
  options.limits.header_timeout = 60ms;
  serve();
  RawSocket socket = connect();
  const std::string request = get("/fast");
  std::string reply;
  for (const char c : request) {
    socket.send({&c, 1});
    reply = socket.receive(10ms);
    if (!reply.empty()) break;
  }
  reply += socket.receive_all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, ASlowBodyTimesOut) {
  options.limits.body_timeout = 50ms;
  serve();
  RawSocket socket = connect();
  socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
  EXPECT_THAT(socket.receive_all(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, TimeoutsOfReadingDoNotCutAnAnswer) {
  options.limits.idle_timeout = 60ms;
  options.limits.header_timeout = 60ms;
  options.limits.body_timeout = 60ms;
  Route fast{Method::kPost, "/fast-large", {}};
  fast.fast = [](Context&) -> std::optional<Response> {
    return Response::text(200, std::string(16 << 20, 'L'));
  };
  router.add(std::move(fast));
  serve();
  const std::string head = "POST /fast-large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
  const std::pair<std::string, std::string> requests[] = {
      {head + "\r\n", ""},                        // at once: the connection still counts as idle
      {head, "\r\n"},                             // the head in two parts
      {head + "Content-Length: 1\r\n\r\n", "x"},  // the body apart
  };
  for (const auto& [first, second] : requests) {
    RawSocket socket = connect();
    socket.send(first);
    if (!second.empty()) {
      std::this_thread::sleep_for(10ms);
      socket.send(second);
    }
    std::this_thread::sleep_for(150ms);  // a client that takes its time to read
    EXPECT_GT(socket.receive_all().size(), std::size_t{16} << 20) << first.size();
  }
}

TEST_F(ServerTest, AnIdleConnectionClosesSilently) {
  options.limits.idle_timeout = 50ms;
  serve();
  RawSocket socket = connect();
  socket.send(get("/fast"));
  socket.receive_until("fast");
  EXPECT_EQ(socket.receive_all(), "");
  EXPECT_TRUE(socket.closed_by_peer());
}

TEST_F(ServerTest, ADisconnectCancelsTheHandlerWithin100Ms) {
  serve();
  RawSocket socket = connect();
  socket.send(get("/hang"));
  entered.get_future().get();
  std::this_thread::sleep_for(
      50ms);  // let the handler be suspended for a while, as a model call would
  const auto left = Steady::now();
  socket.close();
  auto when = cancelled.get_future();
  ASSERT_EQ(when.wait_for(5s), std::future_status::ready);
  EXPECT_LT(when.get() - left, 100ms);
  EXPECT_EQ(wait_for_log(1).status, 499);
}

TEST_F(ServerTest, ADisconnectRightAfterTheRequestAndAResetAreNoticedToo) {
  serve();
  RawSocket socket = connect();
  socket.send(get("/hang"));
  entered.get_future().get();
  const auto left = Steady::now();
  socket.reset();
  auto when = cancelled.get_future();
  ASSERT_EQ(when.wait_for(5s), std::future_status::ready);
  EXPECT_LT(when.get() - left, 100ms);
}

TEST_F(ServerTest, ADisconnectBehindPipelinedBytesIsNoticed) {
  serve();
  RawSocket socket = connect();
  socket.send(get("/hang"));
  entered.get_future().get();
  std::this_thread::sleep_for(30ms);
  socket.send(get("/fast"));
  std::this_thread::sleep_for(10ms);
  socket.close();
  EXPECT_EQ(cancelled.get_future().wait_for(5s), std::future_status::ready);
}

TEST_F(ServerTest, ADeadlineCancelsAndAnswers504) {
  options.limits.request_timeout = 60ms;
  serve();
  const std::string reply = ask("/hang");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 504"));
  EXPECT_THAT(reply, HasSubstr("deadline_exceeded"));
}

TEST_F(ServerTest, AHandlerThatIgnoresItsCancellationDoesNotKeepTheClientWaiting) {
  options.limits.request_timeout = 50ms;
  std::promise<net::Event*> waiting;
  router.get("/stuck", [&waiting](Context& context) -> Aw<Response> {
    net::Event release(context.loop);
    waiting.set_value(&release);
    co_await release.wait();
    co_return Response::text(200, "late");
  });
  serve();
  RawSocket socket = connect();
  socket.send(get("/stuck"));
  net::Event* release = waiting.get_future().get();
  EXPECT_THAT(socket.receive_all(), StartsWith("HTTP/1.1 504"));
  pool.at(0).post([release] { release->set(); });
  EXPECT_EQ(wait_for_log(1).status, 504);
}

TEST_F(ServerTest, AStuckHandlerIsAnsweredOverTlsToo) {
  const net_testing::TemporaryCertificate certificate("localhost");
  options.tls = TlsFiles{certificate.certificate_file(), certificate.private_key_file()};
  options.limits.request_timeout = 50ms;
  std::promise<net::Event*> waiting;
  router.get("/stuck", [&waiting](Context& context) -> Aw<Response> {
    net::Event release(context.loop);
    waiting.set_value(&release);
    co_await release.wait();
    co_return Response::text(200, "late");
  });
  serve();
  const int status = net::run_sync<int>(pool.at(0), [&]() -> Aw<int> {
    ClientOptions trusting;
    trusting.ca_file = certificate.certificate_file();
    Client client(pool.at(0), trusting);
    ClientRequest request;
    request.method = Method::kGet;
    request.origin = Origin::parse("https://localhost:" + std::to_string(server->port())).value();
    request.target = "/stuck";
    const auto reply = co_await client.send(std::move(request), {});
    co_return reply ? reply->status : 0;
  });
  EXPECT_EQ(status, 504);
  net::Event* const release = waiting.get_future().get();
  pool.at(0).post([release] { release->set(); });
  EXPECT_EQ(wait_for_log(1).status, 504);
}

TEST_F(ServerTest, AHandshakeThatStallsIsCutLikeASlowHeader) {
  const net_testing::TemporaryCertificate certificate("localhost");
  options.tls = TlsFiles{certificate.certificate_file(), certificate.private_key_file()};
  options.limits.header_timeout = 60ms;
  serve();
  for (const std::string_view begin : {std::string_view(), std::string_view("\x16\x03\x01", 3),
                                       std::string_view("GET / HTTP/1.1\r\n")}) {
    RawSocket socket = connect();
    if (!begin.empty()) socket.send(begin);
    EXPECT_TRUE(socket.closed_by_peer(2s));
  }
  EXPECT_TRUE(connect().receive(2s).empty());
}

TEST_F(ServerTest, BeyondTheActiveLimitRequestsGet503AndFastRoutesGoOn) {
  options.limits.max_active_requests = 1;
  serve();
  RawSocket busy = connect();
  busy.send(get("/hang"));
  entered.get_future().get();
  EXPECT_EQ(server->active_requests(), 1u);
  const std::string reply = ask("/slow");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(reply, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(reply, HasSubstr("service_unavailable"));
  EXPECT_THAT(ask("/fast"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, BeyondTheConnectionLimitClientsAreToldSo) {
  options.limits.max_connections = 1;
  serve();
  RawSocket first = connect();
  first.send(get("/fast"));
  first.receive_until("fast");
  RawSocket second = connect();
  EXPECT_THAT(second.receive_all(), StartsWith("HTTP/1.1 503"));
  first.send(get("/fast"));
  EXPECT_THAT(first.receive_until("fast"), HasSubstr("200 OK"));
}

TEST_F(ServerTest, DefaultFieldsAndCorsReachTheClient) {
  options.default_headers.add("X-Content-Type-Options", "nosniff");
  options.cors_origins = {"https://a.example"};
  serve();
  const std::string reply = ask("/fast", "Origin: https://a.example\r\n");
  EXPECT_THAT(reply, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(reply, HasSubstr("Access-Control-Allow-Origin: https://a.example\r\n"));
  RawSocket socket = connect();
  socket.send(
      "OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\nOrigin: "
      "https://a.example\r\nAccess-Control-Request-Method: "
      "POST\r\n\r\n");
  EXPECT_THAT(socket.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 204"));
}

/// Lets /fast and /slow pass, refuses the rest; at once or after a while, as its caller's header
/// asks.
struct TestGate final : Gate {
  struct Guest final : Caller {
    std::string name;
  };
  static Result<void> decide(Context& context, const Route& route) {
    if (context.request.headers.has("X-Break")) throw std::runtime_error("gate secret");
    context.limits = {.most = 9, .remaining = 7, .reset = 60};
    context.reply_headers.add("X-Gate", "seen");
    auto guest = std::make_shared<Guest>();
    guest->name = "guest";
    context.caller = std::move(guest);
    if (route.access == "public") return {};
    auto refusal = fail(Errc::kForbidden, "guests may not do this");
    refusal.error().details = "\"required_permission\":\"echo\"";
    return refusal;
  }
  std::optional<Result<void>> try_enter(Context& context, const Route& route) override {
    if (context.request.headers.has("X-Late")) return std::nullopt;
    return decide(context, route);
  }
  Task<void> enter(Context& context, const Route& route) override {
    (void)co_await context.loop.sleep_for(5ms, &context.cancel);
    co_return decide(context, route);
  }
};

struct GateTest : ServerTest {
  TestGate gate;
  void serve_gated() {
    options.gate = &gate;
    options.host = "127.0.0.1";
    options.port = 0;
    Route fast{.method = Method::kGet, .pattern = "/fast", .access = "public"};
    fast.fast = [](Context&) -> std::optional<Response> { return Response::text(200, "fast"); };
    router.add(std::move(fast));
    router.get(
        "/who",
        [](Context& context) -> Aw<Response> {
          co_return Response::text(200, static_cast<const TestGate::Guest&>(*context.caller).name);
        },
        "public");
    router.post(
        "/echo",
        [this](Context& context) -> Aw<Response> {
          ++echoes;
          co_return Response::text(200, context.request.body);
        },
        "echo");
    auto bound = Server::bind(pool, std::move(options), std::move(router));
    ASSERT_TRUE(bound) << bound.error().message;
    server = *std::move(bound);
    pool.start();
    server->start();
  }
  std::atomic<int> echoes{0};
};

TEST_F(GateTest, LetsPassAndAddsItsFieldsAtOnceAndLate) {
  serve_gated();
  for (const char* more : {"", "X-Late: 1\r\n"}) {
    const std::string fast = ask("/fast", more);
    EXPECT_THAT(fast, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(fast, HasSubstr("X-RateLimit-Remaining: 7"));
    EXPECT_THAT(fast, HasSubstr("X-Gate: seen"));
    EXPECT_THAT(ask("/who", more), HasSubstr("\r\n\r\nguest"));
  }
}

TEST_F(GateTest, RefusesBeforeTheHandlerRuns) {
  serve_gated();
  for (const char* more : {"", "X-Late: 1\r\n"}) {
    RawSocket socket = connect();
    socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + std::string(more) +
                "\r\nhi" + get("/who"));
    const std::string replies = socket.receive_until("\r\n\r\nguest");
    EXPECT_THAT(replies, StartsWith("HTTP/1.1 403"));
    EXPECT_THAT(replies, HasSubstr(R"("details":{"required_permission":"echo"})"));
    EXPECT_THAT(replies, HasSubstr("HTTP/1.1 200"));
  }
  EXPECT_EQ(echoes, 0);
}

TEST_F(GateTest, AGateThatBreaksLetsNobodyIn) {
  serve_gated();
  for (const char* more : {"X-Break: 1\r\n", "X-Break: 1\r\nX-Late: 1\r\n"}) {
    const std::string reply = ask("/who", more);
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 500"));
    EXPECT_THAT(reply, Not(HasSubstr("secret")));
  }
}

TEST_F(GateTest, UnknownPathsNeverReachIt) {
  serve_gated();
  EXPECT_THAT(ask("/nowhere"), StartsWith("HTTP/1.1 404"));
}

TEST_F(GateTest, ARouteWithoutARuleKeepsTheServerFromStarting) {
  options.gate = &gate;
  options.host = "127.0.0.1";
  options.port = 0;
  router.get("/forgotten", [](Context&) -> Aw<Response> { co_return Response{}; });
  const auto bound = Server::bind(pool, std::move(options), std::move(router));
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("GET /forgotten does not say who may call it"));
}

TEST_F(ServerTest, DrainLetsRequestsFinishAndClosesIdleConnections) {
  serve();
  RawSocket idle = connect();
  idle.send(get("/fast"));
  idle.receive_until("fast");
  RawSocket busy = connect();
  busy.send(get("/slow"));
  while (server->active_requests() == 0) std::this_thread::yield();
  const auto start = Steady::now();
  server->drain(5s);
  EXPECT_LT(Steady::now() - start, 2s);
  EXPECT_EQ(server->connections(), 0u);
  const std::string reply = busy.receive_all();
  EXPECT_THAT(reply, HasSubstr("200 OK"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(idle.closed_by_peer());
  EXPECT_THROW(connect(), std::runtime_error);
}

TEST_F(ServerTest, DrainAnswersWhatHadArrivedBeforeIt) {
  serve();
  RawSocket kept = connect();
  kept.send(get("/fast"));
  kept.receive_until("fast");
  std::promise<void> held;
  std::promise<void> release;
  pool.at(0).post([&] {
    held.set_value();
    release.get_future().get();
  });
  held.get_future().get();
  kept.send(get("/fast"));      // unread, on a connection that counts as idle
  RawSocket fresh = connect();  // and one that the server has not accepted yet
  fresh.send(get("/slow"));
  auto drained = std::async(std::launch::async, [this] { server->drain(5s); });
  std::this_thread::sleep_for(20ms);
  release.set_value();
  for (RawSocket* socket : {&kept, &fresh}) {
    const std::string reply = socket->receive_all();
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  }
  drained.get();
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ServerTest, DrainCancelsWhatOutlastsItsGrace) {
  serve();
  RawSocket busy = connect();
  busy.send(get("/hang"));
  entered.get_future().get();
  server->drain(50ms);
  EXPECT_EQ(server->connections(), 0u);
  const std::string reply = busy.receive_all();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503"));
}

TEST_F(ServerTest, ATakenPortIsUnavailable) {
  serve();
  ServerOptions again;
  again.host = "127.0.0.1";
  again.port = server->port();
  const auto second = Server::bind(pool, std::move(again), Router());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
}

TEST(Server, ListensOnEveryLoop) {
  net::LoopPool pool(2);
  ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  Router router;
  Route where{Method::kGet, "/", {}};
  where.fast = [](Context& context) -> std::optional<Response> {
    return Response::text(200, "loop" + std::to_string(context.loop.index()));
  };
  router.add(std::move(where));
  auto server = Server::bind(pool, std::move(options), std::move(router)).value();
  pool.start();
  server->start();
  bool seen[2] = {};
  for (int i = 0; i < 200 && !(seen[0] && seen[1]); ++i) {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send(get("/", "Connection: close\r\n"));
    const std::string reply = socket.receive_all();
    seen[reply.back() - '0'] = true;
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

}  // namespace
}  // namespace asahi::http
