#include "load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "process_use.h"
#include "wire.h"

namespace asahi::bench {
namespace {

constexpr std::string_view kContentMark = R"("delta":{"content":")";
constexpr std::int64_t kStallNs = 10'000'000'000;

struct Connection {
  int fd = -1;
  std::string in;
  ResponseReader reader;
  std::string body;
  std::int64_t due = 0;  ///< when the request should have left
  std::int64_t first_token = 0;
  std::size_t scanned = 0;  ///< of `body`: complete events seen
  unsigned content_chunks = 0;
  bool busy = false, in_order = true;
};

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        run_id_(static_cast<std::uint64_t>(now_ns())) {
    latencies_.reserve(1 << 20);
    prepare();
    for (unsigned i = 0; i < options_.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>());
      open(*connections_.back());
      idle_.push_back(connections_.back().get());
    }
  }
  ~Load() {
    for (const auto& connection : connections_) {
      if (connection->fd >= 0) ::close(connection->fd);
    }
    ::close(epoll_);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  LoadReport run() {
    const std::int64_t begin = now_ns();
    measure_from_ = begin + static_cast<std::int64_t>(options_.warmup_seconds * 1e9);
    const bool by_time = options_.requests == 0;
    stop_at_ =
        by_time ? measure_from_ + static_cast<std::int64_t>(options_.seconds * 1e9) : INT64_MAX;
    next_arrival_ = begin;
    last_progress_ = begin;
    std::vector<epoll_event> events(2048);
    while (!finished()) {
      std::int64_t now = now_ns();
      if (!measuring_ && now >= measure_from_) start_measuring(now);
      send_what_is_due(now);
      const std::int64_t patience =
          options_.rate > 0 && now < stop_at_ ? next_arrival_ - now_ns() : 100'000'000;
      const int count =
          wait_for_events(epoll_, events.data(), static_cast<int>(events.size()), patience);
      for (int i = 0; i < count; ++i) on_readable(*static_cast<Connection*>(events[i].data.ptr));
      now = now_ns();
      if (count > 0) last_progress_ = now;
      if (now - last_progress_ > kStallNs) {
        note_error("nothing came for 10 s");
        break;
      }
    }
    const std::int64_t end = std::min(now_ns(), std::max(stop_at_, measured_since_));
    report_.seconds = static_cast<double>((by_time ? end : last_answer_) - measured_since_) / 1e9;
    if (options_.watch_pid != 0) {
      report_.cpu = (cpu_seconds(options_.watch_pid) - cpu_before_) /
                    (static_cast<double>(now_ns() - measured_since_) / 1e9);
    }
    report_.latency = Spread::of(latencies_);
    report_.first_token = Spread::of(first_tokens_);
    return report_;
  }

 private:
  void prepare() {
    std::string stream;
    if (options_.chunks > 0) {
      stream = R"("stream":true,"stream_options":{"include_usage":true},)";
      marker_ = fmt::format("[[stream:{},{},{}]] ", options_.chunks, options_.first_us,
                            options_.pause_us);
    }
    body_head_ = fmt::format(
        R"({{"model":"{}",{}"temperature":0.7,"max_tokens":256,"messages":[{{"role":"system","content":)"
        R"("You answer questions of our software engineers, briefly and with an example."}},)"
        R"({{"role":"user","content":"{}Ticket )",
        options_.model, stream, marker_);
    body_tail_ =
        R"(: our service opens a new connection for each call to a language model and asks the same questions again and )"
        R"(again. Which three changes would you make first to bring down latency and cost, in what order, and how would )"
        R"(you measure that they worked?"}]})";
    const std::size_t size = body_head_.size() + 24 + body_tail_.size();
    head_ = fmt::format(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        options_.path, options_.port, options_.key, size);
    for (const std::string& header : options_.headers) head_ += header + "\r\n";
    head_ += "\r\n";
  }

  void open(Connection& connection) {
    connection.fd = connect_local(options_.port);
    if (connection.fd < 0)
      throw std::runtime_error(
          fmt::format("cannot connect to port {}: {}", options_.port, std::strerror(errno)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void start_measuring(std::int64_t now) {
    measuring_ = true;
    measured_since_ = now;
    if (options_.watch_pid != 0) cpu_before_ = cpu_seconds(options_.watch_pid);
  }

  bool finished() const {
    const bool no_more = options_.requests > 0 ? sent_ >= options_.requests : now_ns() >= stop_at_;
    // Latencies of what is still under way count in a bounded run; a timed run just ends.
    return no_more && (in_flight_ == 0 || (options_.requests == 0 && options_.chunks == 0));
  }

  bool may_send(std::int64_t now) const {
    return options_.requests > 0 ? sent_ < options_.requests : now < stop_at_;
  }

  void send_what_is_due(std::int64_t now) {
    if (options_.rate > 0) {
      for (; next_arrival_ <= now && next_arrival_ < stop_at_; ++arrivals_) {
        if (options_.requests > 0 && arrivals_ >= options_.requests) break;
        waiting_.push_back(next_arrival_);
        next_arrival_ += static_cast<std::int64_t>(1e9 / options_.rate);
      }
      while (!waiting_.empty() && !idle_.empty()) {
        send(*take_idle(), waiting_.front());
        waiting_.pop_front();
      }
      return;
    }
    while (!idle_.empty() && may_send(now)) send(*take_idle(), now_ns());
  }

  Connection* take_idle() {
    Connection* connection = idle_.back();
    idle_.pop_back();
    return connection;
  }

  void send(Connection& connection, std::int64_t due) {
    connection.due = due;
    connection.busy = true;
    connection.reader.next();
    connection.body.clear();
    connection.scanned = connection.content_chunks = 0;
    connection.first_token = 0;
    connection.in_order = true;
    // 24 characters: which run, which prompt.
    out_ = head_;
    out_ += body_head_;
    const bool repeated = sent_ % 100 < options_.repeat_percent;
    if (repeated) {
      fmt::format_to(std::back_inserter(out_), "{:>14.14}-{:09}", options_.pool_name,
                     sent_ % options_.pool);
    } else {
      fmt::format_to(std::back_inserter(out_), "{:014x}-{:09}", run_id_ & 0xff'ffff'ffff'ffff,
                     sent_);
    }
    out_ += body_tail_;
    ++sent_;
    ++in_flight_;
    const ssize_t sent = ::send(connection.fd, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(out_.size()))
      fail(connection, fmt::format("send: {}", std::strerror(errno)));
  }

  void on_readable(Connection& connection) {
    char buffer[64 * 1024];
    const ssize_t got = ::recv(connection.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return fail(connection, "connection closed");
    std::string_view bytes(buffer, static_cast<std::size_t>(got));
    if (!connection.in.empty()) {
      connection.in.append(bytes);
      bytes = connection.in;
    }
    const std::size_t used = connection.reader.feed(bytes, connection.body);
    connection.in = std::string(bytes.substr(used));
    if (connection.reader.broken()) return fail(connection, "unreadable answer");
    if (options_.chunks > 0) scan_events(connection);
    if (connection.reader.done()) complete(connection);
  }

  /// Each content chunk must carry the next number: nothing lost, doubled or out of order.
  void scan_events(Connection& connection) {
    const std::string_view body = connection.body;
    for (;;) {
      const std::size_t end = body.find("\n\n", connection.scanned);
      if (end == std::string_view::npos) return;
      const std::string_view event = body.substr(connection.scanned, end - connection.scanned);
      connection.scanned = end + 2;
      const std::size_t at = event.find(kContentMark);
      if (at == std::string_view::npos) continue;
      const std::string_view text = event.substr(at + kContentMark.size());
      if (text.starts_with('"')) continue;
      if (connection.first_token == 0) connection.first_token = now_ns();
      const std::string expected = std::to_string(connection.content_chunks) + " \"";
      if (!text.starts_with(expected)) connection.in_order = false;
      ++connection.content_chunks;
    }
  }

  void complete(Connection& connection) {
    const std::int64_t now = now_ns();
    --in_flight_;
    connection.busy = false;
    last_answer_ = now;
    if (connection.reader.status() != 200) {
      note_error(
          fmt::format("status {}: {}", connection.reader.status(), connection.body.substr(0, 300)));
    } else if (options_.chunks > 0 && !body_is_whole(connection)) {
      note_error(fmt::format(
          "stream with {} of {} chunks: …{}", connection.content_chunks, options_.chunks,
          connection.body.substr(connection.body.size() -
                                 std::min<std::size_t>(connection.body.size(), 300))));
    } else if (measuring_ && connection.due >= measured_since_ &&
               (options_.requests > 0 || now <= stop_at_ || options_.rate > 0)) {
      ++report_.requests;
      latencies_.push_back(clamp(now - connection.due));
      if (options_.chunks > 0) {
        first_tokens_.push_back(clamp(connection.first_token - connection.due));
        report_.chunks += connection.content_chunks;
      }
    }
    idle_.push_back(&connection);
    // The next request leaves at once: waiting for the other events would add their time to
    // nobody's latency.
    if (options_.rate > 0) {
      if (!waiting_.empty()) {
        send(*take_idle(), waiting_.front());
        waiting_.pop_front();
      }
    } else if (may_send(now)) {
      send(*take_idle(), now);
    }
  }

  bool body_is_whole(const Connection& connection) {
    const bool whole = connection.in_order && connection.content_chunks == options_.chunks &&
                       connection.body.ends_with("data: [DONE]\n\n");
    if (!whole)
      report_.lost_chunks +=
          std::max(1U, options_.chunks - std::min(options_.chunks, connection.content_chunks));
    return whole;
  }

  static std::uint32_t clamp(std::int64_t ns) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ns, 0, UINT32_MAX));
  }

  void note_error(std::string what) {
    if (report_.errors++ == 0) report_.first_error = std::move(what);
    if (report_.errors > 1000)
      throw std::runtime_error("more than 1,000 errors; the first: " + report_.first_error);
  }

  void fail(Connection& connection, std::string what) {
    note_error(std::move(what));
    if (options_.chunks > 0)
      report_.lost_chunks += options_.chunks - std::min(options_.chunks, connection.content_chunks);
    if (connection.busy) {
      connection.busy = false;
      --in_flight_;
      idle_.push_back(&connection);
    }
    ::close(connection.fd);
    connection.in.clear();
    open(connection);
  }

  const LoadOptions& options_;
  int epoll_;
  const std::uint64_t run_id_;
  std::string head_, body_head_, body_tail_, marker_, out_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::deque<std::int64_t> waiting_;  ///< open loop: arrivals that found no free connection
  std::uint64_t sent_ = 0, arrivals_ = 0, in_flight_ = 0;
  std::int64_t measure_from_ = 0, measured_since_ = 0, stop_at_ = 0, next_arrival_ = 0,
               last_progress_ = 0, last_answer_ = 0;
  bool measuring_ = false;
  double cpu_before_ = 0;
  std::vector<std::uint32_t> latencies_, first_tokens_;
  LoadReport report_;
};

}  // namespace

Spread Spread::of(std::vector<std::uint32_t>& nanoseconds) {
  if (nanoseconds.empty()) return {};
  std::ranges::sort(nanoseconds);
  const auto rank = [&](double part) {
    const auto index = static_cast<std::size_t>(part * static_cast<double>(nanoseconds.size()));
    return nanoseconds[std::min(index, nanoseconds.size() - 1)] / 1e3;
  };
  return {rank(0.50), rank(0.90), rank(0.99), nanoseconds.back() / 1e3};
}

LoadReport run_load(const LoadOptions& options) { return Load(options).run(); }

std::string to_json(const LoadReport& report) {
  const auto spread = [](const Spread& s) {
    return fmt::format(R"({{"p50":{:.1f},"p90":{:.1f},"p99":{:.1f},"max":{:.1f}}})", s.p50, s.p90,
                       s.p99, s.max);
  };
  std::string error;
  for (const char c : report.first_error) {
    if (c == '"' || c == '\\') error += '\\';
    error += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return fmt::format(
      R"({{"requests":{},"errors":{},"seconds":{:.3f},"rps":{:.1f},"cpu":{:.3f},"latency_us":{},"first_token_us":{},)"
      R"("chunks":{},"lost_chunks":{},"first_error":"{}"}})",
      report.requests, report.errors, report.seconds,
      report.seconds > 0 ? static_cast<double>(report.requests) / report.seconds : 0.0, report.cpu,
      spread(report.latency), spread(report.first_token), report.chunks, report.lost_chunks, error);
}

}  // namespace asahi::bench
