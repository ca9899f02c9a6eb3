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

std::int64_t first_start(Dimension dimension, Clock::Time time, Clock::Time now) {
  Grain grain = layout(dimension).finest;
  while (grain < Grain::kDay && start_of(time, grain) < kept_from(dimension, grain, now))
    grain = static_cast<Grain>(static_cast<int>(grain) + 1);
  const std::int64_t start = start_of(time, grain);
  return Clock::Time{std::chrono::minutes(start)} < time ? start + width(grain) : start;
}

namespace {

/// Writes a page key by key, ascending.
class PageWriter {
 public:
  PageWriter(std::int64_t first_number, Latencies latencies)
      : before_(first_number), latencies_(latencies) {}

  void add(std::int64_t number, std::string_view encoded) {
    append_varint(out_, static_cast<std::uint64_t>(number - before_));
    append_varint(out_, encoded.size());
    out_ += encoded;
    before_ = number;
  }
  void add(std::int64_t number, const Sums& sums) {
    sums_.clear();
    append_sums(sums_, sums, latencies_);
    add(number, sums_);
  }
  /// An entry of a page as it stands there, behind the number `before`.
  void keep(std::int64_t before, std::int64_t number, std::string_view entry,
            std::string_view encoded) {
    if (before != before_) return add(number, encoded);  // another came between them
    out_ += entry;
    before_ = number;
  }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_, sums_;
  std::int64_t before_;
  Latencies latencies_;
};

/// Goes on from a key of a page to the next. False where that cannot be one: the bytes are damaged.
bool go_on(std::int64_t& number, std::uint64_t gap) {
  constexpr std::int64_t kMostKeys = 100'000'000;
  if (gap > kMostKeys) return false;
  number += static_cast<std::int64_t>(gap);
  return number >= 0 && number <= kMostKeys;
}

std::unexpected<Error> corrupt_page() {
  return fail(Errc::kCorrupt, "a stored page of rollups cannot be read");
}

}  // namespace

std::string encode_page(const Page& page, std::int64_t first_number, Latencies latencies) {
  PageWriter writer(first_number, latencies);
  for (const auto& [number, sums] : page) writer.add(number, sums);
  return writer.take();
}

Result<std::string> merge_page(std::string_view stored, const Page& added,
                               std::int64_t first_number, Latencies latencies) {
  constexpr std::size_t kMostlyAtMost = 64;  // bytes of an entry without latencies
  PageWriter writer(first_number, latencies);
  writer.reserve(stored.size() + added.size() * kMostlyAtMost);
  auto next = added.begin();
  VarintReader reader(stored);
  std::int64_t number = first_number;
  while (!reader.done()) {
    const std::string_view rest = reader.rest();
    const std::int64_t before = number;
    const bool known = go_on(number, reader.next());
    const std::string_view encoded = reader.take(reader.next());
    if (!known || !reader.ok()) return corrupt_page();
    const std::string_view entry = rest.substr(0, rest.size() - reader.rest().size());
    for (; next != added.end() && next->first < number; ++next)
      writer.add(next->first, next->second);
    if (next == added.end() || next->first != number) {
      writer.keep(before, number, entry, encoded);
      continue;
    }
    ASAHI_TRY(Sums sums, parse_sums(encoded));
    sums += next->second;
    writer.add(number, sums);
    ++next;
  }
  for (; next != added.end(); ++next) writer.add(next->first, next->second);
  return writer.take();
}

Result<Page> parse_page(std::string_view bytes, std::int64_t first_number,
                        const std::vector<bool>* wanted) {
  Page page;
  VarintReader reader(bytes);
  std::int64_t number = first_number;
  while (!reader.done()) {
    const bool known = go_on(number, reader.next());
    const std::string_view encoded = reader.take(reader.next());
    if (!known || !reader.ok()) return corrupt_page();
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
  VarintReader reader(page);
  std::int64_t number = first_number;
  while (!reader.done()) {
    const bool known = go_on(number, reader.next());
    const std::string_view encoded = reader.take(reader.next());
    const auto cost = parse_cost(encoded);
    if (!known || !reader.ok() || !cost) return corrupt_page();
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
