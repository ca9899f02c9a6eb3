#include "net/http/connection_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/socket.h"

namespace asahi::http {

using Steady = std::chrono::steady_clock;

ConnectionPool::Lane& ConnectionPool::lane_of(const Origin& origin) {
  const KeyView view(origin);
  if (const auto found = lanes_.find(view); found != lanes_.end()) return *found->second;
  return *lanes_.emplace(Key{origin.tls, origin.host, origin.port}, std::make_unique<Lane>())
              .first->second;
}

Task<std::unique_ptr<ClientConnection>> ConnectionPool::acquire(Lane& lane, const Origin& origin,
                                                                const CallOptions& call,
                                                                Reuse reuse) {
  const auto patience = std::min(call.deadline, Steady::now() + call.idle_timeout);
  for (;;) {
    while (!lane.idle.empty() && reuse == Reuse::kIdleOrNew) {
      auto connection = std::move(lane.idle.back().connection);
      lane.idle.pop_back();
      // Closed meanwhile, or bytes that nobody asked for: not fit to carry a request.
      if (connection->stream->quiet()) {
        connection->reused = true;
        co_return std::move(connection);
      }
      --lane.total;
    }
    if (lane.total < options_.max_connections_per_origin) break;
    if (!lane.idle.empty()) {
      lane.idle.erase(lane.idle.begin());
      --lane.total;
      continue;
    }
    net::Event freed(loop_);
    lane.waiting.push_back(&freed);
    const net::Interruption interruption(loop_, patience, call.cancel, [&freed] { freed.set(); });
    co_await freed.wait();
    std::erase(lane.waiting, &freed);
    if (interruption.happened()) {
      if (!lane.idle.empty() || lane.total < options_.max_connections_per_origin)
        wake_one(lane);  // the signal was for somebody who goes on
      Error error =
          interruption.explain("waiting for a free connection to " + origin.host, Error{});
      if (error.code == Errc::kTimeout && Steady::now() < call.deadline)
        error.code = Errc::kUnavailable;
      co_return std::unexpected(std::move(error));
    }
  }
  ++lane.total;
  net::ConnectOptions connect;
  connect.tls = origin.tls;
  connect.verify_tls = options_.verify_tls;
  connect.ca_file = options_.ca_file;
  connect.deadline = std::min(call.deadline, Steady::now() + options_.connect_timeout);
  connect.cancel = call.cancel;
  connect.allows = options_.allows;
  auto stream = co_await net::connect_stream(loop_, origin.host, origin.port, std::move(connect));
  if (!stream) {
    discard(lane, nullptr);
    Error error = std::move(stream).error();
    // Only the caller's own deadline is a timeout to the caller; ours says that the server cannot
    // be reached.
    if (error.code == Errc::kTimeout && Steady::now() < call.deadline)
      error.code = Errc::kUnavailable;
    co_return std::unexpected(std::move(error));
  }
  auto connection = std::make_unique<ClientConnection>();
  connection->stream = *std::move(stream);
  co_return std::move(connection);
}

void ConnectionPool::give_back(Lane& lane, std::unique_ptr<ClientConnection> connection) {
  if (shut_down_ || !connection->buffer.empty() ||
      lane.idle.size() >= options_.max_idle_per_origin) {
    discard(lane, std::move(connection));
    return;
  }
  lane.idle.push_back({std::move(connection), Steady::now()});
  sweep_later();
  wake_one(lane);
}

void ConnectionPool::discard(Lane& lane, std::unique_ptr<ClientConnection> connection) {
  connection.reset();
  --lane.total;
  wake_one(lane);
}

void ConnectionPool::wake_one(Lane& lane) {
  if (lane.waiting.empty()) return;
  net::Event* const first = lane.waiting.front();
  lane.waiting.pop_front();
  first->set();
}

void ConnectionPool::sweep_later() {
  if (std::exchange(sweeping_, true)) return;
  sweep_ = loop_.at(Steady::now() + options_.pool_idle, [this] { sweep(); });
}

void ConnectionPool::sweep() {
  sweeping_ = false;
  const auto now = Steady::now();
  auto next = Steady::time_point::max();
  for (auto& [key, lane] : lanes_) {
    const auto young = std::ranges::find_if(
        lane->idle, [&](const Lane::Idle& idle) { return now - idle.since < options_.pool_idle; });
    lane->total -= static_cast<std::size_t>(young - lane->idle.begin());
    lane->idle.erase(lane->idle.begin(), young);
    if (!lane->idle.empty()) next = std::min(next, lane->idle.front().since + options_.pool_idle);
  }
  if (next == Steady::time_point::max()) return;
  sweeping_ = true;
  sweep_ = loop_.at(next, [this] { sweep(); });
}

void ConnectionPool::shut_down() {
  shut_down_ = true;
  sweep_.reset();
  for (auto& [key, lane] : lanes_) {
    lane->total -= lane->idle.size();
    lane->idle.clear();
  }
}

std::size_t ConnectionPool::idle_connections() const {
  std::size_t count = 0;
  for (const auto& [key, lane] : lanes_) count += lane->idle.size();
  return count;
}

}  // namespace asahi::http
