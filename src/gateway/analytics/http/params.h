#pragma once

#include <string_view>

#include "gateway/analytics/compute/window.h"
#include "net/http/query_params.h"

namespace asahi::gateway::analytics {

/// Query parameters of one request for figures.
class Params : public http::QueryParams {
 public:
  using QueryParams::QueryParams;

  /// `period`, `from` and `to`.
  Result<WindowWish> window(std::string_view fallback) const;
};

}  // namespace asahi::gateway::analytics
