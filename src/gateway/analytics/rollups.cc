#include "gateway/analytics/rollups.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "gateway/analytics/bulk.h"
#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/rollup_pages.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::int64_t kBackfillRows = 2'000;
constexpr std::size_t kRememberedKeys = 200'000;

/// What is summed up together first: all events that differ in nothing but user, key and numbers.
struct Fact {
  const InferenceEvent* event;
  std::int64_t minute;

  int tier() const { return event->cache_hit ? event->cache_tier : 0; }
  bool operator==(const Fact& other) const {
    const auto same = [&](auto member) { return event->*member == other.event->*member; };
    using Event = InferenceEvent;
    return minute == other.minute && tier() == other.tier() && same(&Event::model_selected) &&
           same(&Event::task_type) && same(&Event::provider) && same(&Event::routing_mode) &&
           same(&Event::error_code) && same(&Event::org_id);
  }
};

std::size_t mixed(std::size_t hash, std::size_t more) {
  constexpr std::size_t kOdd = 0x9E37'79B9'7F4A'7C15;
  return (std::rotl(hash, 23) ^ more) * kOdd;
}
std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

struct FactHash {
  std::size_t operator()(const Fact& fact) const {
    std::size_t hash =
        mixed(static_cast<std::size_t>(fact.minute), static_cast<std::size_t>(fact.tier()));
    for (const std::string* text :
         {&fact.event->model_selected, &fact.event->task_type, &fact.event->provider,
          &fact.event->routing_mode, &fact.event->error_code, &fact.event->org_id})
      hash = mixed(hash, hash_of(*text));
    return hash;
  }
};

}  // namespace

std::size_t RollupWriter::KeyHash::operator()(const KeyView& key) const {
  return mixed(mixed(hash_of(key.key), hash_of(key.org)), static_cast<std::size_t>(key.dimension));
}

/// What a transaction adds, by key.
struct RollupWriter::Cells {
  struct Cell {
    Grain grain;
    std::int64_t start;
    Sums sums;
  };
  struct Group {
    std::int64_t number = -1;
    std::vector<Cell> cells;

    Sums& at(Grain grain, std::int64_t start) {
      // Events come nearly in order of time: what was added to last is looked at first.
      for (auto cell = cells.rbegin(); cell != cells.rend(); ++cell) {
        if (cell->grain == grain && cell->start == start) return cell->sums;
      }
      return cells.emplace_back(Cell{grain, start, {}}).sums;
    }
    std::vector<Cell> take() { return std::exchange(cells, {}); }
  };
  ByKey<Group> groups;

  Group& group(const KeyView& key) {
    const auto found = groups.find(key);
    if (found != groups.end()) return found->second;
    return groups.emplace(Key{key.dimension, std::string(key.org), std::string(key.key)}, Group{})
        .first->second;
  }
};

Result<void> RollupWriter::begin(sql::Session& session) {
  learned_.clear();
  if (auto turn = take_turn(session); !turn) return turn;
  ASAHI_TRY(const sql::Rows state, session.query({"SELECT name, value FROM analytics_state", {}}));
  std::map<std::string, std::int64_t> values;
  for (std::size_t row = 0; row < state.size(); ++row)
    values[state.text(row, "name")] = state.integer(row, "value");
  // Somebody was erased: the number is not theirs any more.
  if (values["keys_version"] != keys_version_) numbers_.clear();
  keys_version_ = values["keys_version"];
  if (!values.contains("folded_day")) {
    values["folded_day"] = start_of(clock_.now(), Grain::kDay);
    values["folded_week"] = start_of(clock_.now(), Grain::kWeek);
    auto stored = session.query(
        {"INSERT INTO analytics_state (name, value) VALUES ('folded_day', ?), ('folded_week', ?)",
         {values["folded_day"], values["folded_week"]}});
    if (!stored) return std::unexpected(std::move(stored.error()));
  }
  folded_day_ = values["folded_day"];
  folded_week_ = values["folded_week"];
  return {};
}

void RollupWriter::committed() {
  if (numbers_.size() + learned_.size() > kRememberedKeys) numbers_.clear();
  numbers_.merge(learned_);
  learned_.clear();
}

Result<void> RollupWriter::add(sql::Session& session, std::span<const InferenceEvent> events,
                               LookUp look_up) {
  std::unordered_map<Fact, std::size_t, FactHash> places;
  std::vector<std::pair<Fact, Sums>> facts;  // in the events' order, which is nearly that of time
  Cells people, cells;
  const Clock::Time now = clock_.now();
  for (const InferenceEvent& event : events) {
    const Fact fact{&event, start_of(event.timestamp, Grain::kMinute)};
    const auto [place, is_new] = places.emplace(fact, facts.size());
    if (is_new) facts.emplace_back(fact, Sums{});
    facts[place->second].second.add(event);
    const std::int64_t hour = start_of(event.timestamp, Grain::kHour);
    people.group({Dimension::kUser, event.org_id, event.user_id})
        .at(Grain::kHour, hour)
        .count(event);
    people.group({Dimension::kApiKey, event.org_id, event.api_key_prefix})
        .at(Grain::kHour, hour)
        .count(event);
  }
  // Days and weeks are made of hours when they are over; who comes late goes there at once.
  for (auto& [key, group] : people.groups) {
    const bool all_new = std::ranges::all_of(group.cells, [&](const Cells::Cell& hour) {
      return hour.start >= std::max(folded_day_, folded_week_);
    });
    if (all_new) continue;
    for (Cells::Cell& hour : group.take()) {
      if (hour.start < folded_day_)
        group.at(Grain::kDay, rounded(hour.start, Grain::kDay)) += hour.sums;
      if (hour.start < folded_week_)
        group.at(Grain::kWeek, rounded(hour.start, Grain::kWeek)) += hour.sums;
      if (hour.start >= std::min(folded_day_, kept_from(key.dimension, Grain::kHour, now)))
        group.cells.push_back(std::move(hour));
    }
  }
  for (const auto& [fact, sums] : facts) {
    for (const Dimension dimension : kDimensions) {
      if (layout(dimension).folded) continue;
      Sums& minute = cells.group({dimension, fact.event->org_id, key_of(dimension, *fact.event)})
                         .at(Grain::kMinute, fact.minute);
      minute.add_counts(sums);
      if (layout(dimension).latencies == Latencies::kKept) minute.latency += sums.latency;
    }
  }
  // Hours are their minutes, days their hours.
  for (auto& [key, group] : cells.groups) {
    std::vector<Cells::Cell> minutes = group.take();
    for (const Cells::Cell& minute : minutes)
      group.at(Grain::kHour, rounded(minute.start, Grain::kHour)) += minute.sums;
    std::vector<Cells::Cell> hours = group.take();
    for (const Cells::Cell& hour : hours)
      group.at(Grain::kDay, rounded(hour.start, Grain::kDay)) += hour.sums;
    for (auto* finer : {&minutes, &hours}) {
      for (Cells::Cell& cell : *finer) {
        if (cell.start >= kept_from(key.dimension, cell.grain, now))
          group.cells.push_back(std::move(cell));
      }
    }
  }
  cells.groups.merge(people.groups);
  if (auto numbered = number_keys(session, cells); !numbered) return numbered;
  Pages pages;
  for (auto& [key, group] : cells.groups) {
    for (Cells::Cell& cell : group.cells) {
      put(pages, key.org, key.dimension, cell.grain, cell.start, group.number,
          std::move(cell.sums));
    }
  }
  return write_pages(session, pages, look_up);
}

namespace {

/// Tells the numbers of those names that have one.
Result<void> find_keys(sql::Session& session, Dimension dimension, std::string_view org,
                       std::span<const std::string_view> names,
                       const std::function<void(std::string, std::int64_t)>& learn) {
  constexpr std::string_view kNumbers =
      "SELECT key, number FROM analytics_keys WHERE dimension = ? AND org_id = ? AND key";
  const auto find = [&](std::string_view condition, std::string keys) -> Result<void> {
    ASAHI_TRY(const sql::Rows rows,
              session.query({fmt::format("{} {}", kNumbers, condition),
                             {number_of(dimension), std::string(org), std::move(keys)}}));
    for (std::size_t row = 0; row < rows.size(); ++row)
      learn(rows.text(row, "key"), rows.integer(row, "number"));
    return {};
  };
  // All in one pass, whichever index the planner takes while it has no statistics: name by name it
  // would go through all numbers for each.
  if (session.dialect() == sql::Dialect::kPostgres)
    return find("= ANY(CAST(? AS varchar[]))", array_of(names));
  for (const std::string_view name : names) {
    if (auto found = find("= ?", std::string(name)); !found) return found;
  }
  return {};
}

}  // namespace

Result<void> RollupWriter::number_keys(sql::Session& session, Cells& cells) {
  // In the order of names, so that numbers do not hang on a hash.
  std::map<std::tuple<Dimension, std::string_view, std::string_view>, Cells::Group*> unknown;
  for (auto& [key, group] : cells.groups) {
    const auto known = numbers_.find(key);
    if (known != numbers_.end()) {
      group.number = known->second;
    } else if (const auto learned = learned_.find(key); learned != learned_.end()) {
      group.number = learned->second;
    } else {
      unknown.emplace(
          std::tuple(key.dimension, std::string_view(key.org), std::string_view(key.key)), &group);
    }
  }
  std::map<std::pair<Dimension, std::string_view>, std::vector<std::string_view>> asked;
  for (const auto& [key, group] : unknown) {
    const auto& [dimension, org, name] = key;
    asked[{dimension, org}].push_back(name);
  }
  for (const auto& [where, names] : asked) {
    const auto& [dimension, org] = where;
    const auto learn = [&](std::string key, std::int64_t number) {
      learned_.insert_or_assign(Key{dimension, std::string(org), std::move(key)}, number);
    };
    if (auto found = find_keys(session, dimension, org, names, learn); !found) return found;
  }
  constexpr Column kKeyColumns[] = {
      {"dimension", "smallint"}, {"org_id", "varchar"}, {"key", "varchar"}, {"number", "bigint"}};
  Rows added;
  std::map<std::pair<Dimension, std::string_view>, std::int64_t> next_numbers;
  for (const auto& [key, group] : unknown) {
    const auto& [dimension, org, name] = key;
    auto number = learned_.find(KeyView{dimension, org, name});
    if (number == learned_.end()) {
      auto next = next_numbers.find({dimension, org});
      if (next == next_numbers.end()) {
        ASAHI_TRY(const sql::Rows last,
                  session.query({"SELECT COALESCE(MAX(number), -1) AS last FROM analytics_keys "
                                 "WHERE dimension = ? AND org_id = ?",
                                 {number_of(dimension), std::string(org)}}));
        next = next_numbers.emplace(std::pair(dimension, org), last.integer(0, "last") + 1).first;
      }
      added.push_back({number_of(dimension), std::string(org), std::string(name), next->second});
      number = learned_.emplace(Key{dimension, std::string(org), std::string(name)}, next->second++)
                   .first;
    }
    group->number = number->second;
  }
  auto stored = insert_rows(session, "analytics_keys", kKeyColumns, "", added);
  if (!stored) return std::unexpected(std::move(stored.error()));
  return {};
}

Result<bool> RollupWriter::backfill(sql::Database& database) {
  bool more = false;
  auto done = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    more = false;
    if (auto begun = begin(session); !begun) return begun;
    ASAHI_TRY(const sql::Rows state,
              session.query({"SELECT (SELECT value FROM analytics_state WHERE name = "
                             "'backfill_next') AS next, (SELECT value FROM analytics_state WHERE "
                             "name = 'backfill_end') AS last",
                             {}}));
    const std::int64_t next = state.integer(0, "next"), last = state.integer(0, "last");
    if (next >= last) return {};
    ASAHI_TRY(const sql::Rows rows,
              session.query({fmt::format("SELECT {} FROM inference_events WHERE id > ? AND id <= ? "
                                         "ORDER BY id LIMIT ?",
                                         kEventColumns),
                             {next, last, kBackfillRows}}));
    std::vector<InferenceEvent> events;
    events.reserve(rows.size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_TRY(InferenceEvent event, event_of(rows, row));
      events.push_back(std::move(event));
    }
    if (auto added = add(session, events); !added) return added;
    const bool full = static_cast<std::int64_t>(rows.size()) == kBackfillRows;
    const std::int64_t reached = full ? rows.integer(rows.size() - 1, "id") : last;
    more = reached < last;
    auto moved = session.query(
        {"UPDATE analytics_state SET value = ? WHERE name = 'backfill_next'", {reached}});
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  committed();
  return more;
}

}  // namespace asahi::gateway::analytics
