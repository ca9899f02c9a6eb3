#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/http/client.h"

namespace asahi::gateway {

/// "name=value,name2=value2" with percent-encoded values, as OTEL_EXPORTER_OTLP_HEADERS and
/// OTEL_RESOURCE_ATTRIBUTES have it. Blanks around names and values do not count.
/// Errors: invalid_argument, without the values, which may be secret.
Result<std::vector<std::pair<std::string, std::string>>> parse_pairs(std::string_view text);

/// Where spans are sent: an origin and the path below it.
struct OtlpTarget {
  http::Origin origin;
  std::string target;
};
/// `traces_endpoint` as it is, else `endpoint` + "/v1/traces". Errors: invalid_argument.
Result<OtlpTarget> otlp_target(const std::string& endpoint, const std::string& traces_endpoint);

}  // namespace asahi::gateway
