#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace asahi::stream::testing {

/// Kafka brokers within this process (librdkafka's mock cluster), and a reader of what they hold.
/// Ordinary threads.
class MockBrokers {
 public:
  struct Message {
    std::string key, value;
  };

  explicit MockBrokers(int count = 1);
  ~MockBrokers();

  /// host:port, comma separated.
  std::string bootstrap_servers() const;
  /// Closes every connection and takes no new ones until `start`.
  void stop();
  void start();
  /// The next `count` requests to store messages are refused for now (too few replicas).
  void refuse_next(int count);
  /// Everything in the topic from its beginning, as soon as there are `expected`, or what there is
  /// after `limit`.
  std::vector<Message> read(const std::string& topic, std::size_t expected,
                            std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::stream::testing
