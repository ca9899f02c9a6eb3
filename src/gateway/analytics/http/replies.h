#pragma once

#include <vector>

#include "base/json.h"
#include "gateway/analytics/compute/breakdown.h"
#include "gateway/analytics/compute/cache_figures.h"
#include "gateway/analytics/compute/percentiles.h"
#include "gateway/analytics/compute/window.h"
#include "gateway/events/event.h"
#include "net/http/message.h"

namespace asahi::gateway::analytics {

/// Values as the replies of api/openapi.yaml hold them. Whole numbers are written as such.
json::object window_json(const Window& window);
json::object percentiles_json(const Percentiles& percentiles);
json::object cache_json(const Sums& sums, const TiersOn& on);
/// InferenceEvent: every member, null for what is not known.
json::object event_json(const InferenceEvent& event);

/// 200 with `{"data": data}` and the members of `beside`. Never stored by caches on the way.
http::Response data_reply(json::value data, json::object beside = {});

}  // namespace asahi::gateway::analytics
