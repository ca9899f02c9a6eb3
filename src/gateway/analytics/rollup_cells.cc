#include "gateway/analytics/rollup_cells.h"

#include "gateway/analytics/varint.h"

namespace asahi::gateway::analytics {

std::string key_of(Dimension dimension, const InferenceEvent& event) {
  switch (dimension) {
    case Dimension::kNone:
      return {};
    case Dimension::kModel:
      return event.model_selected;
    case Dimension::kTaskType:
      return event.task_type;
    case Dimension::kUser:
      return event.user_id;
    case Dimension::kApiKey:
      return event.api_key_prefix;
    case Dimension::kTier:
      return std::to_string(event.cache_hit ? event.cache_tier : 0);
    case Dimension::kProvider:
      return event.provider;
    case Dimension::kModelTask:
      return event.model_selected + '\x1f' + event.task_type;
    case Dimension::kErrorCode:
      return event.error_code;
    case Dimension::kMode:
      return event.routing_mode;
  }
  return {};
}

std::int64_t start_of(Clock::Time time, Grain grain) {
  return rounded(std::chrono::floor<std::chrono::minutes>(time.time_since_epoch()).count(), grain);
}

std::int64_t kept_from(Dimension dimension, Grain grain, Clock::Time now) {
  switch (grain) {
    case Grain::kMinute:
      return start_of(now - kMinutesKept, Grain::kHour);
    case Grain::kHour:
      return start_of(now - layout(dimension).hours_kept, Grain::kDay);
    case Grain::kDay:
    case Grain::kWeek:
      break;
  }
  return std::numeric_limits<std::int64_t>::min();
}

std::string encode_page(const Page& page, std::int64_t first_number, Latencies latencies) {
  std::string out, sums;
  std::int64_t before = first_number;
  for (const auto& [number, value] : page) {
    sums.clear();
    append_sums(sums, value, latencies);
    append_varint(out, static_cast<std::uint64_t>(number - before));
    append_varint(out, sums.size());
    out += sums;
    before = number;
  }
  return out;
}

Result<Page> parse_page(std::string_view bytes, std::int64_t first_number,
                        const std::vector<bool>* wanted) {
  Page page;
  VarintReader reader(bytes);
  std::int64_t number = first_number;
  while (!reader.done()) {
    number += static_cast<std::int64_t>(reader.next());
    const std::string_view encoded = reader.take(reader.next());
    if (!reader.ok()) return fail(Errc::kCorrupt, "a stored page of rollups cannot be read");
    if (const auto at = static_cast<std::size_t>(number);
        wanted != nullptr && (at >= wanted->size() || !(*wanted)[at]))
      continue;
    ASAHI_TRY(Sums sums, parse_sums(encoded));
    page.emplace_back(number, std::move(sums));
  }
  return page;
}

Result<void> add_costs(std::string_view page, std::int64_t first_number,
                       std::vector<NanoUsd>& costs, std::vector<bool>& seen) {
  constexpr std::int64_t kMostKeys = 100'000'000;
  VarintReader reader(page);
  std::int64_t number = first_number;
  while (!reader.done()) {
    number += static_cast<std::int64_t>(reader.next());
    const std::string_view encoded = reader.take(reader.next());
    const auto cost = parse_cost(encoded);
    if (!reader.ok() || !cost || number < 0 || number > kMostKeys)
      return fail(Errc::kCorrupt, "a stored page of rollups cannot be read");
    const auto at = static_cast<std::size_t>(number);
    if (at >= costs.size()) {
      costs.resize(at + 1 + at / 2);
      seen.resize(costs.size());
    }
    costs[at] += *cost;
    seen[at] = true;
  }
  return {};
}

}  // namespace asahi::gateway::analytics
