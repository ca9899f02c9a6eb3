#include "net/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>

#include <future>

#include "net/blocking.h"
#include "net/event.h"
#include "net/socket.h"
#include "net/testing/certificate.h"
#include "net/testing/raw_socket.h"

namespace asahi::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
using StreamPtr = std::unique_ptr<Stream>;

struct StreamPair {
  StreamPtr client;
  StreamPtr server;
};

/// Runs with plain and with TLS streams: one contract.
struct StreamContract : testing::TestWithParam<bool> {
  StreamContract() { pool.start(); }

  /// Two connected ends on the test's loop.
  Aw<StreamPair> connected_pair() {
    const bool tls = GetParam();
    asio::basic_socket_acceptor<asio::ip::tcp, IoExecutor> acceptor(
        loop.executor(), asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const std::uint16_t port = acceptor.local_endpoint().port();
    Event accepted(loop);
    StreamPair pair;
    std::shared_ptr<const TlsContext> context;
    if (tls) {
      context = TlsContext::server({certificate.certificate_file(), certificate.private_key_file()})
                    .value();
    }
    loop.spawn("accept", [&]() -> Aw<void> {
      Socket socket = co_await acceptor.async_accept(use_aw);
      if (tls) {
        auto stream =
            co_await accept_tls(loop, std::move(socket), "peer", context, Steady::now() + 5s);
        EXPECT_TRUE(stream) << stream.error().message;
        if (stream) pair.server = std::move(*stream);
      } else {
        pair.server = make_plain_stream(std::move(socket), "peer");
      }
      accepted.set();
    });
    ConnectOptions options;
    options.tls = tls;
    options.ca_file = tls ? certificate.certificate_file() : "";
    options.deadline = Steady::now() + 5s;
    auto client = co_await connect_stream(loop, "localhost", port, options);
    EXPECT_TRUE(client) << client.error().message;
    if (client) pair.client = std::move(*client);
    co_await accepted.wait();
    co_return pair;
  }

  void run(std::function<Aw<void>(StreamPair&)> body) {
    run_sync<int>(loop, [&]() -> Aw<int> {
      StreamPair pair = co_await connected_pair();
      if (pair.client && pair.server) co_await body(pair);
      co_return 0;
    });
  }

  net_testing::TemporaryCertificate certificate{"localhost"};
  LoopPool pool{1};
  Loop& loop = pool.at(0);
};

TEST_P(StreamContract, CarriesBytesBothWaysAndSignalsTheOrderlyEnd) {
  run([](StreamPair& pair) -> Aw<void> {
    char buffer[64];
    EXPECT_TRUE(co_await pair.client->write(asio::buffer("ping", 4)));
    auto got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_EQ(std::string_view(buffer, got.value()), "ping");
    const std::string a = "one ", b = "two ", c = "three";
    EXPECT_TRUE(
        co_await pair.server->write_all({asio::buffer(a), asio::buffer(b), asio::buffer(c)}));
    std::string all;
    while (all.size() < 13) {
      got = co_await pair.client->read_some(asio::buffer(buffer));
      all.append(buffer, got.value());
    }
    EXPECT_EQ(all, "one two three");
    pair.client->shutdown_write();
    got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_EQ(got.value(), 0u);
    EXPECT_TRUE(pair.server->peer_closed());
  });
}

TEST_P(StreamContract, MovesMoreThanTheSocketBuffersHold) {
  run([this](StreamPair& pair) -> Aw<void> {
    std::string big(8 * 1024 * 1024, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 >> 3);
    Event written(loop);
    bool ok = false;
    loop.spawn("writer", [&]() -> Aw<void> {
      const std::string_view view = big;
      auto result = co_await pair.client->write_all({asio::buffer(view.substr(0, 10)),
                                                     asio::buffer(view.substr(10, 1 << 20)),
                                                     asio::buffer(view.substr(10 + (1 << 20)))});
      ok = result.has_value();
      written.set();
    });
    std::string all;
    std::vector<char> buffer(100'000);
    while (all.size() < big.size()) {
      auto got = co_await pair.server->read_some(asio::buffer(buffer));
      if (!got || *got == 0) break;
      all.append(buffer.data(), *got);
    }
    co_await written.wait();
    EXPECT_TRUE(ok);
    EXPECT_TRUE(all == big);
  });
}

TEST_P(StreamContract, CloseEndsAReadInFlightWithCancelled) {
  run([this](StreamPair& pair) -> Aw<void> {
    const auto closing = loop.at(Steady::now() + 20ms, [&pair] { pair.server->close(); });
    char buffer[8];
    auto got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_FALSE(got);
    if (!got) EXPECT_EQ(got.error().code, Errc::kCancelled);
    got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_FALSE(got);
  });
}

TEST_P(StreamContract, InterruptEndsAReadAndLeavesTheStreamUsable) {
  run([this](StreamPair& pair) -> Aw<void> {
    const auto stop = loop.at(Steady::now() + 20ms, [&pair] { pair.server->interrupt(); });
    char buffer[8];
    auto got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_FALSE(got);
    EXPECT_TRUE(co_await pair.client->write(asio::buffer("x", 1)));
    got = co_await pair.server->read_some(asio::buffer(buffer));
    EXPECT_EQ(got.value_or(0), 1u);
  });
}

TEST_P(StreamContract, TellsQuietFromBytesAndFromTheEnd) {
  run([](StreamPair& pair) -> Aw<void> {
    EXPECT_TRUE(pair.client->quiet());
    EXPECT_FALSE(pair.client->peer_closed());
    EXPECT_TRUE(co_await pair.server->write(asio::buffer("x", 1)));
    co_await pair.client->wait_readable();
    while (pair.client->quiet())
      co_await pair.client->wait_readable();  // TLS: session tickets come first
    EXPECT_FALSE(pair.client->peer_closed());
    char buffer[8];
    EXPECT_TRUE(co_await pair.client->read_some(asio::buffer(buffer)));
    pair.server->close();
    while (!pair.client->peer_closed()) co_await pair.client->wait_readable();
    EXPECT_FALSE(pair.client->quiet());
  });
}

TEST_P(StreamContract, WritingToAVanishedPeerFailsWithoutASignal) {
  run([](StreamPair& pair) -> Aw<void> {
    pair.client.reset();
    const std::string bytes(1 << 20, 'x');
    Result<void> last;
    for (int i = 0; i < 50 && last; ++i) last = co_await pair.server->write(asio::buffer(bytes));
    EXPECT_FALSE(last);
    if (!last) EXPECT_EQ(last.error().code, Errc::kUnavailable);
  });
}

TEST_P(StreamContract, WhatTheKernelDoesNotTakeAtOnceFollows) {
  // Small pieces until the socket's buffer is full, and the rest of the one that did not fit.
  run([this](StreamPair& pair) -> Aw<void> {
    std::size_t sent_bytes = 0;
    bool refused = false;
    while (!refused) {
      const std::string head(100, static_cast<char>('a' + sent_bytes / 5000 % 26));
      const std::string body(4900, head.front());
      Gather pieces{asio::buffer(head), asio::buffer(body)};
      std::size_t taken = pair.client->try_write(pieces);
      sent_bytes += 5000;
      if (taken == 5000) continue;
      refused = true;
      for (auto& piece : pieces) {
        const std::size_t part = std::min(taken, piece.size());
        piece += part;
        taken -= part;
      }
      Event written(loop);
      loop.spawn("rest", [&]() -> Aw<void> {
        EXPECT_TRUE(co_await pair.client->write_all(pieces));
        pair.client->shutdown_write();
        written.set();
      });
      std::string got;
      std::string buffer(64 * 1024, '\0');
      for (;;) {
        const auto size = co_await pair.server->read_some(asio::buffer(buffer));
        EXPECT_TRUE(size);
        if (!size || *size == 0) break;
        got.append(buffer, 0, *size);
      }
      co_await written.wait();
      EXPECT_EQ(got.size(), sent_bytes);
      for (std::size_t i = 0; i < got.size(); i += 5000)
        EXPECT_EQ(got.compare(i, 5000, std::string(5000, static_cast<char>('a' + i / 5000 % 26))),
                  0);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, StreamContract, testing::Bool(),
                         [](const auto& which) { return which.param ? "Tls" : "Plain"; });

struct Connect : testing::Test {
  Connect() { pool.start(); }
  Result<void> attempt(std::string host, std::uint16_t port, ConnectOptions options) {
    return run_sync<Result<void>>(loop, [&]() -> Aw<Result<void>> {
      auto stream = co_await connect_stream(loop, host, port, options);
      if (!stream) co_return std::unexpected(stream.error());
      co_return Result<void>{};
    });
  }
  LoopPool pool{1};
  Loop& loop = pool.at(0);
};

TEST_F(Connect, ARefusedPortIsUnavailable) {
  std::uint16_t port = 0;
  {
    const net_testing::RawListener listener;
    port = listener.port();
  }
  const auto result = attempt("127.0.0.1", port, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kUnavailable);
  EXPECT_NE(result.error().message.find(std::to_string(port)), std::string::npos);
}

TEST_F(Connect, AnUnknownNameIsUnavailableAndNeverOutlivesItsDeadline) {
  ConnectOptions options;
  options.deadline = Steady::now() + 2s;
  const auto start = Steady::now();
  const auto result = attempt("no-such-host.invalid", 80, options);
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().code == Errc::kUnavailable || result.error().code == Errc::kTimeout);
  EXPECT_LT(Steady::now() - start, 4s);
}

TEST_F(Connect, TheHandshakeStopsAtItsDeadline) {
  net_testing::RawListener silent;
  ConnectOptions options;
  options.tls = true;
  options.deadline = Steady::now() + 50ms;
  const auto result = attempt("127.0.0.1", silent.port(), options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kTimeout);
}

TEST_F(Connect, ACancelSourceStopsTheAttempt) {
  net_testing::RawListener silent;
  const auto code = run_sync<Errc>(loop, [&]() -> Aw<Errc> {
    CancelSource cancel;
    ConnectOptions options;
    options.tls = true;
    options.cancel = &cancel;
    const auto stop = loop.at(Steady::now() + 20ms, [&cancel] { cancel.cancel(); });
    auto stream = co_await connect_stream(loop, "127.0.0.1", silent.port(), options);
    co_return stream ? Errc::kInternal : stream.error().code;
  });
  EXPECT_EQ(code, Errc::kCancelled);
}

TEST_F(Connect, TalksToALocalSocket) {
  const std::string path = "/tmp/asahi_stream_test_" + std::to_string(::getpid());
  ::unlink(path.c_str());
  asio::basic_socket_acceptor<asio::generic::stream_protocol, IoExecutor> acceptor(loop.executor());
  sockaddr address{AF_UNIX, {}};
  std::string raw(reinterpret_cast<const char*>(&address.sa_family), sizeof address.sa_family);
  raw += path + '\0';
  const asio::generic::stream_protocol::endpoint endpoint(raw.data(), raw.size());
  acceptor.open(endpoint.protocol());
  acceptor.bind(endpoint);
  acceptor.listen();
  const auto result = attempt("unix:" + path, 0, {});
  EXPECT_TRUE(result) << result.error().message;
  ::unlink(path.c_str());
}

struct TlsConnect : Connect {
  using Validity = net_testing::TemporaryCertificate::Validity;

  /// What a client says about a TLS server whose certificate is for `certificate_host`.
  Result<void> attempt_tls(const std::string& certificate_host, const std::string& host,
                           ConnectOptions options, bool trust = true,
                           Validity validity = Validity::kNow) {
    const net_testing::TemporaryCertificate certificate(certificate_host, validity);
    const auto context =
        TlsContext::server({certificate.certificate_file(), certificate.private_key_file()})
            .value();
    asio::basic_socket_acceptor<asio::ip::tcp, IoExecutor> acceptor(
        loop.executor(), asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    std::promise<void> served;
    loop.spawn("accept", [&]() -> Aw<void> {
      Socket socket = co_await acceptor.async_accept(use_aw);
      auto stream =
          co_await accept_tls(loop, std::move(socket), "peer", context, Steady::now() + 5s);
      served.set_value();
    });
    options.tls = true;
    if (trust) options.ca_file = certificate.certificate_file();
    auto result = attempt(host, acceptor.local_endpoint().port(), options);
    served.get_future().get();
    return result;
  }
};

TEST_F(TlsConnect, AcceptsATrustedCertificateOfTheHostOrAddress) {
  EXPECT_TRUE(attempt_tls("localhost", "localhost", {}));
  EXPECT_TRUE(attempt_tls("127.0.0.1", "127.0.0.1", {}));
}

TEST_F(TlsConnect, RefusesAnotherHostsCertificate) {
  const auto result = attempt_tls("example.org", "localhost", {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kUnavailable);
  EXPECT_NE(result.error().message.find("mismatch"), std::string::npos) << result.error().message;
}

TEST_F(TlsConnect, RefusesAnUntrustedCertificateUnlessToldNotToLook) {
  EXPECT_FALSE(attempt_tls("localhost", "localhost", {}, false));
  ConnectOptions careless;
  careless.verify_tls = false;
  EXPECT_TRUE(attempt_tls("localhost", "localhost", careless, false));
}

TEST_F(TlsConnect, RefusesACertificateOutsideItsTime) {
  const auto over = attempt_tls("localhost", "localhost", {}, true, Validity::kOver);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::kUnavailable);
  EXPECT_NE(over.error().message.find("expired"), std::string::npos) << over.error().message;
  const auto early = attempt_tls("localhost", "localhost", {}, true, Validity::kNotYet);
  ASSERT_FALSE(early);
  EXPECT_NE(early.error().message.find("not yet valid"), std::string::npos)
      << early.error().message;
}

TEST_F(TlsConnect, AWildcardStandsForOneWholeLabelOnly) {
  EXPECT_FALSE(attempt_tls("local*", "localhost", {}));
  EXPECT_FALSE(attempt_tls("*", "localhost", {}));
}

TEST_F(TlsConnect, ANameAndNotAnAddressIsSaidToTheServer) {
  for (const auto& [host, said] : {std::pair("localhost", true), std::pair("127.0.0.1", false)}) {
    net_testing::RawListener listener;
    ConnectOptions options;
    options.tls = true;
    options.deadline = Steady::now() + 5s;
    auto outcome = std::async(std::launch::async,
                              [&, name = host] { return attempt(name, listener.port(), options); });
    net_testing::RawSocket peer = listener.accept();
    EXPECT_EQ(peer.receive().find(host) != std::string::npos, said) << host;
    peer.close();
    EXPECT_FALSE(outcome.get());
  }
}

TEST_F(TlsConnect, WithoutANameNothingIsTrusted) {
  for (const std::string& host : {std::string(), std::string("."), std::string(300, 'a')}) {
    net_testing::RawListener listener;
    const auto code = run_sync<Errc>(loop, [&]() -> Aw<Errc> {
      Socket socket(loop.executor());
      co_await socket.async_connect(
          asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), listener.port()), use_aw);
      auto stream = co_await connect_tls(loop, std::move(socket), "peer",
                                         TlsContext::client(true, "").value(), host,
                                         Steady::now() + 5s, nullptr);
      co_return stream ? Errc::kInternal : stream.error().code;
    });
    EXPECT_EQ(code, Errc::kUnavailable) << host;
  }
}

TEST(TlsContext, NamesTheFileThatCannotBeUsed) {
  const auto missing = TlsContext::server({"/nonexistent/cert.pem", "/nonexistent/key.pem"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kInvalidArgument);
  EXPECT_NE(missing.error().message.find("/nonexistent/cert.pem"), std::string::npos);
  EXPECT_EQ(missing.error().field, "certificate_file");
  EXPECT_FALSE(TlsContext::client(true, "/nonexistent/ca.pem"));
}

TEST(TlsContext, RefusesAKeyThatIsNotTheCertificates) {
  const net_testing::TemporaryCertificate one("localhost"), other("localhost");
  const auto mixed = TlsContext::server({one.certificate_file(), other.private_key_file()});
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().field, "private_key_file");
  EXPECT_NE(mixed.error().message.find("mismatch"), std::string::npos) << mixed.error().message;
}

TEST(TlsContext, RefusesACertificateThatIsOverOrNotYetValidWhereItMustBeCurrent) {
  using Validity = net_testing::TemporaryCertificate::Validity;
  for (const auto& [validity, word] :
       {std::pair{Validity::kOver, "expired"}, {Validity::kNotYet, "not valid yet"}}) {
    const net_testing::TemporaryCertificate certificate("localhost", validity);
    TlsFiles files{certificate.certificate_file(), certificate.private_key_file()};
    EXPECT_TRUE(TlsContext::server(files));
    files.must_be_current = true;
    const auto refused = TlsContext::server(files);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "certificate_file");
    EXPECT_NE(refused.error().message.find(word), std::string::npos) << refused.error().message;
  }
}

TEST(TlsContext, NamesTheFileOfClientCasThatCannotBeUsed) {
  const net_testing::TemporaryCertificate certificate("localhost");
  TlsFiles files{certificate.certificate_file(), certificate.private_key_file()};
  files.client_ca_file = "/nonexistent/ca.pem";
  const auto refused = TlsContext::server(files);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "client_ca_file");
}

TEST(TlsContext, MakesAThrowAwayCertificateWithoutFiles) {
  EXPECT_TRUE(TlsContext::server({.throw_away = true}));
}

}  // namespace
}  // namespace asahi::net
