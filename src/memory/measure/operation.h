#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/measure/errors.h"
#include "net/http/server.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// One kind of work that the memory does, with its series made once (spec/memory §8.2). Copies tell
/// the same series. Thread-safe.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_operations_total | counter; operation_type, status (success, error) |
/// | akosha_operation_duration_seconds | histogram; operation_type |
class Operation {
 public:
  Operation(telemetry::Registry& metrics, const std::string& type);
  void ended(bool ok, std::chrono::nanoseconds took) const;

 private:
  telemetry::Counter *ok_, *failed_;
  telemetry::Histogram* seconds_;
};

/// Bounds of akosha_query_duration_seconds, in seconds (spec/memory §8.1).
const std::vector<double>& query_seconds();

/// What a route is of: the part that its errors are told of, and the kind of its work.
struct RouteKind {
  std::optional<Part> part;  ///< nothing: who does the work counts its errors itself
  std::string_view operation;
};
/// `pattern` as routes are added: behind the memory's mount.
RouteKind kind_of(http::Method method, std::string_view pattern);

/// The requests of the memory, whoever serves it (spec/memory §8.2). Thread-safe.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_http_requests_total | counter; method, endpoint (the route's pattern), status |
/// | akosha_http_request_duration_seconds | histogram; method, endpoint |
class HttpMetrics {
 public:
  /// `mount`: "/memory" where other modules have routes beside the memory's, which are not counted;
  /// empty: all are.
  HttpMetrics(telemetry::Registry& metrics, const Clock& clock, std::string mount);
  /// When a response was written; refusals are requests, too.
  void completed(const http::Context& context, int status) const;

 private:
  telemetry::Registry& metrics_;
  const Clock& clock_;
  const std::string mount_;
};

/// Requests of the memory that are in work: akosha_http_active_requests. Counts while it lives.
class ActiveRequest {
 public:
  explicit ActiveRequest(telemetry::Gauge& gauge) : gauge_(gauge) { gauge_.add(1); }
  ~ActiveRequest() { gauge_.add(-1); }
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;
  static telemetry::Gauge& gauge(telemetry::Registry& metrics);

 private:
  telemetry::Gauge& gauge_;
};

}  // namespace asahi::memory
