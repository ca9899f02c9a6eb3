#include "net/stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "net/event.h"
#include "net/socket.h"

namespace asahi::net {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

Task<void> Stream::write_all(Gather pieces) {
  for (const auto& piece : pieces) {
    if (piece.size() == 0) continue;
    if (auto written = co_await write(piece); !written)
      co_return std::unexpected(std::move(written).error());
  }
  co_return Result<void>{};
}

std::size_t Stream::try_write(const Gather&) { return 0; }

Error socket_error(const boost::system::error_code& code) {
  if (code == asio::error::operation_aborted || code == asio::error::bad_descriptor) {
    return fail(Errc::kCancelled, "the connection was closed here").error();
  }
  return fail(Errc::kUnavailable, "connection failed: " + code.message()).error();
}

Interruption::Interruption(Loop& loop, Steady::time_point deadline, CancelSource* cancel,
                           std::function<void()> stop)
    : stop_(std::move(stop)) {
  if (deadline != Steady::time_point::max()) {
    deadline_ = loop.at(deadline, [this] {
      timed_out_ = true;
      stop_();
    });
  }
  if (cancel != nullptr) {
    subscription_ = cancel->on_cancel([this] {
      cancelled_ = true;
      stop_();
    });
  }
}

Error Interruption::explain(std::string_view what, Error otherwise) const {
  if (cancelled_)
    return fail(Errc::kCancelled, fmt::format("{}: the caller went away", what)).error();
  if (timed_out_)
    return fail(Errc::kTimeout, fmt::format("{}: not done before its deadline", what)).error();
  return otherwise;
}

namespace {

class PlainStream final : public Stream {
 public:
  PlainStream(Socket socket, std::string remote)
      : socket_(std::move(socket)), remote_(std::move(remote)) {}

  Task<std::size_t> read_some(asio::mutable_buffer into) override {
    auto start = [this](auto handler, asio::mutable_buffer buffer) {
      socket_.async_read_some(
          buffer, [handler = std::move(handler)](boost::system::error_code error,
                                                 std::size_t size) mutable {
            if (!error) {
              std::move(handler)(Result<std::size_t>(size));
            } else if (error == asio::error::eof) {
              std::move(handler)(Result<std::size_t>(0));
            } else {
              std::move(handler)(Result<std::size_t>(std::unexpected(socket_error(error))));
            }
          });
    };
    return asio::async_initiate<const asio::use_awaitable_t<IoExecutor>, void(Result<std::size_t>)>(
        std::move(start), use_aw, into);
  }

  Task<void> write(asio::const_buffer bytes) override { return write_all(Gather{bytes}); }

  Task<void> write_all(Gather pieces) override {
    for (;;) {
      iovec parts[std::tuple_size_v<Gather>];
      std::size_t count = 0;
      std::size_t left = 0;
      for (const auto& piece : pieces) {
        if (piece.size() == 0) continue;
        parts[count++] = {const_cast<void*>(piece.data()), piece.size()};
        left += piece.size();
      }
      if (left == 0) co_return Result<void>{};
      const ssize_t sent = send_now(parts, count);
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
          co_return std::unexpected(
              socket_error(boost::system::error_code(errno, boost::system::system_category())));
        }
      } else {
        consume(pieces, static_cast<std::size_t>(sent));
        if (static_cast<std::size_t>(sent) == left) co_return Result<void>{};
      }
      boost::system::error_code error;
      co_await socket_.async_wait(Socket::wait_write, asio::redirect_error(use_aw, error));
      if (error) co_return std::unexpected(socket_error(error));
    }
  }

  std::size_t try_write(const Gather& pieces) override {
    iovec parts[std::tuple_size_v<Gather>];
    std::size_t count = 0;
    for (const auto& piece : pieces) {
      if (piece.size() > 0) parts[count++] = {const_cast<void*>(piece.data()), piece.size()};
    }
    const ssize_t sent = send_now(parts, count);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  Aw<void> wait_readable() override {
    boost::system::error_code ignored;
    co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(use_aw, ignored));
  }

  bool peer_closed() override {
    char byte;
    const ssize_t peeked = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked == 0 || (peeked < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

  bool quiet() override {
    char byte;
    const ssize_t peeked = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  void interrupt() override {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  void shutdown_write() override {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  std::string remote_address() const override { return remote_; }

 private:
  ssize_t send_now(iovec* parts, std::size_t count) {
    if (count == 1) {
      return ::send(socket_.native_handle(), parts[0].iov_base, parts[0].iov_len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  static void consume(Gather& pieces, std::size_t sent) {
    for (auto& piece : pieces) {
      const std::size_t part = std::min(sent, piece.size());
      piece += part;
      sent -= part;
    }
  }

  Socket socket_;
  std::string remote_;
};

struct Address {
  asio::generic::stream_protocol::endpoint endpoint;
  std::string text;
};

/// Names looked up a short while ago, per loop: a burst of new connections to one host asks once.
class HostCache final : public asio::execution_context::service {
 public:
  using key_type = HostCache;
  static inline asio::execution_context::id id;
  explicit HostCache(asio::execution_context& owner) : asio::execution_context::service(owner) {}

  const std::vector<asio::ip::address>* find(const std::string& host) {
    const auto at = entries_.find(host);
    if (at == entries_.end()) return nullptr;
    if (Steady::now() < at->second.until) return &at->second.addresses;
    entries_.erase(at);
    return nullptr;
  }

  void put(const std::string& host, std::vector<asio::ip::address> addresses) {
    if (entries_.size() >= kMaxEntries) entries_.clear();
    entries_[host] = {std::move(addresses), Steady::now() + kTtl};
  }

 private:
  static constexpr std::size_t kMaxEntries = 256;
  static constexpr std::chrono::seconds kTtl{10};

  struct Entry {
    std::vector<asio::ip::address> addresses;
    Steady::time_point until;
  };
  void shutdown() override { entries_.clear(); }
  std::map<std::string, Entry> entries_;
};

/// getaddrinfo runs on Asio's resolver thread and cannot be stopped there; the wait for it can.
Task<std::vector<asio::ip::address>> resolve(Loop& loop, std::string host,
                                             Steady::time_point deadline, CancelSource* cancel) {
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) co_return std::vector{literal};
  auto& cache = asio::use_service<HostCache>(loop.io());
  if (const auto* known = cache.find(host)) co_return *known;

  using Resolver = asio::ip::basic_resolver<asio::ip::tcp, IoExecutor>;
  struct Lookup {
    explicit Lookup(Loop& owner) : resolver(owner.executor()), done(owner) {}
    Resolver resolver;
    Event done;
    bool waiting = true;
    boost::system::error_code error;
    std::vector<asio::ip::address> addresses;
  };
  const auto lookup = std::make_shared<Lookup>(loop);
  lookup->resolver.async_resolve(
      host, "", [lookup](boost::system::error_code error, const Resolver::results_type& results) {
        if (!lookup->waiting) return;
        lookup->error = error;
        for (const auto& entry : results) lookup->addresses.push_back(entry.endpoint().address());
        lookup->done.set();
      });
  const Interruption interruption(loop, deadline, cancel, [&lookup] { lookup->done.set(); });
  co_await lookup->done.wait();
  lookup->waiting = false;
  lookup->resolver.cancel();
  if (interruption.happened())
    co_return std::unexpected(interruption.explain("resolving " + host, Error{}));
  if (lookup->error || lookup->addresses.empty()) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("host '{}' cannot be resolved ({}); check its spelling and DNS",
                               host, lookup->error.message()));
  }
  cache.put(host, lookup->addresses);
  co_return lookup->addresses;
}

/// Reading the system's roots takes milliseconds, so contexts are made once per setting and shared
/// by all loops.
Result<std::shared_ptr<const TlsContext>> client_context(bool verify, const std::string& ca_file) {
  static std::mutex mutex;
  static std::map<std::pair<bool, std::string>, std::shared_ptr<const TlsContext>> contexts;
  const std::lock_guard lock(mutex);
  auto& context = contexts[{verify, ca_file}];
  if (!context) {
    ASAHI_TRY(context, TlsContext::client(verify, ca_file));
  }
  return context;
}

}  // namespace

std::unique_ptr<Stream> make_plain_stream(Socket socket, std::string remote) {
  return std::make_unique<PlainStream>(std::move(socket), std::move(remote));
}

Task<std::unique_ptr<Stream>> connect_stream(Loop& loop, std::string host, std::uint16_t port,
                                             ConnectOptions options) {
  std::vector<Address> addresses;
  constexpr std::string_view kUnix = "unix:";
  if (host.starts_with(kUnix)) {
    const std::string path = host.substr(kUnix.size());
    if (path.empty() || path.size() > 107) {
      co_return fail(Errc::kUnavailable,
                     fmt::format("'{}' is no socket path of 1 to 107 characters", path));
    }
    addresses.push_back({asio::local::stream_protocol::endpoint(path), path});
  } else {
    ASAHI_CO_TRY(const auto resolved,
                 co_await resolve(loop, host, options.deadline, options.cancel));
    for (const auto& address : resolved) {
      addresses.push_back({asio::ip::tcp::endpoint(address, port), address.to_string()});
    }
  }

  if (options.allows) {
    std::erase_if(addresses, [&](const Address& one) { return !options.allows(one.text); });
    if (addresses.empty())
      co_return fail(Errc::kForbidden,
                     fmt::format("'{}' is at no address that may be asked", host));
  }

  Error last = fail(Errc::kUnavailable, "no address").error();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // One address that swallows packets must leave time for the next.
    auto until = options.deadline;
    if (until != Steady::time_point::max()) {
      const auto now = Steady::now();
      until = now + (until - now) / static_cast<int>(addresses.size() - i);
    }
    Socket socket(loop.executor());
    boost::system::error_code error;
    {
      const Interruption interruption(loop, until, options.cancel, [&socket] {
        boost::system::error_code ignored;
        socket.close(ignored);
      });
      if (!interruption.happened()) {
        co_await socket.async_connect(addresses[i].endpoint, asio::redirect_error(use_aw, error));
      }
      if (interruption.happened() || error) {
        const std::string what = fmt::format("connecting to {} port {}", host, port);
        last = interruption.explain(
            what, fail(Errc::kUnavailable, fmt::format("{}: {}", what, error.message())).error());
        if (last.code == Errc::kCancelled) break;
        continue;
      }
    }
    if (addresses[i].endpoint.protocol().family() != AF_UNIX) {
      boost::system::error_code ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    if (!options.tls) co_return make_plain_stream(std::move(socket), std::move(addresses[i].text));
    ASAHI_CO_TRY(auto context, client_context(options.verify_tls, options.ca_file));
    co_return co_await connect_tls(loop, std::move(socket), std::move(addresses[i].text),
                                   std::move(context), host, options.deadline, options.cancel);
  }
  co_return std::unexpected(std::move(last));
}

}  // namespace asahi::net
