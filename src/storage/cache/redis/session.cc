#include "storage/cache/redis/session.h"

#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace asahi::cache {
namespace {

constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kErrorTextBytes = 200;

/// One command, one reply, before anything else runs on the connection.
Task<Reply> ask(net::Stream& stream, RespParser& parser, std::vector<std::string> args) {
  const std::vector<std::string_view> views(args.begin(), args.end());
  std::string wire;
  append_command(wire, views);
  if (auto sent = co_await stream.write(boost::asio::buffer(wire)); !sent) {
    co_return std::unexpected(std::move(sent.error()));
  }
  std::array<char, kReadBytes> buffer;
  while (true) {
    ASAHI_CO_TRY(const std::size_t size, co_await stream.read_some(boost::asio::buffer(buffer)));
    if (size == 0) co_return fail(Errc::kUnavailable, "Redis closed the connection");
    std::string_view bytes(buffer.data(), size);
    while (!bytes.empty()) {
      ASAHI_CO_TRY(auto reply, parser.parse(bytes));
      if (reply && reply->type != Reply::Type::kPush) co_return std::move(*reply);
    }
  }
}

bool knows_no_hello(const Reply& reply) {
  return reply.text.starts_with("ERR unknown command") || reply.text.starts_with("NOPROTO") ||
         reply.text.starts_with("ERR unknown subcommand");
}

std::unexpected<Error> refused(std::string_view step, const Reply& reply) {
  Error error = redis_error(reply);
  error.code = Errc::kUnavailable;
  error.message = fmt::format("{} was refused: {}; check the Redis URL", step, error.message);
  return std::unexpected(std::move(error));
}

/// For servers before Redis 6, and proxies that speak RESP2 only.
Task<bool> introduce_resp2(net::Stream& stream, RespParser& parser, RedisEndpoint endpoint,
                           std::string client_name) {
  if (!endpoint.password.empty()) {
    std::vector<std::string> auth{"AUTH"};
    if (!endpoint.user.empty()) auth.push_back(endpoint.user);
    auth.push_back(endpoint.password.reveal());
    ASAHI_CO_TRY(const Reply reply, co_await ask(stream, parser, std::move(auth)));
    if (reply.is_error()) co_return refused("AUTH", reply);
  }
  // A name is a courtesy to the operator; some hosted servers refuse it.
  std::vector<std::string> set_name{"CLIENT", "SETNAME", std::move(client_name)};
  if (auto named = co_await ask(stream, parser, std::move(set_name)); !named) {
    co_return std::unexpected(std::move(named.error()));
  }
  std::vector<std::string> cluster_info{"CLUSTER", "INFO"};
  ASAHI_CO_TRY(const Reply info, co_await ask(stream, parser, std::move(cluster_info)));
  co_return !info.is_error();
}

Task<bool> introduce(net::Stream& stream, RedisEndpoint endpoint,
                     std::shared_ptr<const RedisOptions> options) {
  RespParser parser(options->limits);
  std::vector<std::string> hello{"HELLO", "3"};
  if (!endpoint.password.empty()) {
    hello.push_back("AUTH");
    hello.push_back(endpoint.user.empty() ? "default" : endpoint.user);
    hello.push_back(endpoint.password.reveal());
  }
  hello.push_back("SETNAME");
  hello.push_back(options->client_name);
  ASAHI_CO_TRY(const Reply welcome, co_await ask(stream, parser, std::move(hello)));
  bool cluster = false;
  if (!welcome.is_error()) {
    const Reply* const mode = welcome.find("mode");
    cluster = mode != nullptr && mode->text == "cluster";
  } else if (knows_no_hello(welcome)) {
    ASAHI_CO_TRY(cluster, co_await introduce_resp2(stream, parser, endpoint, options->client_name));
  } else {
    co_return refused("HELLO", welcome);
  }
  if (endpoint.database != 0) {
    std::vector<std::string> select{"SELECT", std::to_string(endpoint.database)};
    ASAHI_CO_TRY(const Reply selected, co_await ask(stream, parser, std::move(select)));
    if (selected.is_error()) co_return refused("SELECT", selected);
  }
  co_return cluster;
}

}  // namespace

Task<Session> open_session(net::Loop& loop, std::shared_ptr<const RedisOptions> options,
                           RedisEndpoint endpoint) {
  const auto deadline = std::chrono::steady_clock::now() + options->connect_timeout;
  net::ConnectOptions connect;
  connect.tls = endpoint.tls;
  connect.verify_tls = options->verify_tls;
  connect.ca_file = options->ca_file;
  connect.deadline = deadline;
  Session session;
  {
    ASAHI_CO_TRY(session.stream,
                 co_await net::connect_stream(loop, endpoint.host, endpoint.port, connect));
  }
  // The watch shares the stream: it may fire just when the work is done.
  boost::asio::steady_timer watch(loop.io());
  watch.expires_at(deadline);
  watch.async_wait([stream = session.stream](boost::system::error_code error) {
    if (!error) stream->close();
  });
  auto cluster = co_await introduce(*session.stream, endpoint, options);
  watch.cancel();
  if (!cluster) {
    if (cluster.error().code == Errc::kCancelled) {
      co_return fail(Errc::kTimeout, "Redis accepted the connection but did not answer in time");
    }
    co_return std::unexpected(std::move(cluster.error()));
  }
  session.cluster = *cluster;
  co_return session;
}

std::chrono::milliseconds Backoff::next() {
  const auto pause = std::min(first_ * (std::int64_t{1} << std::min(attempts_, 20)), cap_);
  ++attempts_;
  const double jitter = std::uniform_real_distribution<double>(0.5, 1.5)(random_);
  return std::chrono::milliseconds(
      std::max<std::int64_t>(1, static_cast<std::int64_t>(jitter * double(pause.count()))));
}

Error redis_error(const Reply& reply) {
  const std::string_view text = reply.text;
  const std::string_view word = text.substr(0, text.find(' '));
  constexpr std::array kPassing = {"LOADING",  "MASTERDOWN", "CLUSTERDOWN", "READONLY",  "BUSY",
                                   "TRYAGAIN", "NOREPLICAS", "OOM",         "UNBLOCKED", "MISCONF"};
  const bool passing =
      std::ranges::any_of(kPassing, [&](std::string_view known) { return word == known; });
  Error error = fail(passing ? Errc::kUnavailable : Errc::kUpstream,
                     fmt::format("Redis answered \"{}\"", text.substr(0, kErrorTextBytes)))
                    .error();
  error.reason = word;
  return error;
}

}  // namespace asahi::cache
