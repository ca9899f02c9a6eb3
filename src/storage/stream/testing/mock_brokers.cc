#include "storage/stream/testing/mock_brokers.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <atomic>
#include <stdexcept>

namespace asahi::stream::testing {
namespace {

rd_kafka_t* make(rd_kafka_type_t type,
                 const std::vector<std::pair<const char*, std::string>>& settings) {
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings)
    rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size());
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  rd_kafka_t* made = rd_kafka_new(type, conf, error.data(), error.size());
  if (made == nullptr) throw std::runtime_error(error.data());
  return made;
}

constexpr std::int16_t kProduce = 0;  // Kafka's number of the request

}  // namespace

struct MockBrokers::Impl {
  explicit Impl(int brokers) : count(brokers) {
    owner = make(RD_KAFKA_PRODUCER, {{"client.id", "mock-owner"}});
    cluster = rd_kafka_mock_cluster_new(owner, brokers);
    if (cluster == nullptr) throw std::runtime_error("no mock cluster");
  }
  ~Impl() {
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
  }
  int count;
  rd_kafka_t* owner = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;
};

MockBrokers::MockBrokers(int count) : impl_(std::make_unique<Impl>(count)) {}
MockBrokers::~MockBrokers() = default;

std::string MockBrokers::bootstrap_servers() const {
  return rd_kafka_mock_cluster_bootstraps(impl_->cluster);
}

void MockBrokers::stop() {
  for (int id = 1; id <= impl_->count; ++id) rd_kafka_mock_broker_set_down(impl_->cluster, id);
}

void MockBrokers::start() {
  for (int id = 1; id <= impl_->count; ++id) rd_kafka_mock_broker_set_up(impl_->cluster, id);
}

void MockBrokers::refuse_next(int count) {
  const std::vector<rd_kafka_resp_err_t> errors(static_cast<std::size_t>(count),
                                                RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
  rd_kafka_mock_push_request_errors_array(impl_->cluster, kProduce, errors.size(), errors.data());
}

std::vector<MockBrokers::Message> MockBrokers::read(const std::string& topic, std::size_t expected,
                                                    std::chrono::milliseconds limit) {
  // A group of its own each time: every reading begins at the beginning.
  static std::atomic<int> readings{0};
  rd_kafka_t* consumer =
      make(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstrap_servers()},
                               {"group.id", "reader-" + std::to_string(++readings)},
                               {"auto.offset.reset", "earliest"},
                               {"session.timeout.ms", "6000"}});
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic.c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(consumer, topics);
  std::vector<Message> all;
  const auto end = std::chrono::steady_clock::now() + limit;
  while (all.size() < expected && std::chrono::steady_clock::now() < end) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      all.push_back({std::string(static_cast<const char*>(message->key), message->key_len),
                     std::string(static_cast<const char*>(message->payload), message->len)});
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_topic_partition_list_destroy(topics);
  rd_kafka_destroy(consumer);
  return all;
}

}  // namespace asahi::stream::testing
