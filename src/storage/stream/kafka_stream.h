#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "storage/stream/message_stream.h"
#include "telemetry/metrics.h"

namespace asahi::stream {

struct KafkaOptions {
  std::string bootstrap_servers = "localhost:9092";  ///< host:port, comma separated
  std::string topic;
  /// Messages (and bytes) that wait for a broker at most; more are lost and counted.
  std::size_t max_messages = 100'000;
  std::size_t max_kilobytes = 65'536;
  /// A message that no broker took for so long is lost and counted.
  std::chrono::milliseconds give_up{300'000};
  std::string compression = "lz4";  ///< none, gzip, snappy, lz4 or zstd
  /// plaintext, ssl, sasl_plaintext or sasl_ssl.
  std::string security_protocol = "plaintext";
  std::string sasl_mechanism;  ///< PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
  std::string sasl_username;
  Secret sasl_password;
  std::string ca_file;  ///< PEM; empty: the system's
};

/// A producer of Kafka (librdkafka, loaded here at the first use). Every message is acknowledged by
/// all in-sync replicas (acks=all), and one request is in flight at a time, so that a repeated one
/// cannot overtake another: order holds, duplicates are possible, and readers know them by the
/// event's id. Brokers may be away, at the start too. Counts
/// `asahi_event_stream_delivered_total`, `asahi_event_stream_dropped_total{reason}` (buffer_full,
/// timeout, refused) and shows `asahi_event_stream_buffered`. Errors: unavailable (the library is
/// missing), invalid_argument (settings that it refuses).
Result<std::unique_ptr<MessageStream>> open_kafka(const KafkaOptions& options,
                                                  telemetry::Registry& metrics);

}  // namespace asahi::stream
