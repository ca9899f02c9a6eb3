#include "gateway/analytics/rollups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "gateway/analytics/bulk.h"
#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::int64_t kBackfillRows = 2'000;
constexpr std::size_t kRememberedKeys = 200'000;

std::string id_of(Dimension dimension, std::string_view org, std::string_view key) {
  return fmt::format("{}\x1f{}\x1f{}", static_cast<int>(dimension), org, key);
}

std::int64_t page_of(Dimension dimension, std::int64_t number) {
  return number / layout(dimension).keys_per_page;
}

/// Of a page, by its place in the table: organisation, dimension, grain, start, page.
template <class Where>
std::int64_t first_number(const Where& where) {
  return std::get<4>(where) * layout(static_cast<Dimension>(std::get<1>(where))).keys_per_page;
}

Page merged(Page mine, const Page& added) {
  for (const auto& [number, sums] : added) {
    const auto at =
        std::ranges::lower_bound(mine, number, {}, [](auto& entry) { return entry.first; });
    if (at != mine.end() && at->first == number) {
      at->second += sums;
    } else {
      mine.insert(at, {number, sums});
    }
  }
  return mine;
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
  auto version =
      session.query({"SELECT value FROM analytics_state WHERE name = 'keys_version'", {}});
  if (!version) return std::unexpected(std::move(version.error()));
  const std::int64_t now = version->empty() ? 0 : version->integer(0, "value");
  // Somebody was erased: the number is not theirs any more.
  if (now != keys_version_) numbers_.clear();
  keys_version_ = now;
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
  for (auto& [name, group] : cells.groups) {
    std::vector<Cells::Cell> hours = std::move(group.cells);
    group.cells.clear();
    for (Cells::Cell& hour : hours) {
      group.at(Grain::kDay, rounded(hour.start, Grain::kDay)) += hour.sums;
      if (hour.start >= kept_from(group.dimension, Grain::kHour, now))
        group.cells.push_back(std::move(hour));
    }
  }
  for (const auto& [name, fact] : facts) {
    const InferenceEvent& event = *fact.event;
    for (const Dimension dimension : kDimensions) {
      if (layout(dimension).finest != Grain::kMinute) continue;
      auto& group = cells.group(dimension, event.org_id, key_of(dimension, event));
      for (const Grain grain : kGrains) {
        const std::int64_t start = start_of(event.timestamp, grain);
        if (start >= kept_from(dimension, grain, now)) group.at(grain, start) += fact.sums;
      }
    }
  }
  if (auto numbered = number_keys(session, cells); !numbered) return numbered;
  return write(session, cells);
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
  return insert_rows(session, "analytics_keys", kKeyColumns, "", added);
}

Result<void> RollupWriter::write(sql::Session& session, Cells& cells) {
  constexpr Column kColumns[] = {{"org_id", "varchar"}, {"dimension", "smallint"},
                                 {"grain", "smallint"}, {"start", "bigint"},
                                 {"page", "bigint"},    {"sums", "bytea"}};
  const std::span<const Column> place(kColumns, 5);
  using Where = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Where, Page> pages;  // in the order of the index
  for (auto& [id, group] : cells.groups) {
    for (Cells::Cell& cell : group.cells) {
      pages[{group.org, static_cast<std::int64_t>(group.dimension),
             static_cast<std::int64_t>(cell.grain), cell.start,
             page_of(group.dimension, group.number)}]
          .emplace_back(group.number, std::move(cell.sums));
    }
  }
  Rows rows;
  rows.reserve(pages.size());
  for (auto& [where, page] : pages) {
    std::ranges::sort(page, {}, [](auto& entry) { return entry.first; });
    const auto& [org, dimension, grain, start, number] = where;
    rows.push_back({org, dimension, grain, start, number});
  }
  auto read = select_rows(
      session, "org_id, dimension, grain, start, page, sums", "analytics_rollups", place, rows,
      [&](const sql::Rows& found) -> Result<void> {
        for (std::size_t row = 0; row < found.size(); ++row) {
          const Where where{found.text(row, "org_id"), found.integer(row, "dimension"),
                            found.integer(row, "grain"), found.integer(row, "start"),
                            found.integer(row, "page")};
          ASAHI_TRY(Page before, parse_page(found.text(row, "sums"), first_number(where)));
          Page& now = pages[where];
          now = merged(std::move(before), now);
        }
        return {};
      });
  if (!read) return read;
  std::size_t row = 0;
  for (const auto& [where, page] : pages) {
    const auto dimension = static_cast<Dimension>(std::get<1>(where));
    rows[row++].emplace_back(
        sql::Blob{encode_page(page, first_number(where), layout(dimension).latencies)});
  }
  return insert_rows(
      session, "analytics_rollups", kColumns,
      "ON CONFLICT (org_id, dimension, grain, start, page) DO UPDATE SET sums = excluded.sums",
      rows);
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

Result<void> RollupWriter::prune(sql::Database& database) {
  const Clock::Time now = clock_.now();
  ASAHI_TRY(const sql::Rows orgs,
            database.query_blocking({"SELECT org_id FROM analytics_keys WHERE dimension = ?",
                                     {static_cast<std::int64_t>(Dimension::kNone)}}));
  for (std::size_t row = 0; row < orgs.size(); ++row) {
    for (const Dimension dimension : kDimensions) {
      for (const Grain grain : {Grain::kMinute, Grain::kHour}) {
        auto gone = database.query_blocking(
            {"DELETE FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND grain = ? AND "
             "start < ?",
             {orgs.text(row, "org_id"), static_cast<std::int64_t>(dimension),
              static_cast<std::int64_t>(grain), kept_from(dimension, grain, now)}});
        if (!gone) return std::unexpected(std::move(gone.error()));
      }
    }
  }
  return {};
}

Task<void> expire_rollups(sql::Database& database, std::string org_id, Clock::Time cutoff) {
  for (const Dimension dimension : kDimensions) {
    for (const Grain grain : kGrains) {
      sql::Statement statement{
          "DELETE FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND grain = ? AND "
          "start < ?",
          {org_id, static_cast<std::int64_t>(dimension), static_cast<std::int64_t>(grain),
           start_of(cutoff, grain)}};
      ASAHI_CO_TRY([[maybe_unused]] const sql::Rows gone,
                   co_await database.query(std::move(statement)));
    }
  }
  co_return Result<void>{};
}

namespace {

/// Takes one key out of all pages that hold it. Returns from how many.
Result<std::int64_t> erase_key(sql::Session& session, const std::string& org, Dimension dimension,
                               const std::string& key) {
  const auto which = static_cast<std::int64_t>(dimension);
  ASAHI_TRY(const sql::Rows numbered,
            session.query({"DELETE FROM analytics_keys WHERE dimension = ? AND org_id = ? AND key "
                           "= ? RETURNING number",
                           {which, org, key}}));
  if (numbered.empty()) return 0;
  const std::int64_t number = numbered.integer(0, "number");
  const std::int64_t page = page_of(dimension, number);
  const std::int64_t first = page * layout(dimension).keys_per_page;
  std::int64_t erased = 0;
  for (const Grain grain : kGrains) {
    const auto wide = static_cast<std::int64_t>(grain);
    ASAHI_TRY(const sql::Rows starts,
              session.query({"SELECT DISTINCT start FROM analytics_rollups WHERE org_id = ? AND "
                             "dimension = ? AND grain = ? AND page = ?",
                             {org, which, wide, page}}));
    for (std::size_t row = 0; row < starts.size(); ++row) {
      const std::int64_t start = starts.integer(row, "start");
      const std::vector<sql::Value> where{org, which, wide, start, page};
      ASAHI_TRY(const sql::Rows stored,
                session.query({"SELECT sums FROM analytics_rollups WHERE org_id = ? AND dimension "
                               "= ? AND grain = ? AND start = ? AND page = ?",
                               where}));
      ASAHI_TRY(Page sums, parse_page(stored.text(0, "sums"), first));
      if (std::erase_if(sums, [&](const auto& entry) { return entry.first == number; }) == 0)
        continue;
      ++erased;
      sql::Statement change;
      if (sums.empty()) {
        change = {
            "DELETE FROM analytics_rollups WHERE org_id = ? AND dimension = ? AND grain = ? "
            "AND start = ? AND page = ?",
            where};
      } else {
        change = {
            "UPDATE analytics_rollups SET sums = ? WHERE org_id = ? AND dimension = ? AND "
            "grain = ? AND start = ? AND page = ?",
            {sql::Blob{encode_page(sums, first, layout(dimension).latencies)}, org, which, wide,
             start, page}};
      }
      if (auto changed = session.query(change); !changed)
        return std::unexpected(std::move(changed.error()));
    }
  }
  return erased;
}

}  // namespace

Task<std::int64_t> erase_rollups_of(sql::Database& database, std::string org_id,
                                    std::string user_id) {
  auto erased = std::make_shared<std::int64_t>(0);
  auto body = [org_id, user_id, erased](sql::Session& session) -> Result<void> {
    *erased = 0;
    if (auto turn = take_turn(session); !turn) return turn;
    ASAHI_TRY(*erased, erase_key(session, org_id, Dimension::kUser, user_id));
    ASAHI_TRY(const sql::Rows keys,
              session.query({"SELECT key_prefix FROM api_keys WHERE org_id = ? AND user_id = ?",
                             {org_id, user_id}}));
    for (std::size_t row = 0; row < keys.size(); ++row) {
      ASAHI_TRY(const std::int64_t of_key,
                erase_key(session, org_id, Dimension::kApiKey, keys.text(row, "key_prefix")));
      *erased += of_key;
    }
    auto told = session.query(
        {"UPDATE analytics_state SET value = value + 1 WHERE name = 'keys_version'", {}});
    if (!told) return std::unexpected(std::move(told.error()));
    return {};
  };
  if (auto done = co_await database.transaction(std::move(body)); !done)
    co_return std::unexpected(std::move(done.error()));
  co_return *erased;
}

}  // namespace asahi::gateway::analytics
