#include "storage/stream/kafka_stream.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/scheduling.h"
#include "storage/stream/kafka_library.h"

namespace asahi::stream {
namespace {

constexpr std::size_t kErrorBytes = 512;
constexpr std::chrono::seconds kLastWords{2};  ///< for what is still buffered at the end

/// librdkafka's own settings. Those that may be wrong come from the operator.
class Settings {
 public:
  Settings() : conf_(rd_kafka_conf_new()) {}
  ~Settings() {
    if (conf_ != nullptr) rd_kafka_conf_destroy(conf_);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  void set(const char* name, const std::string& value) {
    if (!fault_.empty() || value.empty()) return;
    std::array<char, kErrorBytes> error{};
    const auto done = rd_kafka_conf_set(conf_, name, value.c_str(), error.data(), error.size());
    // The library repeats the value, which may be a secret.
    if (done != RD_KAFKA_CONF_OK)
      fault_ = fmt::format("librdkafka does not take this value of {}", name);
  }
  const std::string& fault() const { return fault_; }
  rd_kafka_conf_t* get() { return conf_; }
  /// A producer owns them from now on.
  void release() { conf_ = nullptr; }

 private:
  rd_kafka_conf_t* conf_;
  std::string fault_;
};

class KafkaStream final : public MessageStream {
 public:
  explicit KafkaStream(telemetry::Registry& metrics)
      : delivered_(metrics.counter("asahi_event_stream_delivered_total",
                                   "Events that Kafka has acknowledged")),
        buffer_full_(dropped(metrics, "buffer_full")),
        timed_out_(dropped(metrics, "timeout")),
        refused_(dropped(metrics, "refused")),
        buffered_(metrics.gauge("asahi_event_stream_buffered", "Events that wait for Kafka")) {}

  ~KafkaStream() override {
    stop_ = true;
    if (poller_.joinable()) poller_.join();
    if (topic_ != nullptr) {
      rd_kafka_flush(producer_, static_cast<int>(std::chrono::milliseconds(kLastWords).count()));
      const int lost = rd_kafka_outq_len(producer_);
      if (lost > 0) {
        logger_.warning("events in the buffer for Kafka are given up at the end",
                        {{"events", lost}});
      }
      rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
      rd_kafka_topic_destroy(topic_);
    }
    if (producer_ != nullptr) rd_kafka_destroy(producer_);
  }

  Result<void> open(const KafkaOptions& options) {
    Settings settings;
    settings.set("bootstrap.servers", options.bootstrap_servers);
    settings.set("client.id", "asahi");
    settings.set("acks", "all");
    settings.set("max.in.flight.requests.per.connection", "1");
    settings.set("message.timeout.ms", std::to_string(options.give_up.count()));
    settings.set("queue.buffering.max.messages", std::to_string(options.max_messages));
    settings.set("queue.buffering.max.kbytes", std::to_string(options.max_kilobytes));
    settings.set("linger.ms", "20");
    settings.set("reconnect.backoff.ms", "100");
    settings.set("reconnect.backoff.max.ms", "5000");
    settings.set("compression.type", options.compression);
    settings.set("security.protocol", options.security_protocol);
    settings.set("sasl.mechanism", options.sasl_mechanism);
    settings.set("sasl.username", options.sasl_username);
    settings.set("sasl.password", options.sasl_password.reveal());
    settings.set("ssl.ca.location", options.ca_file);
    if (!settings.fault().empty()) return fail(Errc::kInvalidArgument, settings.fault());
    rd_kafka_conf_set_opaque(settings.get(), this);
    rd_kafka_conf_set_dr_msg_cb(settings.get(), &KafkaStream::on_report);
    rd_kafka_conf_set_error_cb(settings.get(), &KafkaStream::on_error);
    // What it logs by itself is said by on_error, at our pace and in our format.
    rd_kafka_conf_set_log_cb(settings.get(),
                             [](const rd_kafka_t*, int, const char*, const char*) {});
    std::array<char, kErrorBytes> error{};
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, settings.get(), error.data(), error.size());
    if (producer_ == nullptr) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("librdkafka does not take these settings: {}", error.data()));
    }
    settings.release();
    topic_ = rd_kafka_topic_new(producer_, options.topic.c_str(), nullptr);
    if (topic_ == nullptr) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'{}' cannot be a Kafka topic: {}", options.topic,
                              rd_kafka_err2str(rd_kafka_last_error())));
    }
    poller_ = std::thread([this] { poll(); });
    return {};
  }

  bool offer(std::string_view key, std::string_view value) override {
    const int refused = rd_kafka_produce(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                         const_cast<char*>(value.data()), value.size(), key.data(),
                                         key.size(), nullptr);
    if (refused == 0) return true;
    const bool full = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    (full ? buffer_full_ : refused_).add();
    return false;
  }

  bool flush(std::chrono::milliseconds limit) override {
    return rd_kafka_flush(producer_, static_cast<int>(limit.count())) == RD_KAFKA_RESP_ERR_NO_ERROR;
  }

 private:
  static telemetry::Counter& dropped(telemetry::Registry& metrics, std::string reason) {
    return metrics.counter("asahi_event_stream_dropped_total",
                           "Events that were not delivered to Kafka",
                           {{"reason", std::move(reason)}});
  }

  /// Serves the library's callbacks; they are on this thread only (and in flush).
  void poll() {
    work_in_background(1);
    while (!stop_) {
      rd_kafka_poll(producer_, 200);
      buffered_.set(rd_kafka_outq_len(producer_));
    }
  }

  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    auto& stream = *static_cast<KafkaStream*>(self);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      stream.delivered_.add();
      if (stream.away_.exchange(false)) stream.logger_.info("Kafka takes events again");
      return;
    }
    const bool late = message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    (late ? stream.timed_out_ : stream.refused_).add();
    stream.say(rd_kafka_err2str(message->err));
  }
  static void on_error(rd_kafka_t*, int code, const char* reason, void* self) {
    static_cast<KafkaStream*>(self)->say(
        fmt::format("{}: {}", rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(code)), reason));
  }
  void say(std::string_view what) {
    away_ = true;
    if (const auto held_back = outage_.pass(std::chrono::steady_clock::now())) {
      logger_.warning("Kafka does not take events; requests go on",
                      {{"error", what}, {"suppressed", *held_back}});
    }
  }

  telemetry::Counter& delivered_;
  telemetry::Counter& buffer_full_;
  telemetry::Counter& timed_out_;
  telemetry::Counter& refused_;
  telemetry::Gauge& buffered_;
  Logger logger_{"kafka"};
  RateLimited outage_{std::chrono::seconds(30)};
  std::atomic<bool> away_{false};
  std::atomic<bool> stop_{false};
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  std::thread poller_;
};

}  // namespace

Result<std::unique_ptr<MessageStream>> open_kafka(const KafkaOptions& options,
                                                  telemetry::Registry& metrics) {
  if (auto loaded = librdkafka.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  auto stream = std::make_unique<KafkaStream>(metrics);
  if (auto opened = stream->open(options); !opened)
    return std::unexpected(std::move(opened.error()));
  return stream;
}

}  // namespace asahi::stream
