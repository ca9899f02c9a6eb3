// A tiny server for load generators: http_bench_server PORT [LOOPS]
//   /fast   a fast handler      /slow   a coroutine that answers at once
//   /wait   a coroutine that suspends 1 ms      /stream  20 events, 10 ms apart
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "net/http/server.h"

namespace {

using namespace asahi;
using namespace std::chrono_literals;

http::Router make_router() {
  http::Router router;
  http::Route fast{http::Method::kGet, "/fast", {}};
  fast.fast = [](http::Context&) -> std::optional<http::Response> {
    return http::Response::text(200, "hello");
  };
  router.add(std::move(fast));
  router.get("/slow", [](http::Context&) -> Aw<http::Response> {
    co_return http::Response::text(200, "hello");
  });
  router.get("/wait", [](http::Context& context) -> Aw<http::Response> {
    co_await context.loop.sleep_for(1ms, &context.cancel);
    co_return http::Response::text(200, "hello");
  });
  router.get("/stream", [](http::Context& context) -> Aw<http::Response> {
    http::Response response;
    response.headers.add("Content-Type", "text/event-stream");
    response.stream = [&context](http::BodyWriter& writer) -> Task<void> {
      for (int i = 0; i < 20; ++i) {
        if (auto sent = co_await writer.write("data: {\"delta\":\"token\"}\n\n"); !sent)
          co_return sent;
        co_await context.loop.sleep_for(10ms, &context.cancel);
      }
      co_return Result<void>{};
    };
    co_return response;
  });
  return router;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: http_bench_server PORT [LOOPS]\n", stderr);
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  net::LoopPool loops(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0);
  http::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10));
  options.limits.max_active_requests = 10'000;
  auto server = http::Server::bind(loops, std::move(options), make_router());
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  loops.start();
  (*server)->start();
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->drain(1s);
  return 0;
}
