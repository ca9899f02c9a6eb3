#include "gateway/analytics/rollups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "gateway/analytics/bulk.h"
#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/rollup_pages.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::int64_t kBackfillRows = 2'000;
constexpr std::size_t kRememberedKeys = 200'000;

std::string id_of(Dimension dimension, std::string_view org, std::string_view key) {
  return fmt::format("{}\x1f{}\x1f{}", static_cast<int>(dimension), org, key);
}

}  // namespace

/// What a transaction adds, by key.
struct RollupWriter::Cells {
  struct Cell {
    Grain grain;
    std::int64_t start;
    Sums sums;
  };
  struct Group {
    Dimension dimension;
    std::string org, key;
    std::int64_t number = -1;
    std::vector<Cell> cells;

    Sums& at(Grain grain, std::int64_t start) {
      // Events come nearly in order of time: what was added to last is looked at first.
      for (auto cell = cells.rbegin(); cell != cells.rend(); ++cell) {
        if (cell->grain == grain && cell->start == start) return cell->sums;
      }
      return cells.emplace_back(Cell{grain, start, {}}).sums;
    }
  };
  ByText<Group> groups;

  Group& group(Dimension dimension, const std::string& org, std::string key) {
    std::string id = id_of(dimension, org, key);
    const auto found = groups.find(id);
    if (found != groups.end()) return found->second;
    return groups.emplace(std::move(id), Group{dimension, org, std::move(key), -1, {}})
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

Result<void> RollupWriter::add(sql::Session& session, std::span<const InferenceEvent> events) {
  // First by all that events have in common within a minute: there are far fewer of these than
  // events, and they are then added up by each dimension and grain.
  struct Fact {
    const InferenceEvent* event;
    Sums sums;
  };
  ByText<Fact> facts;
  Cells cells;
  std::string id;
  const Clock::Time now = clock_.now();
  for (const InferenceEvent& event : events) {
    id.clear();
    fmt::format_to(std::back_inserter(id), "{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f{}",
                   start_of(event.timestamp, Grain::kMinute), event.org_id, event.model_selected,
                   event.task_type, event.provider, event.routing_mode, event.error_code,
                   event.cache_hit ? event.cache_tier : 0);
    auto fact = facts.find(id);
    if (fact == facts.end()) fact = facts.emplace(id, Fact{&event, {}}).first;
    fact->second.sums.add(event);
    for (const Dimension dimension : {Dimension::kUser, Dimension::kApiKey}) {
      auto& group = cells.group(dimension, event.org_id, key_of(dimension, event));
      group.at(Grain::kHour, start_of(event.timestamp, Grain::kHour)).count(event);
    }
  }
  // Days and weeks are made of hours when they are over; who comes late goes there at once.
  for (auto& [name, group] : cells.groups) {
    std::vector<Cells::Cell> hours = std::move(group.cells);
    group.cells.clear();
    for (Cells::Cell& hour : hours) {
      if (hour.start < folded_day_)
        group.at(Grain::kDay, rounded(hour.start, Grain::kDay)) += hour.sums;
      if (hour.start < folded_week_)
        group.at(Grain::kWeek, rounded(hour.start, Grain::kWeek)) += hour.sums;
      if (hour.start >= std::min(folded_day_, kept_from(group.dimension, Grain::kHour, now)))
        group.cells.push_back(std::move(hour));
    }
  }
  for (const auto& [name, fact] : facts) {
    const InferenceEvent& event = *fact.event;
    for (const Dimension dimension : kDimensions) {
      if (layout(dimension).folded) continue;
      auto& group = cells.group(dimension, event.org_id, key_of(dimension, event));
      for (const Grain grain : {Grain::kMinute, Grain::kHour, Grain::kDay}) {
        const std::int64_t start = start_of(event.timestamp, grain);
        if (start >= kept_from(dimension, grain, now)) group.at(grain, start) += fact.sums;
      }
    }
  }
  if (auto numbered = number_keys(session, cells); !numbered) return numbered;
  Pages pages;
  for (auto& [name, group] : cells.groups) {
    for (Cells::Cell& cell : group.cells) {
      put(pages, group.org, group.dimension, cell.grain, cell.start, group.number,
          std::move(cell.sums));
    }
  }
  return write_pages(session, pages);
}

Result<void> RollupWriter::number_keys(sql::Session& session, Cells& cells) {
  std::map<std::pair<Dimension, std::string>, std::vector<Cells::Group*>> unknown;
  for (auto& [id, group] : cells.groups) {
    const auto known = numbers_.find(id);
    if (known != numbers_.end()) {
      group.number = known->second;
    } else if (const auto learned = learned_.find(id); learned != learned_.end()) {
      group.number = learned->second;
    } else {
      unknown[{group.dimension, group.org}].push_back(&group);
    }
  }
  constexpr Column kKeyColumns[] = {
      {"dimension", "smallint"}, {"org_id", "varchar"}, {"key", "varchar"}, {"number", "bigint"}};
  const std::span<const Column> looked_up(kKeyColumns, 3);
  Rows asked, added;
  for (const auto& [of, groups] : unknown) {
    for (const Cells::Group* group : groups)
      asked.push_back({static_cast<std::int64_t>(of.first), of.second, group->key});
  }
  auto read =
      select_rows(session, "dimension, org_id, key, number", "analytics_keys", looked_up, asked,
                  [&](const sql::Rows& rows) -> Result<void> {
                    for (std::size_t row = 0; row < rows.size(); ++row) {
                      const auto dimension = static_cast<Dimension>(rows.integer(row, "dimension"));
                      learned_[id_of(dimension, rows.text(row, "org_id"), rows.text(row, "key"))] =
                          rows.integer(row, "number");
                    }
                    return {};
                  });
  if (!read) return read;
  for (auto& [of, groups] : unknown) {
    const auto& [dimension, org] = of;
    const auto which = static_cast<std::int64_t>(dimension);
    std::int64_t next = -1;
    for (Cells::Group* group : groups) {
      std::string id = id_of(dimension, org, group->key);
      auto number = learned_.find(id);
      if (number == learned_.end()) {
        if (next < 0) {
          ASAHI_TRY(const sql::Rows last,
                    session.query({"SELECT COALESCE(MAX(number), -1) AS last FROM analytics_keys "
                                   "WHERE dimension = ? AND org_id = ?",
                                   {which, org}}));
          next = last.integer(0, "last") + 1;
        }
        added.push_back({which, org, group->key, next});
        number = learned_.emplace(std::move(id), next++).first;
      }
      group->number = number->second;
    }
  }
  return insert_rows(session, "analytics_keys", kKeyColumns, "", std::move(added));
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
