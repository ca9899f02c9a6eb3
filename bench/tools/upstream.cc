/// bench_upstream [PORT]: a vendor that costs next to nothing, so that what is measured is the
/// gateway.
///
/// Answers POST /v1/chat/completions in OpenAI's shape from prepared bytes, at once. A streamed
/// answer is paced by a marker in the prompt, [[stream:CHUNKS,FIRST_US,PAUSE_US]]: that many
/// content chunks ("0 ", "1 ", …), the first after FIRST_US, then one each PAUSE_US; without pause
/// all in one write. Any other request gets an empty model list. Prints its port. One thread, one
/// epoll loop.
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <queue>
#include <unordered_map>
#include <vector>

#include "wire.h"

namespace asahi::bench {
namespace {

constexpr std::string_view kModels =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    "27\r\n\r\n{\"object\":\"list\",\"data\":[]}";
constexpr std::string_view kChunkHead =
    R"({"id":"chatcmpl-BenchBenchBenchBenchBench00","object":"chat.completion.chunk","created":1760000000,)"
    R"("model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0000000000",)";

std::string whole_answer() {
  const std::string body =
      R"({"id":"chatcmpl-BenchBenchBenchBenchBench00","object":"chat.completion","created":1760000000,)"
      R"("model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":)"
      R"("Keep connections open, answer from memory what was answered before, and measure before you change anything.",)"
      R"("refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":82,)"
      R"("completion_tokens":21,"total_tokens":103,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},)"
      R"("completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,)"
      R"("rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0000000000"})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// One SSE event in one HTTP chunk.
std::string chunk(std::string_view data) {
  char size[20];
  const auto end = std::to_chars(size, size + sizeof size, data.size() + 8, 16).ptr;
  std::string out(size, end);
  out.append("\r\ndata: ").append(data).append("\n\n\r\n");
  return out;
}

struct Pace {
  unsigned chunks = 0, first_us = 0, pause_us = 0;
};

struct Connection {
  int fd;
  std::string in, out;
  Pace pace;
  bool usage = false;
  unsigned sent = 0;
  bool streaming = false;
};

struct Due {
  std::int64_t when;
  int fd;
  bool operator<(const Due& other) const { return when > other.when; }
};

class Upstream {
 public:
  explicit Upstream(int listener) : listener_(listener), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(listener, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(1024);
    for (;;) {
      const std::int64_t patience = due_.empty() ? 1'000'000'000 : due_.top().when - now_ns();
      const int count =
          wait_for_events(epoll_, events.data(), static_cast<int>(events.size()), patience);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          accept_one();
        } else if (const auto at = connections_.find(events[i].data.fd); at != connections_.end()) {
          on_event(*at->second, events[i].events);
        }
      }
      while (!due_.empty() && due_.top().when <= now_ns()) {
        const Due due = due_.top();
        due_.pop();
        const auto at = connections_.find(due.fd);
        if (at == connections_.end() || !at->second->streaming) continue;
        advance(*at->second, due.when);
        flush(*at->second);
      }
    }
  }

 private:
  void watch(int fd, unsigned events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept_one() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    // Small writes leave at once because the listener's TCP_NODELAY is inherited.
    connections_[fd] =
        std::make_unique<Connection>(Connection{.fd = fd, .in = {}, .out = {}, .pace = {}});
    watch(fd, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP);
  }

  void on_event(Connection& connection, unsigned events) {
    if ((events & EPOLLOUT) != 0 && !flush(connection)) return;
    if ((events & EPOLLIN) == 0 && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
    char buffer[64 * 1024];
    for (;;) {
      const ssize_t got = ::recv(connection.fd, buffer, sizeof buffer, 0);
      if (got > 0) {
        connection.in.append(buffer, static_cast<std::size_t>(got));
        if (got == static_cast<ssize_t>(sizeof buffer)) continue;
        // A shorter read emptied the socket; only its end is still to be seen, and that is another
        // event.
        if ((events & (EPOLLRDHUP | EPOLLHUP)) == 0) break;
        continue;
      }
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      drop(connection);
      return;
    }
    while (!connection.streaming && answer_next(connection)) {
    }
    flush(connection);
  }

  bool answer_next(Connection& connection) {
    const std::string_view in = connection.in;
    const std::size_t end = in.find("\r\n\r\n");
    if (end == std::string_view::npos) return false;
    const std::string_view head = in.substr(0, end + 2);
    std::size_t length = 0;
    const std::string_view field = header_of(head, "content-length");
    std::from_chars(field.data(), field.data() + field.size(), length);
    if (in.size() < end + 4 + length) return false;
    const std::string_view body = in.substr(end + 4, length);
    if (!head.starts_with("POST ")) {
      connection.out += kModels;
    } else if (body.find("\"stream\":true") == std::string_view::npos) {
      connection.out += answer_;
    } else {
      connection.pace = pace_of(body);
      connection.usage = body.find("\"include_usage\":true") != std::string_view::npos;
      connection.sent = 0;
      connection.streaming = true;
      const std::int64_t first = now_ns() + std::int64_t{connection.pace.first_us} * 1000;
      if (connection.pace.first_us > 0) {
        due_.push({first, connection.fd});
      } else {
        advance(connection, first);
      }
    }
    connection.in.erase(0, end + 4 + length);
    return true;
  }

  static Pace pace_of(std::string_view body) {
    Pace pace{.chunks = 16};
    const std::size_t at = body.find("[[stream:");
    if (at == std::string_view::npos) return pace;
    const std::string marker(body.substr(at, 64));
    std::sscanf(marker.c_str(), "[[stream:%u,%u,%u]]", &pace.chunks, &pace.first_us,
                &pace.pause_us);
    return pace;
  }

  /// Writes the chunk that is due, and all that follow without a pause.
  void advance(Connection& connection, std::int64_t due) {
    const Pace& pace = connection.pace;
    if (connection.sent == 0) {
      connection.out +=
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
          "chunked\r\n\r\n";
      connection.out += chunk(
          std::string(kChunkHead) +
          R"("choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]})");
    }
    do {
      connection.out += chunk(
          std::string(kChunkHead) + R"("choices":[{"index":0,"delta":{"content":")" +
          std::to_string(connection.sent++) + R"( "},"logprobs":null,"finish_reason":null}]})");
    } while (pace.pause_us == 0 && connection.sent < pace.chunks);
    if (connection.sent >= pace.chunks) {
      connection.out +=
          chunk(std::string(kChunkHead) +
                R"("choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]})");
      if (connection.usage) {
        connection.out += chunk(std::string(kChunkHead) +
                                R"("choices":[],"usage":{"prompt_tokens":82,"completion_tokens":)" +
                                std::to_string(pace.chunks) + R"(,"total_tokens":)" +
                                std::to_string(82 + pace.chunks) + "}}");
      }
      connection.out += chunk("[DONE]");
      connection.out += "0\r\n\r\n";
      connection.streaming = false;
    } else {
      due_.push({due + std::int64_t{pace.pause_us} * 1000, connection.fd});
    }
  }

  /// False when the connection is gone.
  bool flush(Connection& connection) {
    while (!connection.out.empty()) {
      const ssize_t sent =
          ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) return true;
        drop(connection);
        return false;
      }
      connection.out.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }

  void drop(Connection& connection) {
    const int fd = connection.fd;
    connections_.erase(fd);
    ::close(fd);
  }

  int listener_;
  int epoll_;
  const std::string answer_ = whole_answer();
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::priority_queue<Due> due_;
};

}  // namespace
}  // namespace asahi::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const int listener =
      asahi::bench::listen_local(argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : 0);
  if (listener < 0) {
    std::perror("bench_upstream: cannot listen");
    return 1;
  }
  std::printf("{\"port\":%u}\n", asahi::bench::bound_port(listener));
  std::fflush(stdout);
  asahi::bench::Upstream(listener).run();
}
