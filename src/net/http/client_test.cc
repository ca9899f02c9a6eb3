#include "net/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "net/blocking.h"
#include "net/event.h"
#include "net/http/server.h"
#include "net/testing/certificate.h"
#include "net/testing/raw_socket.h"

namespace asahi::http {
namespace {

using namespace std::chrono_literals;
using net_testing::RawListener;
using net_testing::RawSocket;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Steady = std::chrono::steady_clock;

TEST(Origin, SplitsUrls) {
  const auto full = Origin::parse("HTTPS://API.example.com:8443/base/v1/").value();
  EXPECT_TRUE(full.tls);
  EXPECT_EQ(full.host, "api.example.com");
  EXPECT_EQ(full.port, 8443);
  EXPECT_EQ(full.base_path, "/base/v1");
  EXPECT_EQ(full.to_string(), "https://api.example.com:8443/base/v1");
  EXPECT_EQ(Origin::parse("http://localhost").value().port, 80);
  EXPECT_EQ(Origin::parse("https://localhost/").value().to_string(), "https://localhost");
  const auto v6 = Origin::parse("http://[::1]:11434").value();
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.to_string(), "http://[::1]:11434");
}

TEST(Origin, NamesWhatIsWrong) {
  for (const auto& [url, word] : std::initializer_list<std::pair<const char*, const char*>>{
           {"ftp://x", "scheme"},
           {"localhost:80", "scheme"},
           {"http://", "host"},
           {"http://user:pw@x", "user information"},
           {"http://x:0", "port"},
           {"http://x:65536", "port"},
           {"http://x:", "port"},
           {"http://x:8a", "port"},
           {"http://x/a?b=c", "query"},
           {"http://x/#f", "fragment"},
           {"http://a b/", "host"},
           {"http://x/a b", "space"},
           {"http://[::1", "]"},
           {"http://x\r\ny", "host"}}) {
    const auto result = Origin::parse(url);
    ASSERT_FALSE(result) << url;
    EXPECT_EQ(result.error().code, Errc::kInvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr(word)) << url;
  }
  EXPECT_THAT(Origin::parse("http://user:secret@x").error().message, Not(HasSubstr("secret")));
}

/// A client on a loop against a server that a thread plays byte by byte.
struct ClientTest : ::testing::Test {
  ClientTest() { pool.start(); }
  ~ClientTest() override {
    if (client) {
      run<int>([this]() -> Aw<int> {
        client.reset();
        co_return 0;
      });
    }
    if (script.joinable()) script.join();
  }

  template <class T>
  T run(std::function<Aw<T>()> body) {
    return net::run_sync<T>(loop, std::move(body));
  }

  void play(std::function<void()> body) { script = std::thread(std::move(body)); }

  ClientRequest request(Method method = Method::kGet, std::string body = "") {
    ClientRequest made;
    made.method = method;
    made.origin =
        Origin::parse("http://127.0.0.1:" + std::to_string(listener.port()) + "/base").value();
    made.target = "/path?x=1";
    made.body = std::move(body);
    return made;
  }

  Result<ClientResponse> send(ClientRequest what, CallOptions call = {}) {
    return run<Result<ClientResponse>>([&]() -> Aw<Result<ClientResponse>> {
      if (!client) client = std::make_unique<Client>(loop, options);
      co_return co_await client->send(std::move(what), call);
    });
  }

  static std::string ok(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
  }

  std::size_t idle() {
    return run<std::size_t>([this]() -> Aw<std::size_t> { co_return client->idle_connections(); });
  }

  ClientOptions options;
  RawListener listener;
  net::LoopPool pool{1};
  net::Loop& loop = pool.at(0);
  std::unique_ptr<Client> client;
  std::thread script;
};

TEST_F(ClientTest, SendsOneHeadAndKeepsTheConnection) {
  std::promise<std::string> first;
  std::promise<std::string> second;
  play([&] {
    RawSocket socket = listener.accept();
    first.set_value(socket.receive_until("hello"));
    socket.send(ok("one"));
    second.set_value(socket.receive_until("\r\n\r\n"));
    socket.send(
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-A: "
        "b\r\n\r\n3\r\ntwo\r\n0\r\n\r\n");
    socket.closed_by_peer();
  });
  ClientRequest post = request(Method::kPost, "hello");
  post.headers.add("Authorization", "Bearer k");
  post.headers.add("Content-Length", "99");
  post.headers.add("Host", "evil");
  const auto one = send(std::move(post));
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->body, "one");
  EXPECT_EQ(first.get_future().get(),
            "POST /base/path?x=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(listener.port()) +
                "\r\nAuthorization: Bearer k\r\nUser-Agent: asahi/" ASAHI_VERSION
                "\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(idle(), 1u);
  const auto two = send(request());
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ(two->status, 404);
  EXPECT_EQ(two->headers.get("x-a"), "b");
  EXPECT_EQ(two->body, "two");
  EXPECT_THAT(second.get_future().get(), Not(HasSubstr("Content-Length")));
  EXPECT_EQ(idle(), 1u);
}

TEST_F(ClientTest, ARequestOnAConnectionThatThePeerClosedGoesToAFreshOne) {
  std::promise<void> closed;
  play([&] {
    {
      RawSocket socket = listener.accept();
      socket.receive_until("\r\n\r\n");
      socket.send(ok("one"));
    }
    closed.set_value();
    RawSocket fresh = listener.accept();
    fresh.receive_until("\r\n\r\n");
    fresh.send(ok("two"));
    fresh.closed_by_peer();
  });
  ASSERT_TRUE(send(request()));
  closed.get_future().get();
  const auto two = send(request());
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ(two->body, "two");
}

TEST_F(ClientTest, APooledConnectionThatDiesUnderTheRequestIsReplacedOnce) {
  std::atomic<int> connections{0};
  play([&] {
    {
      RawSocket socket = listener.accept();
      ++connections;
      socket.receive_until("\r\n\r\n");
      socket.send(ok("one"));
      socket.receive_until(
          "\r\n\r\n");  // the second request arrives, then the end: a keep-alive race
    }
    {
      RawSocket fresh = listener.accept();
      ++connections;
      fresh.receive_until("\r\n\r\n");  // and cut again: no third try
    }
  });
  ASSERT_TRUE(send(request()));
  const auto two = send(request());
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().code, Errc::kUpstream);
  EXPECT_EQ(two.error().reason, "connection_cut");
  script.join();
  EXPECT_EQ(connections, 2);
}

TEST_F(ClientTest, AFreshConnectionThatIsCutIsNotTriedAgain) {
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
  });
  const auto reply = send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUpstream);
}

TEST_F(ClientTest, BytesNobodyAskedForSpoilAPooledConnection) {
  play([&] {
    RawSocket poisoned = listener.accept();
    poisoned.receive_until("\r\n\r\n");
    poisoned.send(ok("one"));
    std::this_thread::sleep_for(20ms);
    poisoned.send(ok("smuggled"));
    RawSocket fresh = listener.accept();
    fresh.receive_until("\r\n\r\n");
    fresh.send(ok("two"));
    fresh.closed_by_peer();
  });
  ASSERT_TRUE(send(request()));
  std::this_thread::sleep_for(60ms);
  const auto two = send(request());
  ASSERT_TRUE(two);
  EXPECT_EQ(two->body, "two");
}

TEST_F(ClientTest, ABodyThatBreaksOffIsAnUpstreamError) {
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  });
  const auto reply = send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUpstream);
  EXPECT_EQ(reply.error().reason, "connection_cut");
}

TEST_F(ClientTest, GarbageIsAnUpstreamError) {
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    socket.send("SSH-2.0-OpenSSH_9\r\n\r\n");
  });
  const auto reply = send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUpstream);
}

TEST_F(ClientTest, AnAnswerBeyondTheLimitIsAnUpstreamError) {
  options.max_response_bytes = 10;
  play([&] {
    for (const std::string_view answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello world"}) {
      RawSocket socket = listener.accept();
      socket.receive_until("\r\n\r\n");
      socket.send(answer);
      if (answer.ends_with("world")) continue;
      socket.closed_by_peer();
    }
  });
  for (int i = 0; i < 2; ++i) {
    const auto reply = send(request());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().reason, "response_too_large");
  }
}

TEST_F(ClientTest, TheDeadlineAndSilenceEndACall) {
  play([&] {
    std::vector<RawSocket> held;
    for (int i = 0; i < 3; ++i) {
      held.push_back(listener.accept());
      held.back().receive_until("\r\n\r\n");
      if (i == 2) held.back().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
    }
    for (auto& socket : held) EXPECT_TRUE(socket.closed_by_peer());
  });
  CallOptions soon;
  soon.deadline = Steady::now() + 50ms;
  const auto start = Steady::now();
  EXPECT_EQ(send(request(), soon).error().code, Errc::kTimeout);
  CallOptions impatient;
  impatient.idle_timeout = 50ms;
  EXPECT_EQ(send(request(), impatient).error().code, Errc::kTimeout);
  EXPECT_EQ(send(request(), impatient).error().code, Errc::kTimeout) << "silence within the body";
  EXPECT_LT(Steady::now() - start, 3s);
}

TEST_F(ClientTest, CancellingClosesTheSocketAtOnce) {
  std::promise<void> asked;
  std::promise<Steady::time_point> left;
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    asked.set_value();
    EXPECT_TRUE(socket.closed_by_peer());
    left.set_value(Steady::now());
  });
  CancelSource cancel;
  CallOptions call;
  call.cancel = &cancel;
  auto reply = std::async(std::launch::async, [&] { return send(request(), call); });
  asked.get_future().get();
  std::promise<Steady::time_point> fired;
  loop.post([&] {
    fired.set_value(Steady::now());
    cancel.cancel();
  });
  EXPECT_EQ(reply.get().error().code, Errc::kCancelled);
  EXPECT_LT(left.get_future().get() - fired.get_future().get(), 100ms);
  const auto again = send(request(), call);
  EXPECT_EQ(again.error().code, Errc::kCancelled) << "a call that is cancelled before it begins";
}

TEST_F(ClientTest, AServerThatCannotBeReachedIsUnavailable) {
  listener.close();
  const auto reply = send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
}

TEST_F(ClientTest, AStreamHandsOutPiecesAsTheyCome) {
  std::promise<void> got_first;
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2\r\n+1\r\n");
    got_first.get_future().get();
    socket.send("3\r\ntwo\r\n0\r\n\r\n");
    socket.closed_by_peer();
  });
  const auto body = run<std::string>([&]() -> Aw<std::string> {
    client = std::make_unique<Client>(loop, options);
    std::string all;
    auto stream = co_await client->open(request(), {});
    if (!stream) co_return "failed: " + stream.error().message;
    EXPECT_EQ((*stream)->status(), 200);
    bool first = true;
    for (;;) {
      auto piece = co_await (*stream)->read();
      if (!piece) co_return "failed: " + piece.error().message;
      if (!*piece) break;
      all += **piece;
      all += '|';
      if (std::exchange(first, false)) got_first.set_value();
    }
    auto after = co_await (*stream)->read();
    EXPECT_TRUE(after && !*after);
    EXPECT_EQ(client->idle_connections(), 0u) << "the view may still be in use";
    stream->reset();
    EXPECT_EQ(client->idle_connections(), 1u);
    co_return all;
  });
  EXPECT_EQ(body, "one+1|two|");
}

TEST_F(ClientTest, AStreamThatIsDroppedEarlyClosesItsSocket) {
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
    EXPECT_TRUE(socket.closed_by_peer());
  });
  run<int>([&]() -> Aw<int> {
    client = std::make_unique<Client>(loop, options);
    auto stream = co_await client->open(request(), {});
    EXPECT_TRUE(stream);
    auto piece = co_await (*stream)->read();
    EXPECT_TRUE(piece && *piece == "some");
    stream->reset();
    EXPECT_EQ(client->idle_connections(), 0u);
    co_return 0;
  });
}

TEST_F(ClientTest, CallersBeyondTheLimitWaitForAFreeConnectionUntilTheirDeadline) {
  options.max_connections_per_origin = 1;
  std::promise<void> go;
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    go.get_future().get();
    socket.send(ok("one"));
    socket.receive_until("\r\n\r\n");
    socket.send(ok("two"));
    socket.closed_by_peer();
  });
  run<int>([&]() -> Aw<int> {
    client = std::make_unique<Client>(loop, options);
    co_return 0;
  });
  auto one = std::async(std::launch::async, [&] { return send(request()); });
  std::this_thread::sleep_for(30ms);
  CallOptions soon;
  soon.deadline = Steady::now() + 40ms;
  EXPECT_EQ(send(request(), soon).error().code, Errc::kTimeout);
  auto two = std::async(std::launch::async, [&] { return send(request()); });
  std::this_thread::sleep_for(30ms);
  go.set_value();
  EXPECT_EQ(one.get()->body, "one");
  EXPECT_EQ(two.get()->body, "two");
}

TEST_F(ClientTest, IdleConnectionsAreClosedAfterAWhile) {
  options.pool_idle = 40ms;
  play([&] {
    RawSocket socket = listener.accept();
    socket.receive_until("\r\n\r\n");
    socket.send(ok("one"));
    EXPECT_TRUE(socket.closed_by_peer());
  });
  ASSERT_TRUE(send(request()));
  script.join();
  EXPECT_EQ(idle(), 0u);
}

TEST_F(ClientTest, HeadersThatWouldBreakOutAreRefused) {
  ClientRequest bad = request();
  bad.headers.add("X-A", "b\r\nX-Evil: c");
  EXPECT_EQ(send(std::move(bad)).error().code, Errc::kInvalidArgument);
  bad = request();
  bad.target = "/a b";
  EXPECT_EQ(send(std::move(bad)).error().code, Errc::kInvalidArgument);
  bad = request();
  bad.target = "nothing";
  EXPECT_EQ(send(std::move(bad)).error().code, Errc::kInvalidArgument);
}

TEST(ClientAndServer, TalkTlsAndKeepTheConnection) {
  const net_testing::TemporaryCertificate certificate("localhost");
  net::LoopPool pool(2);
  Router router;
  router.post("/echo", [](Context& context) -> Aw<Response> {
    EXPECT_TRUE(context.request.tls);
    co_return Response::text(200, std::move(context.request.body));
  });
  router.get("/stream", [](Context&) -> Aw<Response> {
    Response response;
    response.stream = [](BodyWriter& writer) -> Task<void> {
      for (int i = 0; i < 100; ++i) {
        if (auto sent = co_await writer.write(std::string(5000, 'x')); !sent) co_return sent;
      }
      co_return Result<void>{};
    };
    co_return response;
  });
  ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.tls = TlsFiles{certificate.certificate_file(), certificate.private_key_file()};
  auto server = Server::bind(pool, std::move(options), std::move(router)).value();
  pool.start();
  server->start();
  net::run_sync<int>(pool.at(0), [&]() -> Aw<int> {
    ClientOptions client_options;
    client_options.ca_file = certificate.certificate_file();
    Client client(pool.at(0), client_options);
    const Origin origin =
        Origin::parse("https://localhost:" + std::to_string(server->port())).value();
    for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{1'000'000}}) {
      ClientRequest request;
      request.origin = origin;
      request.target = "/echo";
      request.body = std::string(size, 'b');
      auto reply = co_await client.send(std::move(request), {});
      EXPECT_TRUE(reply) << reply.error().message;
      if (reply) EXPECT_EQ(reply->body.size(), size);
      EXPECT_EQ(client.idle_connections(), 1u);
    }
    ClientRequest request;
    request.method = Method::kGet;
    request.origin = origin;
    request.target = "/stream";
    auto reply = co_await client.send(std::move(request), {});
    EXPECT_TRUE(reply) << reply.error().message;
    if (reply) EXPECT_EQ(reply->body.size(), 500'000u);
    EXPECT_EQ(server->connections(), 1u) << "all on one connection";
    co_return 0;
  });
  EXPECT_TRUE(server->reload_tls());
  server.reset();
}

TEST(ClientAndServer, ReloadedCertificatesServeNewConnections) {
  auto first = std::make_unique<net_testing::TemporaryCertificate>("localhost");
  const net_testing::TemporaryCertificate second("localhost");
  net::LoopPool pool(1);
  Router router;
  router.get("/", [](Context&) -> Aw<Response> { co_return Response::text(200, "ok"); });
  ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.tls = TlsFiles{first->certificate_file(), first->private_key_file()};
  auto server = Server::bind(pool, std::move(options), std::move(router)).value();
  pool.start();
  server->start();
  const auto trusts = [&](const net_testing::TemporaryCertificate& certificate) {
    return net::run_sync<bool>(pool.at(0), [&]() -> Aw<bool> {
      ClientOptions client_options;
      client_options.ca_file = certificate.certificate_file();
      Client client(pool.at(0), client_options);
      ClientRequest request;
      request.method = Method::kGet;
      request.origin = Origin::parse("https://localhost:" + std::to_string(server->port())).value();
      request.target = "/";
      auto reply = co_await client.send(std::move(request), {});
      co_return reply.has_value();
    });
  };
  EXPECT_TRUE(trusts(*first));
  EXPECT_FALSE(trusts(second));
  std::filesystem::copy_file(second.certificate_file(), first->certificate_file(),
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(second.private_key_file(), first->private_key_file(),
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_TRUE(server->reload_tls());
  EXPECT_TRUE(trusts(second));
  server.reset();
}

}  // namespace
}  // namespace asahi::http
