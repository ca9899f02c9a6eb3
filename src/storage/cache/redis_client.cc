#include "storage/cache/redis_client.h"

#include <openssl/evp.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "storage/cache/redis/connection.h"
#include "storage/cache/redis/subscriber.h"

namespace asahi::cache {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kMaxRedirects = 5;
/// While a slot moves, a multi-key command is told to try again; the move of one key takes less.
constexpr std::chrono::milliseconds kTryAgainPause{20};
/// The map is asked for no more often than this, however many redirects arrive.
constexpr std::chrono::milliseconds kRefreshEvery{200};

const Logger& logger() {
  static const Logger instance("redis");
  return instance;
}

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return to_hex(digest.data(), size);
}

std::size_t digits(std::size_t number) {
  std::size_t count = 1;
  for (; number >= 10; number /= 10) ++count;
  return count;
}

std::unexpected<Error> needs_own(std::string_view wire) {
  if (wire.starts_with("*0")) return fail(Errc::kInvalidArgument, "the Redis command is empty");
  // "*2\r\n$9\r\nSUBSCRIBE\r\n…": the name alone, as arguments may be anything.
  const std::size_t from = wire.find('\n', wire.find('$')) + 1;
  return fail(
      Errc::kInvalidArgument,
      fmt::format("the Redis command {} changes or blocks the connection that all share; use "
                  "subscribe, eval or a non-blocking form",
                  wire.substr(from, wire.find('\r', from) - from)));
}

}  // namespace

Command::Command(const std::vector<std::string>& args) {
  const std::vector<std::string_view> views(args.begin(), args.end());
  encode(views);
}

Command::Command(std::initializer_list<std::string_view> args) {
  encode({args.begin(), args.size()});
}

void Command::encode(std::span<const std::string_view> args) {
  append_command(wire_, args);
  refused_ = needs_own_connection(args);
  if (const auto position = key_position(args); position && *position < args.size()) {
    std::size_t at = 1 + digits(args.size()) + 2;  // "*3\r\n", then "$5\r\n" and text per argument
    for (std::size_t i = 0; i < *position; ++i) {
      at += 1 + digits(args[i].size()) + 2 + args[i].size() + 2;
    }
    has_key_ = true;
    key_size_ = args[*position].size();
    key_at_ = at + 1 + digits(key_size_) + 2;
  }
}

std::optional<std::uint16_t> Command::slot() const {
  if (!has_key_) return std::nullopt;
  return key_slot(std::string_view(wire_).substr(key_at_, key_size_));
}

Script::Script(std::string source)
    : source_(std::make_shared<const std::string>(std::move(source))), sha1_(sha1_hex(*source_)) {}

/// Lifetimes. Whoever awaits a reply is owned by the handler in a connection's pipeline; so no
/// coroutine that awaits one may own the connection or the core, or a loop that stops would leak
/// the circle. Raw pointers are sound: a waiting coroutine resumes inside the call that answers it,
/// which holds both.
struct RedisClient::Core : std::enable_shared_from_this<Core> {
  enum class Mode { kUnknown, kStandalone, kCluster };

  Core(net::Loop& home, RedisOptions settings)
      : loop(home), options(std::make_shared<const RedisOptions>(std::move(settings))) {}

  void close() {
    closed = true;
    if (subscriber != nullptr) subscriber->close();
    const auto all = std::exchange(nodes, {});
    for (const auto& [address, connection] : all) connection->close();
    if (seed != nullptr) seed->close();
  }

  SteadyTime deadline() const { return std::chrono::steady_clock::now() + options->timeout; }

  std::shared_ptr<Connection> connect(RedisEndpoint endpoint) {
    return std::make_shared<Connection>(loop, options, std::move(endpoint),
                                        [weak = weak_from_this()](bool cluster) {
                                          if (const auto core = weak.lock())
                                            core->session_opened(cluster);
                                        });
  }

  Connection& seed_connection() {
    if (seed == nullptr) {
      seed = connect(options->endpoint);
      if (closed) seed->close();
    }
    return *seed;
  }

  void session_opened(bool cluster) {
    if (options->cluster == ClusterMode::kOff || !cluster) {
      if (mode == Mode::kUnknown) mode = Mode::kStandalone;
      return;
    }
    found_cluster();
  }

  void found_cluster() {
    if (std::exchange(mode, Mode::kCluster) != Mode::kCluster) {
      logger().info("Redis is a cluster", {{"address", options->endpoint.address()}});
    }
    refresh_soon();
  }

  std::shared_ptr<Connection> node(const NodeAddress& address) {
    auto& slot = nodes[address];
    if (slot == nullptr) {
      RedisEndpoint endpoint = options->endpoint;
      endpoint.host = address.host;
      endpoint.port = address.port;
      slot = connect(std::move(endpoint));
      if (closed) slot->close();
    }
    return slot;
  }

  std::shared_ptr<Connection> any_node() {
    seed_connection();
    if (seed->ready()) return seed;
    for (const auto& [address, connection] : nodes) {
      if (connection->ready()) return connection;
    }
    return seed;
  }

  std::shared_ptr<Connection> route(const Command& command) {
    if (mode == Mode::kCluster) {
      if (const auto slot = command.slot(); slot) {
        if (const NodeAddress* const owner = slots.find(*slot); owner != nullptr) {
          return node(*owner);
        }
      }
      return any_node();
    }
    seed_connection();
    return seed;
  }

  /// The reply's redirect, followed by later commands too; empty when it is none.
  std::optional<Redirect> redirect(const Reply& reply, const Connection& asked) {
    if (!reply.is_error() || options->cluster == ClusterMode::kOff) return std::nullopt;
    auto to = parse_redirect(reply.text, asked.endpoint().host);
    if (!to) return std::nullopt;
    if (to->kind == Redirect::Kind::kMoved) {
      slots.assign(to->slot, to->slot, to->to);
      found_cluster();
    }
    return to;
  }

  void refresh_soon() {
    const auto now = std::chrono::steady_clock::now();
    if (refreshing || closed || now - last_refresh < kRefreshEvery) return;
    refreshing = true;
    loop.spawn("redis cluster map",
               [weak = weak_from_this()] { return refresh_in_background(weak); });
  }

  static Aw<void> refresh_in_background(std::weak_ptr<Core> weak) {
    const auto refreshed = co_await refresh(weak);
    const auto core = weak.lock();
    if (core == nullptr) co_return;
    core->refreshing = false;
    if (!refreshed && !core->closed) {
      logger().debug("the Redis cluster map could not be read",
                     {{"error", refreshed.error().message}});
    }
  }

  /// Asks the nodes in turn until one describes the cluster, and closes what is no longer part of
  /// it.
  static Task<void> refresh(std::weak_ptr<Core> weak) {
    std::vector<std::optional<NodeAddress>> to_ask;  // empty: the URL's server
    if (const auto core = weak.lock(); core != nullptr) {
      for (const auto& [address, connection] : core->nodes) {
        if (connection->ready()) to_ask.push_back(address);
      }
      to_ask.push_back(std::nullopt);
    }
    Error last = fail(Errc::kUnavailable, "the Redis client is closed").error();
    for (const auto& address : to_ask) {
      Connection* asked = nullptr;
      SteadyTime until;
      if (const auto core = weak.lock(); core != nullptr) {
        asked = address ? core->node(*address).get() : &core->seed_connection();
        until = core->deadline();
      } else {
        break;
      }
      auto map = co_await read_map(*asked, until);
      const auto core = weak.lock();
      if (core == nullptr) break;
      core->last_refresh = std::chrono::steady_clock::now();
      if (map) {
        core->adopt(std::move(*map));
        co_return Result<void>{};
      }
      last = std::move(map.error());
    }
    co_return std::unexpected(std::move(last));
  }

  void adopt(SlotMap map) {
    slots = std::move(map);
    const std::vector<NodeAddress> current = slots.primaries();
    std::vector<std::shared_ptr<Connection>> gone;
    std::erase_if(nodes, [&](const auto& entry) {
      if (std::ranges::find(current, entry.first) != current.end()) return false;
      gone.push_back(entry.second);
      return true;
    });
    for (const auto& old : gone) old->close();
  }

  static Task<SlotMap> read_map(Connection& connection, SteadyTime deadline) {
    const std::string host = connection.endpoint().host;
    const bool tls = connection.endpoint().tls;
    Command shards{"CLUSTER", "SHARDS"};
    ASAHI_CO_TRY(Reply reply, co_await send_command(connection, shards.take_wire(), deadline));
    if (!reply.is_error()) co_return SlotMap::from_shards(reply, host, tls);
    Command slots{"CLUSTER", "SLOTS"};
    ASAHI_CO_TRY(reply, co_await send_command(connection, slots.take_wire(), deadline));
    if (reply.is_error()) co_return std::unexpected(redis_error(reply));
    co_return SlotMap::from_slots(reply, host);
  }

  /// Which server the subscriber tries next: the URL's, and in a cluster each primary in turn.
  RedisEndpoint pick_endpoint() {
    RedisEndpoint endpoint = options->endpoint;
    const std::size_t turn = picks++;
    if (mode != Mode::kCluster || turn == 0) return endpoint;
    const auto all = slots.primaries();
    if (all.empty()) return endpoint;
    endpoint.host = all[turn % all.size()].host;
    endpoint.port = all[turn % all.size()].port;
    return endpoint;
  }

  net::Loop& loop;
  const std::shared_ptr<const RedisOptions> options;
  Mode mode = Mode::kUnknown;
  bool closed = false;
  std::shared_ptr<Connection> seed;  ///< to the server of the URL
  std::map<NodeAddress, std::shared_ptr<Connection>> nodes;
  SlotMap slots;
  bool refreshing = false;
  SteadyTime last_refresh{};
  std::shared_ptr<Subscriber> subscriber;
  std::size_t picks = 0;
};

RedisClient::RedisClient(net::Loop& loop, RedisOptions options)
    : core_(std::make_shared<Core>(loop, std::move(options))) {}

RedisClient::~RedisClient() {
  net::Loop& loop = core_->loop;
  if (net::Loop::current() == &loop) {
    core_->close();
  } else {
    loop.post([core = std::move(core_)] { core->close(); });
  }
}

Task<Reply> RedisClient::command(std::vector<std::string> args) { return run(Command(args)); }

Task<Reply> RedisClient::run(Command command) {
  if (command.refused()) co_return needs_own(command.wire());
  Core* const core = core_.get();
  const SteadyTime deadline = core->deadline();
  Connection* connection = core->route(command).get();
  bool asking = false;
  for (int redirects = 0;; ++redirects) {
    // Only a server that may redirect needs the bytes twice.
    std::string wire = core->mode == Core::Mode::kStandalone ? command.take_wire() : command.wire();
    auto reply = co_await send_command(*connection, std::move(wire), deadline, asking);
    if (!reply) {
      if (core->mode == Core::Mode::kCluster) core->refresh_soon();
      co_return std::unexpected(std::move(reply.error()));
    }
    if (!reply->is_error()) co_return std::move(*reply);
    const bool last = redirects == kMaxRedirects || command.wire().empty();
    if (const auto to = core->redirect(*reply, *connection); to && !last) {
      connection = core->node(to->to).get();
      asking = to->kind == Redirect::Kind::kAsk;
      continue;
    }
    if (reply->text.starts_with("TRYAGAIN") && !last) {
      boost::asio::steady_timer pause(core->loop.io(), kTryAgainPause);
      co_await pause.async_wait(boost::asio::as_tuple(use_aw));
      continue;
    }
    // A primary that became a replica behind the same name: connect anew to find the new one.
    if (reply->text.starts_with("READONLY")) connection->reconnect("it became a replica");
    co_return std::unexpected(redis_error(*reply));
  }
}

Aw<std::vector<Result<Reply>>> RedisClient::batch(std::vector<Command> commands) {
  using Results = std::vector<Result<Reply>>;
  Core* const core = core_.get();
  const SteadyTime deadline = core->deadline();

  /// Owned by the handlers alone: what waits must not own what wakes it.
  struct Gathering {
    Results results;
    std::size_t left = 1;  ///< one for the loop that submits
    std::move_only_function<void(Results)> done;
  };
  const auto submit_all = [core, &commands, deadline](auto handler) {
    auto gathering = std::make_shared<Gathering>();
    gathering->results.resize(commands.size());
    gathering->done = [handler = std::move(handler)](Results results) mutable {
      std::move(handler)(std::move(results));
    };
    for (std::size_t i = 0; i < commands.size(); ++i) {
      Result<Reply>& result = gathering->results[i];
      if (commands[i].refused()) {
        result = needs_own(commands[i].wire());
        continue;
      }
      const auto connection = core->route(commands[i]);
      if (auto refusal = connection->refusal()) {
        result = std::unexpected(std::move(*refusal));
        continue;
      }
      ++gathering->left;
      connection->submit(commands[i].wire(), deadline, [gathering, i](Result<Reply> reply) {
        gathering->results[i] = std::move(reply);
        if (--gathering->left == 0) gathering->done(std::move(gathering->results));
      });
    }
    if (--gathering->left == 0) {
      boost::asio::post(core->loop.io(),
                        [gathering] { gathering->done(std::move(gathering->results)); });
    }
  };
  Results results =
      co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                           void(Results)>(submit_all, use_aw);

  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i] || !results[i]->is_error()) continue;
    const std::string_view text = results[i]->text;
    const bool elsewhere =
        text.starts_with("MOVED ") || text.starts_with("ASK ") || text.starts_with("TRYAGAIN");
    if (elsewhere && core->options->cluster != ClusterMode::kOff) {
      if (core->mode != Core::Mode::kCluster) core->found_cluster();
      results[i] = co_await run(std::move(commands[i]));
    } else {
      results[i] = std::unexpected(redis_error(*results[i]));
    }
  }
  co_return results;
}

Task<Reply> RedisClient::eval(Script script, std::vector<std::string> keys,
                              std::vector<std::string> args) {
  const std::string key_count = std::to_string(keys.size());
  const auto make = [&](std::string_view name, std::string_view body) {
    std::vector<std::string> all{std::string(name), std::string(body), key_count};
    all.insert(all.end(), keys.begin(), keys.end());
    all.insert(all.end(), args.begin(), args.end());
    return Command(all);
  };
  auto reply = co_await run(make("EVALSHA", script.sha1()));
  if (reply || reply.error().reason != "NOSCRIPT") co_return reply;
  // EVAL runs the source and leaves it loaded, on the very node that lacked it.
  co_return co_await run(make("EVAL", script.source()));
}

Task<std::vector<NodeAddress>> RedisClient::primaries() {
  Core* const core = core_.get();
  if (core->mode == Core::Mode::kUnknown && core->options->cluster == ClusterMode::kAuto) {
    // The first session tells the mode; any command brings it about.
    Command ping{"PING"};
    if (auto pong = co_await run(std::move(ping)); !pong) {
      co_return std::unexpected(std::move(pong.error()));
    }
  }
  if (core->mode != Core::Mode::kCluster) {
    co_return std::vector<NodeAddress>{
        {core->options->endpoint.host, core->options->endpoint.port}};
  }
  auto nodes = core->slots.primaries();
  if (nodes.empty()) {
    if (auto read = co_await Core::refresh(core_); !read) {
      co_return std::unexpected(std::move(read.error()));
    }
    nodes = core->slots.primaries();
  }
  if (nodes.empty()) {
    co_return fail(Errc::kUnavailable, "no node of the Redis cluster serves any slot yet");
  }
  co_return nodes;
}

bool RedisClient::cluster() const { return core_->mode == Core::Mode::kCluster; }

Task<Reply> RedisClient::run_at(NodeAddress node, Command command) {
  Core* const core = core_.get();
  core->seed_connection();
  Connection* const connection =
      (core->mode == Core::Mode::kCluster ? core->node(node) : core->seed).get();
  ASAHI_CO_TRY(Reply reply,
               co_await send_command(*connection, command.take_wire(), core->deadline()));
  if (reply.is_error()) co_return std::unexpected(redis_error(reply));
  co_return reply;
}

RedisClient::Subscription RedisClient::subscribe(
    std::string channel, std::function<void(std::string_view payload)> on_message,
    std::function<void()> on_active) {
  if (core_->subscriber == nullptr) {
    core_->subscriber = std::make_shared<Subscriber>(
        core_->loop, core_->options, [core = std::weak_ptr<Core>(core_)] {
          const auto alive = core.lock();
          return alive != nullptr ? alive->pick_endpoint() : RedisEndpoint{};
        });
  }
  const std::uint64_t id =
      core_->subscriber->add(std::move(channel), std::move(on_message), std::move(on_active));
  return Subscription([subscriber = std::weak_ptr<Subscriber>(core_->subscriber), id] {
    if (const auto alive = subscriber.lock()) alive->remove(id);
  });
}

std::shared_ptr<RedisClients> make_redis_clients(net::LoopPool& loops,
                                                 const RedisOptions& options) {
  return std::make_shared<RedisClients>(
      loops, [&options](net::Loop& loop) { return std::make_unique<RedisClient>(loop, options); });
}

}  // namespace asahi::cache
