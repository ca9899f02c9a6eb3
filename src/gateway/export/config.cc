#include "gateway/export/config.h"

#include <fmt/format.h>

namespace asahi::gateway {
namespace {

bool is_http(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

void check_url(config::Binder& binder, const char* path, const std::string& url) {
  const std::size_t at = url.find('@');
  if (at != std::string::npos && at < url.find('/', url.find("//") + 2)) {
    binder.fault({.path = path,
                  .value = "***",
                  .rule = "must not hold a password: set the token in its own variable",
                  .origin = ""});
  } else if (!url.empty() && !is_http(url)) {
    binder.fault(
        {.path = path, .value = url, .rule = "must begin with http:// or https://", .origin = ""});
  }
}

}  // namespace

void bind(config::Binder& binder, ExportConfig& c) {
  auto section = binder.section("observability");
  section.value("enabled", c.enabled, {.help = "send metrics to the receivers below"});
  section.value("collection_interval_seconds", c.collection_interval_seconds,
                {.min = 1, .max = 3600, .help = "between two snapshots that are sent"});
  section.value("export_timeout_seconds", c.export_timeout_seconds,
                {.min = 0.1, .max = 60, .help = "of one delivery"});
  section.value("export_buffer_kilobytes", c.export_buffer_kilobytes,
                {.min = 64, .max = 1'048'576, .help = "snapshots that wait for a receiver"});
  section.value("influx_url", c.influx_url, {.env = {"INFLUX_URL"}, .help = "origin of InfluxDB"});
  section.value("influx_token", c.influx_token, {.env = {"INFLUX_TOKEN"}, .help = "for InfluxDB"});
  section.value("influx_org", c.influx_org,
                {.env = {"INFLUX_ORG"}, .help = "organisation in InfluxDB 2"});
  section.value("influx_bucket", c.influx_bucket,
                {.env = {"INFLUX_BUCKET"}, .help = "bucket of InfluxDB 2; empty: version 1"});
  section.value("influx_database", c.influx_database,
                {.env = {"INFLUX_DATABASE"}, .help = "database of InfluxDB 1"});
  section.value("remote_write_url", c.remote_write_url,
                {.env = {"PROM_REMOTE_WRITE_URL"}, .help = "Prometheus remote write receiver"});
  section.value("remote_write_user", c.remote_write_user,
                {.env = {"PROM_REMOTE_WRITE_USER"}, .help = "with it the token is a password"});
  section.value("remote_write_token", c.remote_write_token,
                {.env = {"PROM_REMOTE_WRITE_TOKEN"}, .help = "for that receiver"});
  check_url(binder, "observability.influx_url", c.influx_url);
  check_url(binder, "observability.remote_write_url", c.remote_write_url);
  if (!c.influx_bucket.empty() && c.influx_org.empty()) {
    binder.fault({.path = "observability.influx_org",
                  .value = "",
                  .rule = "must be set with observability.influx_bucket",
                  .origin = ""});
  }
}

void bind(config::Binder& binder, EventStreamConfig& c) {
  auto section = binder.section("tracking");
  section.value("enable_kafka", c.enabled,
                {.env = {"ENABLE_KAFKA"}, .help = "send every event to Kafka"});
  section.value("kafka_bootstrap_servers", c.bootstrap_servers,
                {.min = 1, .env = {"KAFKA_BOOTSTRAP_SERVERS"}, .help = "host:port, several"});
  section.value("kafka_topic", c.topic,
                {.min = 1, .max = 249, .env = {"KAFKA_TOPIC"}, .help = "topic of events"});
  section.value("kafka_buffer_events", c.buffer_events,
                {.min = 100, .max = 1e7, .help = "events that wait for a broker"});
  section.value("kafka_buffer_kilobytes", c.buffer_kilobytes,
                {.min = 1'024, .max = 2'097'151, .help = "the same by their size"});
  section.value("kafka_give_up_seconds", c.give_up_seconds,
                {.min = 1, .max = 86'400, .help = "events that no broker took are lost"});
  section.value("kafka_compression", c.compression,
                {.one_of = {"none", "gzip", "snappy", "lz4", "zstd"}, .help = "of messages"});
  section.value("kafka_security_protocol", c.security_protocol,
                {.one_of = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"},
                 .env = {"KAFKA_SECURITY_PROTOCOL"},
                 .help = "how brokers are spoken to"});
  section.value("kafka_sasl_mechanism", c.sasl_mechanism,
                {.one_of = {"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"},
                 .env = {"KAFKA_SASL_MECHANISM"},
                 .help = "how the gateway logs in there"});
  section.value("kafka_sasl_username", c.sasl_username,
                {.env = {"KAFKA_SASL_USERNAME"}, .help = "as whom"});
  section.value("kafka_sasl_password", c.sasl_password,
                {.env = {"KAFKA_SASL_PASSWORD"}, .help = "with which password"});
  section.value("kafka_ca_file", c.ca_file,
                {.env = {"KAFKA_CA_FILE"}, .help = "PEM of the brokers' CA; empty: the system's"});
}

}  // namespace asahi::gateway
