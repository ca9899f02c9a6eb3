#include "gateway/analytics/http/params.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace asahi::gateway::analytics {

Result<WindowWish> Params::window(std::string_view fallback) const {
  WindowWish wish;
  wish.period = get("period").value_or(std::string(fallback));
  if (!period_length(wish.period)) {
    return fail_field("period", fmt::format("period is '{}'; it must be one of hour, day, week, "
                                            "month, quarter, 1h, 24h, 7d, 30d, 90d",
                                            mended_utf8(wish.period, 60)));
  }
  ASAHI_TRY(wish.from, time("from"));
  ASAHI_TRY(wish.to, time("to"));
  return wish;
}

}  // namespace asahi::gateway::analytics
