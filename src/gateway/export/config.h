#pragma once

#include <cstddef>
#include <string>

#include "base/config/loader.h"
#include "base/secret.h"

namespace asahi::gateway {

/// `observability`: where metrics are sent, beside being scraped. Empty URLs: nowhere.
struct ExportConfig {
  bool enabled = true;                      ///< false: nothing is sent, whatever the URLs say
  double collection_interval_seconds = 10;  ///< between two snapshots, 1 to 3600
  double export_timeout_seconds = 5;        ///< of one delivery, 0.1 to 60
  std::size_t export_buffer_kilobytes =
      8'192;  ///< snapshots that wait for a receiver, 64 to 1048576

  /// InfluxDB: its origin, such as http://influx:8086 (INFLUX_URL). With a bucket the API of
  /// version 2 is spoken, else that of version 1.
  std::string influx_url;
  Secret influx_token;        ///< of version 2, or `user:password` of version 1 (INFLUX_TOKEN)
  std::string influx_org;     ///< of version 2 (INFLUX_ORG)
  std::string influx_bucket;  ///< (INFLUX_BUCKET)
  std::string influx_database = "asahi";  ///< of version 1 (INFLUX_DATABASE)

  /// Prometheus remote write: the whole URL of the receiver (PROM_REMOTE_WRITE_URL).
  std::string remote_write_url;
  std::string remote_write_user;  ///< with it the token is a password (PROM_REMOTE_WRITE_USER)
  Secret remote_write_token;      ///< bearer token, or that password (PROM_REMOTE_WRITE_TOKEN)

  bool influx() const { return enabled && !influx_url.empty(); }
  bool remote_write() const { return enabled && !remote_write_url.empty(); }
};

/// `tracking.*kafka*`: every event as JSON to a Kafka topic.
struct EventStreamConfig {
  bool enabled = false;                              ///< tracking.enable_kafka (ENABLE_KAFKA)
  std::string bootstrap_servers = "localhost:9092";  ///< KAFKA_BOOTSTRAP_SERVERS
  std::string topic = "asahi_inference_events";      ///< KAFKA_TOPIC
  std::size_t buffer_events = 100'000;    ///< waiting for a broker; more are lost, 100 to 10000000
  std::size_t buffer_kilobytes = 65'536;  ///< the same in bytes, 1024 to 2097151
  double give_up_seconds = 300;           ///< events that no broker took are lost, 1 to 86400
  std::string compression = "lz4";        ///< none, gzip, snappy, lz4, zstd
  std::string security_protocol = "plaintext";  ///< KAFKA_SECURITY_PROTOCOL
  std::string sasl_mechanism;                   ///< KAFKA_SASL_MECHANISM
  std::string sasl_username;                    ///< KAFKA_SASL_USERNAME
  Secret sasl_password;                         ///< KAFKA_SASL_PASSWORD
  std::string ca_file;                          ///< PEM; KAFKA_CA_FILE
};

void bind(config::Binder& binder, ExportConfig& config);
void bind(config::Binder& binder, EventStreamConfig& config);

}  // namespace asahi::gateway
