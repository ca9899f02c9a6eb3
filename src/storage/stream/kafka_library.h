#pragma once

#include <librdkafka/rdkafka.h>

#include "base/dynamic_library.h"

namespace asahi::stream {

/// librdkafka: with SASL, zstd and what it brings along it takes 5 MiB and several threads that a
/// gateway without Kafka does without. Loaded by open_kafka; no function may be called before.
inline constinit DynamicLibrary librdkafka{"librdkafka.so.1", "Kafka", "librdkafka1",
                                           "rd_kafka_purge"};

ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_destroy);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_new);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_set);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_set_dr_msg_cb);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_set_error_cb);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_set_log_cb);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_conf_set_opaque);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_destroy);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_err2str);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_flush);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_last_error);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_new);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_outq_len);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_poll);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_produce);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_purge);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_topic_destroy);
ASAHI_DYNAMIC_FUNCTION(librdkafka, rd_kafka_topic_new);

}  // namespace asahi::stream
