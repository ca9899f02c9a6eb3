#include "gateway/events/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/scheduling.h"
#include "gateway/analytics/bulk.h"
#include "gateway/analytics/search_index.h"
#include "gateway/events/event.h"
#include "gateway/events/event_copy.h"

namespace asahi::gateway {
namespace {

using analytics::Column;
constexpr Column kColumns[] = {
    {"event_id", "varchar"},         {"request_id", "varchar"},     {"timestamp", "timestamptz"},
    {"user_id", "varchar"},          {"org_id", "varchar"},         {"task_type", "varchar"},
    {"model_selected", "varchar"},   {"cache_hit", "boolean"},      {"cache_tier", "smallint"},
    {"input_tokens", "integer"},     {"output_tokens", "integer"},  {"total_tokens", "integer"},
    {"latency_ms", "integer"},       {"cost", "numeric"},           {"routing_reason", "text"},
    {"quality_score", "numeric"},    {"event_type", "varchar"},     {"routing_mode", "varchar"},
    {"provider", "varchar"},         {"baseline_cost", "numeric"},  {"savings", "numeric"},
    {"cache_similarity", "numeric"}, {"tokens_saved", "integer"},   {"fallback_used", "boolean"},
    {"error_code", "varchar"},       {"api_key_prefix", "varchar"}, {"streamed", "boolean"},
    {"retries", "smallint"},         {"token_savings", "numeric"},  {"batching_savings", "numeric"},
    {"hallucination", "boolean"},    {"created_at", "timestamptz"}, {"id", "bigint"}};
/// PostgreSQL numbers its rows itself.
std::span<const Column> columns_of(sql::Dialect dialect) {
  const std::span<const Column> all(kColumns);
  return dialect == sql::Dialect::kSqlite ? all : all.first(all.size() - 1);
}
constexpr std::string_view kRepeats = "repeats";
/// Of the log, in one transaction. Each rewrites the page of every user that it names: PostgreSQL
/// keeps the old version beside the new one, and two for each of them in its own log.
std::size_t batch_bytes(sql::Dialect dialect) {
  constexpr std::size_t kMiB = 1024 * 1024;
  return dialect == sql::Dialect::kSqlite ? 4 * kMiB : 8 * kMiB;
}

/// At most `limit` bytes, whole characters, no NUL: text that any engine takes. One refused row
/// would hold up all that come after it.
std::string storable(std::string text, std::size_t limit) {
  if (text.find('\0') != std::string::npos) std::erase(text, '\0');
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  text.resize(limit);
  return text;
}
/// Counts stand in 32-bit columns; vendors may claim anything.
std::int64_t fitted_count(std::int64_t number) {
  return std::clamp<std::int64_t>(number, 0, std::numeric_limits<std::int32_t>::max());
}
/// NUMERIC(18,9).
NanoUsd fitted_money(NanoUsd amount) {
  constexpr std::int64_t kMost = 999'999'999'999'999'999;
  return {std::clamp(amount.nanos, -kMost, kMost)};
}

/// Makes an event fit the table's columns, so that rows and rollups say the same.
void fit(InferenceEvent& event) {
  const auto text = [](std::string& value, std::size_t limit) {
    value = storable(std::move(value), limit);
  };
  text(event.event_id, 26);
  text(event.request_id, 24);
  text(event.user_id, 255);
  text(event.org_id, 255);
  text(event.task_type, 100);
  text(event.model_selected, 100);
  text(event.routing_reason, 2'000);
  text(event.event_type, 30);
  text(event.routing_mode, 20);
  text(event.provider, 50);
  text(event.error_code, 50);
  text(event.api_key_prefix, 12);
  for (std::int64_t* count : {&event.input_tokens, &event.output_tokens, &event.tokens_saved})
    *count = fitted_count(*count);
  for (NanoUsd* amount :
       {&event.cost, &event.baseline_cost, &event.trim_savings, &event.batching_savings})
    *amount = fitted_money(*amount);
  event.latency_ms = std::clamp(event.latency_ms, 0.0, 1e9);
  event.cache_tier = std::clamp(event.cache_tier, 0, 9);
  // NUMERIC(4,2) and (5,4), SMALLINT.
  event.quality_score = std::clamp(event.quality_score, 0.0, 99.99);
  event.cache_similarity = std::clamp(event.cache_similarity, 0.0, 9.9999);
  event.retries = std::clamp<int>(event.retries, 0, std::numeric_limits<std::int16_t>::max());
}

/// The values of one row. Used for row after row, texts take the place of those before them.
class RowValues {
 public:
  explicit RowValues(std::string created_at) : created_at_(std::move(created_at)) {}

  /// With an id where SQLite stores it. Holds until the next call.
  const std::vector<sql::Value>& of(const InferenceEvent& event, std::optional<std::int64_t> id) {
    next_ = 0;
    values_.resize(std::size(kColumns) - (id ? 0 : 1));
    text(event.event_id);
    text(event.request_id);
    text(format_rfc3339(event.timestamp));
    text_or_null(event.user_id);
    text_or_null(event.org_id);
    text_or_null(event.task_type);
    text(event.model_selected);
    number(event.cache_hit);
    number(event.cache_tier);
    number(event.input_tokens);
    number(event.output_tokens);
    number(fitted_count(event.input_tokens + event.output_tokens));
    number(static_cast<std::int64_t>(event.latency_ms + 0.5));
    money(event.cost);
    text_or_null(event.routing_reason);
    decimal_or_null(event.quality_score, 2);
    text_or_null(event.event_type);
    text_or_null(event.routing_mode);
    text_or_null(event.provider);
    money(event.baseline_cost);
    money(fitted_money(event.savings()));
    decimal_or_null(event.cache_similarity, 4);
    number(event.tokens_saved);
    number(event.fallback_used);
    text_or_null(event.error_code);
    text_or_null(event.api_key_prefix);
    number(event.streamed);
    number(event.retries);
    money_or_null(event.trim_savings);
    money_or_null(event.batching_savings);
    if (event.hallucination) {
      number(*event.hallucination);
    } else {
      null();
    }
    text(created_at_);
    if (id) number(*id);
    return values_;
  }

 private:
  sql::Value& next() { return values_[next_++]; }
  /// The text that stood here before, emptied.
  std::string& fresh_text() {
    sql::Value& value = next();
    auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) text = &value.emplace<std::string>();
    text->clear();
    return *text;
  }
  void null() { next() = std::monostate(); }
  void number(std::int64_t value) { next() = value; }
  void text(std::string_view value) { fresh_text() += value; }
  void text_or_null(std::string_view value) { value.empty() ? null() : text(value); }
  void money(NanoUsd amount) { append_decimal(fresh_text(), amount); }
  void money_or_null(NanoUsd amount) { amount.nanos == 0 ? null() : money(amount); }
  void decimal_or_null(double value, int decimals) {
    if (value > 0) {
      fmt::format_to(std::back_inserter(fresh_text()), "{:.{}f}", value, decimals);
    } else {
      null();
    }
  }

  std::string created_at_;
  std::vector<sql::Value> values_;
  std::size_t next_ = 0;
};

/// What SQLite shall number the next row. Left to itself it would take numbers of deleted rows
/// again, also within blocks that the search index has made and never looks at again.
Result<std::int64_t> next_id(sql::Session& session) {
  ASAHI_TRY(const sql::Rows rows,
            session.query({"SELECT (SELECT COALESCE(MAX(id), 0) FROM inference_events) AS last, "
                           "(SELECT value FROM analytics_state WHERE name = 'index_next') AS block",
                           {}}));
  return std::max(rows.integer(0, "last") + 1, rows.integer(0, "block") * analytics::kBlockEvents);
}

/// Inserts events of which SQLite holds none yet, numbered from `first_id` on.
Result<void> insert_new(sql::Session& session, const std::vector<InferenceEvent>& events,
                        std::int64_t first_id, RowValues& values) {
  const auto row = [&](std::size_t which) -> std::span<const sql::Value> {
    return values.of(events[which], first_id + static_cast<std::int64_t>(which));
  };
  ASAHI_TRY(const std::int64_t written,
            analytics::insert_each(session, "inference_events", kColumns,
                                   "ON CONFLICT (event_id) DO NOTHING", events.size(), row));
  if (written == static_cast<std::int64_t>(events.size())) return {};
  auto refused = fail(Errc::kConflict, "some events are in the table already");
  refused.error().reason = kRepeats;
  return refused;
}

/// Copies events into PostgreSQL, which holds none of them yet. Returns the first one's id; the
/// others follow without a gap, as the sequence has no other user while it is this loader's turn.
Result<std::int64_t> copy_new(sql::Session& session, std::span<const InferenceEvent> events,
                              Clock::Time created_at) {
  if (events.empty()) return 0;
  const auto count = static_cast<std::int64_t>(events.size());
  ASAHI_TRY(const sql::Rows last,
            session.query({"SELECT setval('inference_events_id_seq', "
                           "nextval('inference_events_id_seq') + CAST(? AS BIGINT) - 1) AS id",
                           {count}}));
  const std::int64_t first = last.integer(0, "id") - count + 1;
  constexpr std::size_t kRowsAtOnce = 4'096;  // bounds the memory
  std::int64_t id = first;
  for (; !events.empty(); events = events.subspan(std::min(events.size(), kRowsAtOnce))) {
    sql::CopyRows rows = event_rows();
    for (const InferenceEvent& event : events.first(std::min(events.size(), kRowsAtOnce)))
      append_row(rows, id++, event, created_at);
    if (auto copied = sql::copy(session, rows); !copied)
      return std::unexpected(std::move(copied.error()));
  }
  return first;
}

/// Inserts those that are not there yet, and tells their ids by event.
Result<void> insert_some(sql::Session& session, const analytics::Rows& rows,
                         std::unordered_map<std::string, std::int64_t>& ids) {
  return analytics::insert_rows(session, "inference_events", columns_of(session.dialect()),
                                "ON CONFLICT (event_id) DO NOTHING RETURNING id, event_id", rows,
                                [&](const sql::Rows& added) -> Result<void> {
                                  for (std::size_t row = 0; row < added.size(); ++row)
                                    ids.emplace(added.text(row, "event_id"),
                                                added.integer(row, "id"));
                                  return {};
                                });
}

}  // namespace

EventLoader::EventLoader(Options options, sql::Database& database,
                         std::function<Result<void>()> first_caught_up)
    : options_(std::move(options)),
      database_(database),
      first_caught_up_(std::move(first_caught_up)),
      rollups_(*options_.clock) {}

EventLoader::~EventLoader() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void EventLoader::start() {
  thread_ = std::thread([this] { run(); });
}

void EventLoader::wake() {
  {
    const std::scoped_lock lock(mutex_);
    caught_up_ = false;
    if (std::exchange(pending_, true)) return;  // it knows
  }
  wake_.notify_one();
}

bool EventLoader::catch_up(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  pending_ = at_once_ = true;
  caught_up_ = false;
  wake_.notify_one();
  return idle_.wait_for(lock, limit, [&] { return caught_up_; });
}

bool EventLoader::caught_up() const {
  const std::scoped_lock lock(mutex_);
  return caught_up_;
}

void EventLoader::hurry() {
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(at_once_, true)) return;
  }
  wake_.notify_one();
}

void EventLoader::run() {
  // Rows may lag, requests may not: on a saturated machine this thread gets what is left.
  work_in_background(19);
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || pending_; });
      wake_.wait_for(lock, options_.gather, [&] { return stop_ || at_once_; });
      if (stop_) return;
      pending_ = at_once_ = false;
    }
    for (;;) {
      auto loaded = load_batch();
      if (loaded && !*loaded && first_caught_up_) {
        auto done = first_caught_up_();
        if (done) {
          first_caught_up_ = nullptr;
        } else {
          loaded = std::unexpected(std::move(done.error()));
        }
      }
      if (!loaded) {
        if (healthy_.exchange(false)) {
          logger_.error("events wait in the log: the database refuses them",
                        {{"error", loaded.error().message}});
        }
        position_known_ = false;
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, options_.retry, [&] { return stop_; })) return;
        continue;
      }
      if (!healthy_.exchange(true)) logger_.info("the database takes events again");
      if (!*loaded) break;
      const std::scoped_lock lock(mutex_);
      if (stop_) return;
    }
    {
      const std::scoped_lock lock(mutex_);
      caught_up_ = !pending_;
    }
    idle_.notify_all();
    auto more = upkeep();
    if (!more) {
      logger_.warning("rollups wait: the database refuses them", {{"error", more.error().message}});
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, options_.retry, [&] { return stop_; })) return;
    }
    if (!more || *more) {
      const std::scoped_lock lock(mutex_);
      pending_ = at_once_ = true;
    }
  }
}

Result<bool> EventLoader::load_batch() {
  if (!position_known_) {
    ASAHI_TRY(const sql::Rows rows,
              database_.query_blocking(
                  {"SELECT file, byte_offset FROM event_log_positions WHERE node_id = ?",
                   {options_.node_id}}));
    position_ = rows.empty() ? LogPosition{}
                             : LogPosition{rows.text(0, "file"), rows.integer(0, "byte_offset")};
    position_known_ = true;
  }
  const std::size_t most =
      options_.batch_bytes > 0 ? options_.batch_bytes : batch_bytes(database_.dialect());
  ASAHI_TRY(const LogBatch batch, read_log(options_.dir, position_, most));
  const bool moved = batch.next.file != position_.file || batch.next.offset != position_.offset;
  if (!moved) return false;

  std::vector<InferenceEvent> events;
  events.reserve(batch.lines.size());
  for (const std::string& line : batch.lines) {
    auto event = event_from_json(line);
    if (event) {
      events.push_back(std::move(*event));
    } else {
      skipped_.fetch_add(1, std::memory_order_relaxed);
      logger_.warning("skipped a corrupt event line",
                      {{"file", batch.next.file}, {"before_offset", batch.next.offset}});
    }
  }
  for (InferenceEvent& event : events) fit(event);
  auto stored = store(events, batch.next, Repeats::kNone);
  // A line may stand twice in the log, or be read again.
  if (!stored && stored.error().reason == kRepeats)
    stored = store(events, batch.next, Repeats::kSome);
  if (!stored) return std::unexpected(std::move(stored.error()));
  rollups_.committed();
  position_ = batch.next;
  if (auto indexed = index(stored->all ? events : stored->some, stored->ids); !indexed)
    return std::unexpected(std::move(indexed.error()));
  return true;
}

Result<EventLoader::Stored> EventLoader::insert(sql::Session& session,
                                                const std::vector<InferenceEvent>& events,
                                                Repeats repeats) const {
  constexpr std::size_t kRowsAtOnce = 1'024;
  const Clock::Time now = options_.clock->now();
  const std::string created_at = format_rfc3339(now);
  const bool numbered = session.dialect() == sql::Dialect::kSqlite;
  const bool all_new = repeats == Repeats::kNone;
  Stored stored;
  if (all_new && !numbered) {
    ASAHI_TRY(const std::int64_t first, copy_new(session, events, now));
    stored.all = true;
    stored.ids.resize(events.size());
    std::iota(stored.ids.begin(), stored.ids.end(), first);
    return stored;
  }
  std::int64_t id = 0;
  if (numbered) {
    ASAHI_TRY(id, next_id(session));
  }
  RowValues values(created_at);
  if (all_new) {
    if (auto inserted = insert_new(session, events, id, values); !inserted)
      return std::unexpected(std::move(inserted.error()));
    stored.all = true;
    stored.ids.resize(events.size());
    std::iota(stored.ids.begin(), stored.ids.end(), id);
    return stored;
  }
  analytics::Rows rows;
  std::unordered_map<std::string, std::int64_t> ids;
  for (std::size_t at = 0; at < events.size(); ++at) {
    rows.push_back(values.of(events[at], numbered ? std::optional(id++) : std::nullopt));
    if (rows.size() < kRowsAtOnce && at + 1 < events.size()) continue;
    if (auto inserted = insert_some(session, rows, ids); !inserted)
      return std::unexpected(std::move(inserted.error()));
    rows.clear();
  }
  stored.all = ids.size() == events.size();
  for (std::size_t at = 0; at < events.size(); ++at) {
    const auto found = ids.find(events[at].event_id);
    if (found == ids.end()) continue;
    stored.ids.push_back(found->second);
    if (!stored.all) stored.some.push_back(events[at]);
    ids.erase(found);  // its second line counts no more
  }
  return stored;
}

Result<EventLoader::Stored> EventLoader::store(const std::vector<InferenceEvent>& events,
                                               const LogPosition& behind, Repeats repeats) {
  Stored stored;
  auto done = database_.transaction_blocking([&](sql::Session& session) -> Result<void> {
    if (auto begun = rollups_.begin(session); !begun) return begun;
    ASAHI_TRY(stored, insert(session, events, repeats));
    const auto look_up =
        repeats == Repeats::kNone ? analytics::LookUp::kLikely : analytics::LookUp::kEvery;
    if (auto added = rollups_.add(session, stored.all ? events : stored.some, look_up); !added)
      return added;
    auto moved_on = session.query(
        {"INSERT INTO event_log_positions (node_id, file, byte_offset) VALUES (?, ?, ?) "
         "ON CONFLICT (node_id) DO UPDATE SET file = excluded.file, byte_offset = "
         "excluded.byte_offset",
         {options_.node_id, behind.file, behind.offset}});
    if (!moved_on) return std::unexpected(moved_on.error());
    return {};
  });
  if (!done) {
    if (done.error().reason == "unique_violation") done.error().reason = kRepeats;
    return std::unexpected(std::move(done.error()));
  }
  return stored;
}

Result<void> EventLoader::index(std::span<const InferenceEvent> events,
                                std::span<const std::int64_t> ids) {
  constexpr std::int64_t kLastOfBlock = analytics::kBlockEvents - 1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    // Under constant load the log is never read to its end: search must keep up nevertheless.
    const std::int64_t block = ids[i] / analytics::kBlockEvents;
    const bool left_unfinished = block_ >= 0 && block != block_;
    fresh_.add(ids[i], events[i]);
    const bool full = ids[i] % analytics::kBlockEvents == kLastOfBlock;
    block_ = full ? -1 : block;
    if (!full && !left_unfinished) continue;
    if (auto indexed = analytics::index_next_block(database_, &fresh_); !indexed)
      return std::unexpected(std::move(indexed.error()));
  }
  return {};
}

Result<bool> EventLoader::upkeep() {
  if (!rollups_complete()) {
    ASAHI_TRY(const bool more, rollups_.backfill(database_));
    rollups_complete_.store(!more, std::memory_order_relaxed);
    if (more) return true;
    logger_.info("rollups hold all events of the table");
  }
  ASAHI_TRY(const bool indexed, analytics::index_next_block(database_));
  if (indexed) return true;
  ASAHI_TRY(const bool more_days, rollups_.fold_day(database_));
  if (more_days) return true;
  constexpr std::chrono::hours kBetweenPrunings{1};
  const Clock::Steady now = options_.clock->steady_now();
  if (pruned_ == Clock::Steady{} || now - pruned_ >= kBetweenPrunings) {
    if (auto pruned = rollups_.prune(database_); !pruned)
      return std::unexpected(std::move(pruned.error()));
    pruned_ = now;
  }
  return false;
}

}  // namespace asahi::gateway
