// The client against a real redis-server: entering it, its absence, its slowness.
#include "storage/cache/redis_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/testing/certificate.h"
#include "net/testing/raw_socket.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::cache {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisServer;
using Steady = std::chrono::steady_clock;

constexpr const char* kHelloReply = "%1\r\n+mode\r\n+standalone\r\n";

/// Repeats `probe` until it holds; false after ten seconds.
template <class Probe>
bool eventually(Probe probe) {
  const auto deadline = Steady::now() + 10s;
  while (!probe()) {
    if (Steady::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

class RedisClientTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    loops_.start();
  }

  void connect(const std::string& url) {
    auto endpoint = parse_redis_url(url);
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    options_.endpoint = *endpoint;
    client_ = std::make_unique<RedisClient>(loops_.at(0), options_);
  }
  Result<Reply> command(std::vector<std::string> args) {
    return on_loop(loops_.at(0), [&] { return client_->command(args); });
  }
  std::string text(std::vector<std::string> args) {
    const auto reply = command(std::move(args));
    return reply ? reply->text : "failed: " + reply.error().message;
  }

  net::LoopPool loops_{1};
  RedisOptions options_;
  std::unique_ptr<RedisClient> client_;
};

TEST_F(RedisClientTest, EntersWithUserPasswordDatabaseAndName) {
  RedisServer server(
      {"--user", "default", "off", "--user", "ann", "on", ">p@ss", "~*", "&*", "+@all"});
  connect(fmt::format("redis://ann:p%40ss@127.0.0.1:{}/3", server.port()));
  EXPECT_EQ(text({"SET", "k", "v"}), "OK");
  EXPECT_EQ(text({"ACL", "WHOAMI"}), "ann");
  const std::string list = text({"CLIENT", "LIST"});
  EXPECT_TRUE(list.contains("name=asahi")) << list;
  EXPECT_TRUE(list.contains("db=3")) << list;
  EXPECT_TRUE(list.contains("resp=3")) << list;
}

TEST_F(RedisClientTest, EntersWithAPasswordAlone) {
  RedisServer server({"--requirepass", "secret"});
  connect(fmt::format("redis://:secret@127.0.0.1:{}", server.port()));
  EXPECT_EQ(text({"PING"}), "PONG");
}

TEST_F(RedisClientTest, RefusedCredentialsAreUnavailableAndNotRepeated) {
  RedisServer server({"--requirepass", "secret"});
  connect(fmt::format("redis://:hunter2@127.0.0.1:{}", server.port()));
  const auto reply = command({"PING"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
  EXPECT_TRUE(reply.error().message.contains("WRONGPASS")) << reply.error().message;
  EXPECT_FALSE(reply.error().message.contains("hunter2")) << reply.error().message;
}

TEST_F(RedisClientTest, SpeaksTheOlderProtocolWhenHelloIsUnknown) {
  RedisServer server({"--rename-command", "HELLO", "", "--requirepass", "secret"});
  connect(fmt::format("redis://:secret@127.0.0.1:{}/2", server.port()));
  EXPECT_EQ(text({"SET", "k", "v"}), "OK");
  const std::string list = text({"CLIENT", "LIST"});
  EXPECT_TRUE(list.contains("name=asahi")) << list;
  EXPECT_TRUE(list.contains("db=2")) << list;
  EXPECT_TRUE(list.contains("resp=2")) << list;
}

TEST_F(RedisClientTest, ConnectsToALocalSocket) {
  RedisServer server;
  connect(server.unix_url());
  EXPECT_EQ(text({"PING"}), "PONG");
}

TEST_F(RedisClientTest, EncryptsAndVerifiesTheServer) {
  const net_testing::TemporaryCertificate certificate("127.0.0.1");
  const std::uint16_t tls_port = cache_testing::free_port();
  RedisServer server({"--tls-port", std::to_string(tls_port), "--tls-cert-file",
                      certificate.certificate_file(), "--tls-key-file",
                      certificate.private_key_file(), "--tls-auth-clients", "no"});
  const std::string url = fmt::format("rediss://127.0.0.1:{}", tls_port);
  connect(url);
  EXPECT_EQ(command({"PING"}).error().code, Errc::kUnavailable);  // nobody vouches for it
  options_.ca_file = certificate.certificate_file();
  connect(url);
  EXPECT_EQ(text({"PING"}), "PONG");
}

TEST_F(RedisClientTest, AnErrorReplyIsAFailureWithItsWord) {
  RedisServer server;
  connect(server.url());
  EXPECT_EQ(text({"SET", "k", "v"}), "OK");
  const auto reply = command({"LPUSH", "k", "x"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUpstream);
  EXPECT_EQ(reply.error().reason, "WRONGTYPE");
  EXPECT_EQ(text({"GET", "k"}), "v");
}

TEST_F(RedisClientTest, RefusesCommandsThatWouldDisturbTheOthers) {
  RedisServer server;
  connect(server.url());
  const auto reply = command({"SUBSCRIBE", "c"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(reply.error().message.contains("SUBSCRIBE")) << reply.error().message;
  EXPECT_FALSE(command({}));
  EXPECT_EQ(text({"PING"}), "PONG");
}

TEST_F(RedisClientTest, ABatchAnswersEachCommandInOrder) {
  RedisServer server;
  connect(server.url());
  const auto replies = on_loop(loops_.at(0), [&] {
    std::vector<Command> commands;
    commands.push_back(Command{"SET", "k", "v"});
    commands.push_back(Command{"LPUSH", "k", "x"});
    commands.push_back(Command{"MULTI"});
    commands.push_back(Command{"GET", "k"});
    return client_->batch(std::move(commands));
  });
  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(replies[0]->text, "OK");
  EXPECT_EQ(replies[1].error().reason, "WRONGTYPE");
  EXPECT_EQ(replies[2].error().code, Errc::kInvalidArgument);
  EXPECT_EQ(replies[3]->text, "v");
  EXPECT_TRUE(on_loop(loops_.at(0), [&] { return client_->batch({}); }).empty());
}

TEST_F(RedisClientTest, PipelinesWhatRunsAtOnce) {
  RedisServer server;
  connect(server.url());
  EXPECT_EQ(text({"PING"}), "PONG");
  const auto reads = [&] {
    const std::string info = server.command({"INFO", "stats"}).text;
    const auto at = info.find("total_reads_processed:");
    return std::stoul(info.substr(at + 22));
  };
  const auto before = reads();
  in_parallel(loops_, 500, [&](std::size_t) -> Aw<void> {
    const auto reply = co_await client_->command({"PING"});
    EXPECT_TRUE(reply);
  });
  EXPECT_LT(reads() - before, 100u);  // 500 commands in far fewer reads
}

TEST_F(RedisClientTest, LoadsAScriptWhereItIsMissing) {
  RedisServer server;
  connect(server.url());
  const Script script("return {KEYS[1], ARGV[1]}");
  const auto run = [&] {
    return on_loop(loops_.at(0), [&] { return client_->eval(script, {"k"}, {"a"}); });
  };
  for (int round = 0; round < 2; ++round) {
    const auto first = run();
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->items[1].text, "a");
    EXPECT_TRUE(run());
    EXPECT_EQ(server.command({"SCRIPT", "EXISTS", script.sha1()}).items[0].integer, 1);
    server.command({"SCRIPT", "FLUSH"});
  }
}

TEST_F(RedisClientTest, FailsFastWhileTheServerIsAwayAndRecoversByItself) {
  RedisServer server;
  options_.backoff_cap = 200ms;
  connect(server.url());
  EXPECT_EQ(text({"SET", "n", "0"}), "OK");

  std::atomic<bool> enough = false;
  std::atomic<int> worked = 0;
  std::atomic<int> failed = 0;
  std::atomic<std::int64_t> slowest_ms = 0;
  std::thread load([&] {
    in_parallel(loops_, 16, [&](std::size_t) -> Aw<void> {
      while (!enough) {
        const auto start = Steady::now();
        const auto reply = co_await client_->command({"INCR", "n"});
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - start);
        slowest_ms = std::max<std::int64_t>(slowest_ms, took.count());
        if (reply) {
          ++worked;
        } else {
          ++failed;
          EXPECT_TRUE(reply.error().code == Errc::kUnavailable ||
                      reply.error().code == Errc::kTimeout)
              << reply.error().message;
          co_await loops_.at(0).sleep_for(1ms);  // refusals cost nothing: let the loop breathe
        }
      }
    });
  });
  EXPECT_TRUE(eventually([&] { return worked > 100; }));
  server.stop();
  EXPECT_TRUE(eventually([&] { return failed > 100; }));
  const auto start = Steady::now();
  EXPECT_EQ(command({"PING"}).error().code, Errc::kUnavailable);
  EXPECT_LT(Steady::now() - start, 100ms);
  server.start();
  const int before = worked;
  EXPECT_TRUE(eventually([&] { return worked > before + 100; }));
  enough = true;
  load.join();
  EXPECT_LT(slowest_ms, 2'000);
}

TEST_F(RedisClientTest, StartsWithoutTheServerAndFindsItLater) {
  RedisServer server;
  server.stop();
  options_.backoff_cap = 100ms;
  connect(server.url());
  EXPECT_EQ(command({"PING"}).error().code, Errc::kUnavailable);
  server.start();
  EXPECT_TRUE(eventually([&] { return command({"PING"}).has_value(); }));
}

TEST_F(RedisClientTest, ASlowServerTimesOutAndStaysInStep) {
  RedisServer server;
  options_.timeout = 100ms;
  connect(server.url());
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(text({"SET", fmt::format("k{}", i), std::to_string(i)}), "OK");
  }
  server.command({"CLIENT", "PAUSE", "1500", "ALL"});
  std::atomic<int> timeouts = 0;
  in_parallel(loops_, 50, [&](std::size_t i) -> Aw<void> {
    const auto start = Steady::now();
    const auto reply = co_await client_->command({"GET", fmt::format("k{}", i)});
    timeouts += !reply && reply.error().code == Errc::kTimeout;
    EXPECT_LT(Steady::now() - start, 1s);
  });
  EXPECT_EQ(timeouts, 50);
  // It owes 50 replies: until they come, nobody waits for it.
  const auto start = Steady::now();
  const auto refused = command({"GET", "k0"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_LT(Steady::now() - start, 90ms);  // not even its own timeout

  EXPECT_TRUE(eventually([&] { return command({"PING"}).has_value(); }));
  in_parallel(loops_, 50, [&](std::size_t i) -> Aw<void> {
    const auto reply = co_await client_->command({"GET", fmt::format("k{}", i)});
    EXPECT_TRUE(reply && reply->text == std::to_string(i));
  });
}

TEST_F(RedisClientTest, GivesUpAServerThatStaysSilentAndConnectsAnew) {
  net_testing::RawListener silent;
  options_.timeout = 50ms;
  options_.stall_limit = 100ms;
  options_.backoff_cap = 50ms;
  std::thread server([&] {
    auto first = silent.accept();
    first.receive_until("SETNAME");
    first.send(kHelloReply);
    EXPECT_TRUE(first.closed_by_peer());  // after the silence
    auto second = silent.accept();
    second.receive_until("SETNAME");
    second.send(kHelloReply);
    second.receive_until("PING");
    second.send("+PONG\r\n");
    EXPECT_TRUE(second.closed_by_peer());
  });
  connect(fmt::format("redis://127.0.0.1:{}", silent.port()));
  EXPECT_EQ(command({"PING"}).error().code, Errc::kTimeout);
  EXPECT_TRUE(eventually([&] { return command({"PING"}).has_value(); }));
  client_.reset();
  server.join();
}

TEST_F(RedisClientTest, AServerThatIsNotRedisIsUnavailable) {
  net_testing::RawListener web;
  std::thread server([&] {
    auto connection = web.accept();
    connection.receive_until("SETNAME");
    connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.closed_by_peer();
  });
  options_.backoff_first = 10s;
  connect(fmt::format("redis://127.0.0.1:{}", web.port()));
  const auto reply = command({"PING"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
  EXPECT_TRUE(reply.error().message.contains("not the Redis protocol")) << reply.error().message;
  server.join();
}

TEST_F(RedisClientTest, BoundsWhatWaits) {
  RedisServer server;
  options_.max_commands = 10;
  options_.timeout = 5s;
  connect(server.url());
  EXPECT_EQ(text({"PING"}), "PONG");
  server.command({"CLIENT", "PAUSE", "500", "ALL"});
  std::atomic<int> refused = 0;
  std::atomic<int> worked = 0;
  in_parallel(loops_, 30, [&](std::size_t) -> Aw<void> {
    const auto reply = co_await client_->command({"PING"});
    if (reply) {
      ++worked;
    } else {
      refused += reply.error().message.contains("max_commands");
    }
  });
  EXPECT_EQ(refused, 20);
  EXPECT_EQ(worked, 10);
}

TEST_F(RedisClientTest, LoopsThatStopFreeWhatStillWaits) {
  RedisServer server;
  options_.timeout = 10s;
  connect(server.url());
  EXPECT_EQ(text({"PING"}), "PONG");
  server.command({"CLIENT", "PAUSE", "1000", "ALL"});
  std::atomic<int> asked = 0;
  for (int i = 0; i < 10; ++i) {
    loops_.at(0).spawn("test", [&]() -> Aw<void> {
      ++asked;
      const auto reply = co_await client_->command({"PING"});
      ADD_FAILURE() << "answered: " << reply.has_value();
    });
  }
  EXPECT_TRUE(eventually([&] { return asked == 10; }));
  loops_.stop();
  client_.reset();
}

class RedisSubscriptionTest : public RedisClientTest {
 protected:
  RedisClient::Subscription subscribe(const std::string& channel) {
    return on_loop(loops_.at(0), [&]() -> Aw<RedisClient::Subscription> {
      co_return client_->subscribe(
          channel,
          [this](std::string_view payload) {
            const std::lock_guard lock(mutex_);
            messages_.emplace_back(payload);
          },
          [this] { ++active_; });
    });
  }
  void unsubscribe(RedisClient::Subscription subscription) {
    on_loop(loops_.at(0), [&]() -> Aw<bool> {
      subscription.reset();
      co_return true;
    });
  }
  std::vector<std::string> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

  std::mutex mutex_;
  std::vector<std::string> messages_;
  std::atomic<int> active_ = 0;
};

TEST_F(RedisSubscriptionTest, HearsItsChannelUntilItEnds) {
  RedisServer server;
  connect(server.url());
  auto subscription = subscribe("asahi:invalidate");
  EXPECT_TRUE(eventually([&] { return active_ == 1; }));
  EXPECT_EQ(command({"PUBLISH", "asahi:invalidate", std::string("a\0b", 3)})->integer, 1);
  EXPECT_EQ(command({"PUBLISH", "other", "x"})->integer, 0);
  EXPECT_TRUE(eventually([&] { return messages().size() == 1; }));
  EXPECT_EQ(messages()[0], std::string("a\0b", 3));
  unsubscribe(std::move(subscription));
  EXPECT_TRUE(
      eventually([&] { return command({"PUBLISH", "asahi:invalidate", "x"})->integer == 0; }));
  EXPECT_EQ(messages().size(), 1u);
}

TEST_F(RedisSubscriptionTest, SubscribesAgainAfterARestart) {
  RedisServer server;
  options_.backoff_cap = 100ms;
  connect(server.url());
  auto one = subscribe("one");
  auto two = subscribe("two");
  EXPECT_TRUE(eventually([&] { return active_ == 2; }));
  server.stop();
  server.start();
  EXPECT_TRUE(eventually([&] { return active_ == 4; }));
  server.command({"PUBLISH", "two", "again"});
  EXPECT_TRUE(eventually([&] { return messages() == std::vector<std::string>{"again"}; }));
  unsubscribe(std::move(one));
  unsubscribe(std::move(two));
}

TEST_F(RedisSubscriptionTest, WorksInTheOlderProtocol) {
  RedisServer server({"--rename-command", "HELLO", ""});
  options_.heartbeat = 1s;  // PING has another reply there
  connect(server.url());
  auto subscription = subscribe("c");
  EXPECT_TRUE(eventually([&] { return active_ == 1; }));
  EXPECT_TRUE(
      eventually([&] { return server.command({"CLIENT", "LIST"}).text.contains("cmd=ping"); }));
  server.command({"PUBLISH", "c", "hello"});
  EXPECT_TRUE(eventually([&] { return messages() == std::vector<std::string>{"hello"}; }));
  EXPECT_EQ(active_, 1);
  unsubscribe(std::move(subscription));
}

TEST_F(RedisSubscriptionTest, LeavesAServerThatFellSilent) {
  net_testing::RawListener silent;
  options_.heartbeat = 30ms;
  std::thread server([&] {
    auto first = silent.accept();
    first.receive_until("SETNAME");
    first.send(kHelloReply);
    first.receive_until("SUBSCRIBE");
    first.send(">3\r\n+subscribe\r\n+c\r\n:1\r\n");
    EXPECT_TRUE(first.closed_by_peer());
    auto second = silent.accept();
    second.receive_until("SETNAME");
    second.send(kHelloReply);
    second.receive_until("SUBSCRIBE");
    second.send(">3\r\n+subscribe\r\n+c\r\n:1\r\n>3\r\n+message\r\n+c\r\n+hi\r\n");
    EXPECT_TRUE(second.closed_by_peer());
  });
  connect(fmt::format("redis://127.0.0.1:{}", silent.port()));
  auto subscription = subscribe("c");
  EXPECT_TRUE(eventually([&] { return messages().size() == 1; }));
  EXPECT_EQ(active_, 2);
  unsubscribe(std::move(subscription));
  client_.reset();
  server.join();
}

}  // namespace
}  // namespace asahi::cache
