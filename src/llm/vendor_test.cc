#include "llm/vendor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "llm/wire/wire.h"
#include "net/blocking.h"
#include "net/testing/raw_socket.h"

namespace asahi::llm {
namespace {

using namespace std::chrono_literals;
using net_testing::RawListener;
using net_testing::RawSocket;

/// Reads one request, header and body.
std::string receive_request(RawSocket& socket) {
  std::string text = socket.receive_until("\r\n\r\n");
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string::npos) return text;
  std::string lower = text.substr(0, head);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::size_t field = lower.find("content-length:");
  const std::size_t size = field == std::string::npos ? 0 : std::stoul(lower.substr(field + 15));
  while (text.size() < head + 4 + size) {
    const std::string more = socket.receive();
    if (more.empty()) break;
    text += more;
  }
  return text;
}

std::string answer(int status, std::string_view body,
                   std::string_view fields = "content-type: application/json\r\n") {
  return fmt::format("HTTP/1.1 {} X\r\n{}content-length: {}\r\n\r\n{}", status, fields, body.size(),
                     body);
}

std::string chunk(std::string_view bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
constexpr std::string_view kCreated =
    "event: response.created\ndata: "
    "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n\n";
constexpr std::string_view kDelta =
    "event: response.output_text.delta\n"
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Hi\"}\n\n";
constexpr std::string_view kCompleted =
    "event: response.completed\ndata: "
    "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\","
    "\"output\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":2}}}\n\n";
constexpr std::string_view kWhole =
    R"({"id":"r","model":"m","status":"completed","output":[{"type":"message","content":)"
    R"([{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":5,"output_tokens":2}})";

struct Streamed {
  std::optional<Error> error;
  std::string text;
  ChatResponse response;
  bool complete = false;
};

struct VendorTest : testing::Test {
  VendorTest() {
    pool.start();
    use(make_openai_responses_codec());
    request.model = "gpt-5";
    request.messages.push_back({.role = Role::kUser, .parts = {TextPart{.text = "Hello"}}});
    context.deadline = std::chrono::steady_clock::now() + 10s;
    context.idle_timeout = 5s;
  }

  ~VendorTest() override {
    if (server.joinable()) server.join();
    pool.stop();  // the clients go after the loops that use them
  }

  void use(std::unique_ptr<VendorCodec> codec, bool needs_key = true) {
    auto origin = http::Origin::parse(fmt::format("http://127.0.0.1:{}/base", listener.port()));
    vendor.emplace(
        VendorOptions{.name = "acme", .origin = *origin, .api_key = key, .needs_key = needs_key},
        std::move(codec), clients);
  }

  /// Runs the vendor's side on its own thread while the test calls.
  void serve(std::function<void()> script) { server = std::jthread(std::move(script)); }
  void serve_once(std::string reply) {
    serve([this, reply] {
      RawSocket socket = listener.accept();
      seen = receive_request(socket);
      socket.send(reply);
      socket.closed_by_peer(50ms);
    });
  }

  Result<ChatResponse> chat() {
    auto result = net::run_sync<Result<ChatResponse>>(pool.at(0), [&]() -> Task<ChatResponse> {
      co_return co_await vendor->chat(request, context);
    });
    if (server.joinable()) server.join();
    return result;
  }

  Streamed stream() {
    auto result = net::run_sync<Streamed>(pool.at(0), [&]() -> Aw<Streamed> {
      Streamed out;
      auto opened = co_await vendor->stream(request, context);
      if (!opened) {
        out.error = opened.error();
        co_return out;
      }
      StreamCollector collector;
      while (true) {
        auto events = co_await (*opened)->next();
        if (!events) {
          out.error = events.error();
          break;
        }
        if (events->empty()) break;
        for (const auto& event : *events) collector.add(event);
      }
      out.response = collector.response();
      out.text = collector.text();
      out.complete = collector.complete();
      co_return out;
    });
    if (server.joinable()) server.join();
    return result;
  }

  Secret key{"platform-key"};
  ChatRequest request;
  CallContext context;
  std::string seen;
  RawListener listener;
  net::LoopPool pool{1};
  net::PerLoop<http::Client> clients{
      pool,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::optional<Vendor> vendor;
  std::jthread server;
};

TEST_F(VendorTest, SendsTheRequestBelowItsBaseWithKeyAndTrace) {
  context.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  request.stream = true;  // the caller answers whole; the vendor must not stream
  serve_once(answer(200, kWhole));
  const auto response = chat();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->text(), "Hi");
  EXPECT_EQ(response->usage.input, 5);
  EXPECT_TRUE(seen.starts_with("POST /base/v1/responses HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("authorization: Bearer platform-key\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"),
            std::string::npos);
  EXPECT_EQ(seen.find("\"stream\":true"), std::string::npos);
}

TEST_F(VendorTest, TheCallersKeyGoesFirst) {
  context.api_key = Secret("my-own-key");
  serve_once(answer(200, kWhole));
  ASSERT_TRUE(chat());
  EXPECT_NE(seen.find("Bearer my-own-key\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("platform-key"), std::string::npos);
}

TEST_F(VendorTest, WithoutAnyKeyNothingIsSent) {
  key = Secret();
  use(make_openai_responses_codec());
  const auto response = chat();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kUnauthenticated);
  EXPECT_EQ(response.error().reason, "no_vendor_key");
}

TEST_F(VendorTest, AVendorThatNeedsNoKeyIsCalledWithoutOne) {
  key = Secret();
  use(make_ollama_codec(), false);
  serve_once(answer(200, R"({"message":{"content":"x"},"done":true})"));
  ASSERT_TRUE(chat());
  EXPECT_EQ(seen.find("authorization"), std::string::npos);
}

TEST_F(VendorTest, TypesErrorAnswers) {
  serve_once(answer(
      429,
      R"({"error":{"message":"Slow down, key sk-abcdefghijklmnopqrstuvwx","code":"rate_limit_exceeded"}})",
      "content-type: application/json\r\nretry-after: 3\r\n"));
  const auto response = chat();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kRateLimited);
  EXPECT_EQ(response.error().upstream_status, 429);
  EXPECT_EQ(response.error().retry_after, std::optional<std::chrono::milliseconds>(3s));
  EXPECT_TRUE(response.error().message.starts_with("acme: ")) << response.error().message;
  EXPECT_NE(response.error().message.find("Slow down"), std::string::npos);
  EXPECT_EQ(response.error().message.find("sk-abc"), std::string::npos);
}

TEST_F(VendorTest, AnErrorInsideA200AndGarbageAreErrors) {
  serve_once(answer(200, R"({"error":{"type":"server_error","message":"oops"}})"));
  EXPECT_EQ(chat().error().code, Errc::kUnavailable);
  serve_once(answer(200, "<html>hello</html>"));
  EXPECT_EQ(chat().error().reason, "vendor_garbage");
}

TEST_F(VendorTest, ASilentVendorTimesOut) {
  context.idle_timeout = 50ms;
  serve([this] {
    RawSocket socket = listener.accept();
    receive_request(socket);
    socket.closed_by_peer(2s);
  });
  const auto response = chat();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTimeout);
}

TEST_F(VendorTest, AClosedPortIsUnavailable) {
  listener.close();
  EXPECT_EQ(chat().error().code, Errc::kUnavailable);
}

TEST_F(VendorTest, StreamsAsTheBytesCome) {
  serve([this] {
    RawSocket socket = listener.accept();
    seen = receive_request(socket);
    const std::string body = std::string(kCreated) + std::string(kDelta) + std::string(kCompleted);
    socket.send(kStreamHead);
    for (std::size_t at = 0; at < body.size(); at += 37)
      socket.send(chunk(std::string_view(body).substr(at, 37)));
    socket.send("0\r\n\r\n");
    socket.closed_by_peer(50ms);
  });
  const auto streamed = stream();
  ASSERT_FALSE(streamed.error) << streamed.error->message;
  EXPECT_TRUE(streamed.complete);
  EXPECT_EQ(streamed.text, "Hi");
  EXPECT_EQ(streamed.response.usage.output, 2);
  EXPECT_NE(seen.find("\"stream\":true"), std::string::npos);
}

TEST_F(VendorTest, AFinishedStreamLeavesItsConnectionForTheNextCall) {
  serve([this] {
    RawSocket socket = listener.accept();
    for (int i = 0; i < 2; ++i) {
      receive_request(socket);
      socket.send(std::string(kStreamHead) + chunk(kCreated) + chunk(kDelta));
      // The end mark and the end of the body come apart.
      socket.send(chunk(kCompleted));
      socket.send("0\r\n\r\n");
    }
    socket.closed_by_peer(50ms);
  });
  const auto first = net::run_sync<bool>(pool.at(0), [&]() -> Aw<bool> {
    for (int i = 0; i < 2; ++i) {
      auto opened = co_await vendor->stream(request, context);
      if (!opened) co_return false;
      bool done = false;
      // The caller stops at the end mark, as one that has what it wants does.
      while (!done) {
        auto events = co_await (*opened)->next();
        if (!events) co_return false;
        done = std::ranges::any_of(
            *events, [](const auto& e) { return e.kind == StreamEvent::Kind::kDone; });
      }
    }
    co_return true;
  });
  EXPECT_TRUE(first);
}

TEST_F(VendorTest, AVendorThatKeepsTheBodyOpenDelaysTheLastEventsOnlyShortly) {
  serve([this] {
    RawSocket socket = listener.accept();
    receive_request(socket);
    socket.send(std::string(kStreamHead) + chunk(kCreated) + chunk(kDelta) + chunk(kCompleted));
    EXPECT_TRUE(socket.closed_by_peer(4s));
  });
  const auto begun = std::chrono::steady_clock::now();
  const auto streamed = stream();
  EXPECT_TRUE(streamed.complete);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s);
}

TEST_F(VendorTest, AnErrorBeforeTheStreamIsTyped) {
  serve_once(answer(529, R"({"error":{"message":"overloaded"}})"));
  const auto streamed = stream();
  ASSERT_TRUE(streamed.error);
  EXPECT_EQ(streamed.error->code, Errc::kUnavailable);
  EXPECT_EQ(streamed.error->upstream_status, 529);
}

TEST_F(VendorTest, AnErrorBodyIsReadOnlyInPart) {
  serve([this] {
    RawSocket socket = listener.accept();
    receive_request(socket);
    socket.send(answer(400, std::string(1'000'000, 'x')));
    socket.closed_by_peer(2s);
  });
  const auto streamed = stream();
  ASSERT_TRUE(streamed.error);
  EXPECT_EQ(streamed.error->code, Errc::kInvalidArgument);
  EXPECT_LT(streamed.error->message.size(), 400);
}

TEST_F(VendorTest, AWholeAnswerToAStreamRequestBecomesEvents) {
  serve_once(answer(200, kWhole));
  const auto streamed = stream();
  ASSERT_FALSE(streamed.error) << streamed.error->message;
  EXPECT_TRUE(streamed.complete);
  EXPECT_EQ(streamed.text, "Hi");
  EXPECT_EQ(streamed.response.usage.input, 5);
  serve_once(answer(200, R"({"error":{"type":"rate_limit_exceeded","message":"oops"}})"));
  EXPECT_EQ(stream().error->code, Errc::kRateLimited);
}

TEST_F(VendorTest, AConnectionLostInMidAnswerIsACut) {
  for (const bool orderly : {true, false}) {
    serve([this, orderly] {
      RawSocket socket = listener.accept();
      receive_request(socket);
      socket.send(std::string(kStreamHead) + chunk(kCreated) + chunk(kDelta));
      if (orderly) {
        socket.send("0\r\n\r\n");
        socket.closed_by_peer(50ms);
      } else {
        // Let the client read what came before the reset.
        socket.closed_by_peer(50ms);
        socket.reset();
      }
    });
    const auto streamed = stream();
    ASSERT_TRUE(streamed.error);
    EXPECT_EQ(streamed.error->code, Errc::kUpstream);
    EXPECT_EQ(streamed.error->reason, "stream_cut");
    EXPECT_EQ(streamed.text, "Hi");
    EXPECT_FALSE(streamed.complete);
  }
}

TEST_F(VendorTest, WhatCameBeforeAnErrorInTheStreamIsGivenOutFirst) {
  serve_once(
      std::string(kStreamHead) +
      chunk(std::string(kCreated) + std::string(kDelta) +
            "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"gone\"}\n\n") +
      "0\r\n\r\n");
  const auto streamed = stream();
  ASSERT_TRUE(streamed.error);
  EXPECT_EQ(streamed.error->code, Errc::kUnavailable);
  EXPECT_EQ(streamed.text, "Hi");
}

TEST_F(VendorTest, CancellingClosesTheVendorsConnection) {
  std::atomic<bool> closed = false;
  serve([this, &closed] {
    RawSocket socket = listener.accept();
    receive_request(socket);
    socket.send(std::string(kStreamHead) + chunk(kCreated) + chunk(kDelta));
    closed = socket.closed_by_peer(4s);
  });
  const auto error =
      net::run_sync<std::optional<Error>>(pool.at(0), [&]() -> Aw<std::optional<Error>> {
        CancelSource cancel;
        context.cancel = &cancel;
        auto opened = co_await vendor->stream(request, context);
        if (!opened) co_return opened.error();
        while (true) {
          auto events = co_await (*opened)->next();
          if (!events) co_return events.error();
          if (events->empty()) co_return std::nullopt;
          net::Loop::current()->post([&cancel] { cancel.cancel(); });
        }
      });
  context.cancel = nullptr;
  server.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::kCancelled);
  EXPECT_TRUE(closed);
}

TEST_F(VendorTest, DroppingAStreamClosesTheVendorsConnection) {
  std::atomic<bool> closed = false;
  serve([this, &closed] {
    RawSocket socket = listener.accept();
    receive_request(socket);
    socket.send(std::string(kStreamHead) + chunk(kCreated));
    closed = socket.closed_by_peer(4s);
  });
  net::run_sync<bool>(pool.at(0), [&]() -> Aw<bool> {
    auto opened = co_await vendor->stream(request, context);
    co_return opened.has_value();
  });
  server.join();
  EXPECT_TRUE(closed);
}

TEST_F(VendorTest, VectorsAreBroughtToUnitLength) {
  use(make_cohere_codec());
  serve_once(answer(200, R"({"embeddings":{"float":[[3,4]]}})"));
  EmbeddingRequest embedding;
  embedding.model = "embed-v4.0";
  embedding.input = {"a"};
  const auto response = net::run_sync<Result<EmbeddingResponse>>(
      pool.at(0),
      [&]() -> Task<EmbeddingResponse> { co_return co_await vendor->embed(embedding, context); });
  server.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->vectors.at(0), (std::vector<float>{0.6F, 0.8F}));
  EXPECT_EQ(response->model, "embed-v4.0");
}

TEST_F(VendorTest, TooFewVectorsAreAnUpstreamError) {
  use(make_cohere_codec());
  serve_once(answer(200, R"({"embeddings":{"float":[[1,0]]}})"));
  EmbeddingRequest embedding;
  embedding.model = "embed-v4.0";
  embedding.input = {"a", "b"};
  const auto response = net::run_sync<Result<EmbeddingResponse>>(
      pool.at(0),
      [&]() -> Task<EmbeddingResponse> { co_return co_await vendor->embed(embedding, context); });
  server.join();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kUpstream);
}

TEST_F(VendorTest, AProbeTakesAnyAnswerBelow500) {
  const auto probe = [&] {
    auto result = net::run_sync<Result<void>>(
        pool.at(0), [&]() -> Task<void> { co_return co_await vendor->probe(context); });
    server.join();
    return result;
  };
  use(make_google_codec());
  serve_once(answer(401, "{}"));
  EXPECT_TRUE(probe());
  EXPECT_TRUE(seen.starts_with("GET /base/v1beta/models HTTP/1.1\r\n")) << seen;
  serve_once(answer(503, "{}"));
  EXPECT_EQ(probe().error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::llm
