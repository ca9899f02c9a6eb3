#include "gateway/analytics/search_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "gateway/analytics/bulk.h"
#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/search_terms.h"
#include "gateway/analytics/search_words.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

TermRange exactly(char field, std::string_view value) {
  std::string from = term(field, value);
  std::string to = from + '\0';
  return {.from = std::move(from), .to = std::move(to), .exact = true};
}
TermRange beginning(std::string_view word) {
  std::string from = term('w', word);
  std::string to = from + '\xff';  // no byte of UTF-8
  return {.from = std::move(from), .to = std::move(to), .exact = false};
}

/// "block IN (a list of numbers in one parameter)".
std::string among(sql::Dialect dialect, std::string_view column) {
  return dialect == sql::Dialect::kPostgres
             ? fmt::format("{} = ANY(CAST(? AS bigint[]))", column)
             : fmt::format("{} IN (SELECT value FROM json_each(?))", column);
}

Result<BlockTerms> read_block(sql::Session& session, std::int64_t block) {
  ASAHI_TRY(const sql::Rows rows,
            session.query({"SELECT id, timestamp, org_id, request_id, user_id, model_selected, "
                           "task_type, provider, routing_reason, error_code, api_key_prefix, "
                           "cache_hit, cache_tier FROM inference_events WHERE id >= ? AND id < ? "
                           "ORDER BY id",
                           {block * kBlockEvents, (block + 1) * kBlockEvents}}));
  BlockTerms terms;
  terms.block = block;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    ASAHI_TRY(const Clock::Time at, parse_rfc3339(rows.text(row, "timestamp")));
    const std::string org = rows.text(row, "org_id"), request_id = rows.text(row, "request_id"),
                      user = rows.text(row, "user_id"), model = rows.text(row, "model_selected"),
                      task = rows.text(row, "task_type"), provider = rows.text(row, "provider"),
                      reason = rows.text(row, "routing_reason"),
                      error = rows.text(row, "error_code"), key = rows.text(row, "api_key_prefix"),
                      tier = rows.text(row, "cache_tier");
    terms.add(rows.integer(row, "id"),
              {.ms = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count(),
               .org = org,
               .request_id = request_id,
               .user = user,
               .model = model,
               .task = task,
               .provider = provider,
               .reason = reason,
               .error = error,
               .key = key,
               .failed = !rows.is_null(row, "error_code"),
               .hit = rows.boolean(row, "cache_hit"),
               .tier = tier});
  }
  return terms;
}

constexpr Column kBlockColumns[] = {{"org_id", "varchar"},
                                    {"block", "bigint"},
                                    {"first_ms", "bigint"},
                                    {"last_ms", "bigint"},
                                    {"times", "bytea"}};
constexpr Column kTermColumns[] = {
    {"org_id", "varchar"}, {"block", "bigint"}, {"first_term", "bytea"}, {"page", "bytea"}};

void append_pages(Rows& out, const std::string& org, std::int64_t block,
                  std::vector<TermPage> pages) {
  for (TermPage& page : pages)
    out.push_back({org, block, sql::Blob{std::move(page.first)}, sql::Blob{std::move(page.bytes)}});
}

Result<void> store_block(sql::Session& session, const BlockTerms& terms) {
  Rows blocks, pages;
  for (const auto& [org, content] : terms.orgs) {
    const auto [first, last] = std::ranges::minmax_element(
        content.times(), {}, [](const auto& entry) { return entry.second; });
    blocks.push_back(
        {org, terms.block, first->second, last->second, sql::Blob{encode_times(content.times())}});
    append_pages(pages, org, terms.block, content.pages());
  }
  ASAHI_TRY([[maybe_unused]] const auto stored,
            insert_rows(session, "event_blocks", kBlockColumns, "", blocks));
  ASAHI_TRY([[maybe_unused]] const auto paged,
            insert_rows(session, "event_terms", kTermColumns, "", pages));
  return {};
}

Result<void> index_block(sql::Session& session, std::int64_t block, const BlockTerms* fresh) {
  if (fresh != nullptr && fresh->block == block && fresh->events == kBlockEvents) {
    // Rows may have been deleted meanwhile; there is no room for others.
    ASAHI_TRY(const sql::Rows there,
              session.query({"SELECT COUNT(*) AS n FROM inference_events WHERE id >= ? AND id < ?",
                             {block * kBlockEvents, (block + 1) * kBlockEvents}}));
    if (there.integer(0, "n") == kBlockEvents) return store_block(session, *fresh);
  }
  ASAHI_TRY(const BlockTerms terms, read_block(session, block));
  return store_block(session, terms);
}

/// All words of a request id, the longest first; none where it has none.
void append_request(std::vector<TermRange>& out, std::string_view request_id) {
  std::vector<std::string> words;
  append_words(words, request_id);
  std::ranges::sort(words, std::greater{}, &std::string::size);
  for (const std::string& word : words) out.push_back(exactly('w', word));
}

}  // namespace

std::vector<TermRange> terms_of(const EventsQuery& query) {
  std::vector<TermRange> terms;
  const auto exact = [&](char field, const std::string& value) {
    if (!value.empty()) terms.push_back(exactly(field, value));
  };
  // The rarer first: what they leave out need not be looked at again.
  append_request(terms, query.request_id);
  exact('u', query.user_id);
  exact('e', query.error_code);
  exact('k', query.api_key_prefix);
  std::vector<std::string> words;
  append_words(words, query.text);
  std::ranges::sort(words, std::greater{}, &std::string::size);
  for (const std::string& word : words) terms.push_back(beginning(word));
  exact('t', query.task_type);
  exact('m', query.model);
  exact('p', query.provider);
  if (query.cache_tier) exact('c', std::to_string(*query.cache_tier));
  if (query.failed) exact('f', *query.failed ? "1" : "0");
  if (query.cache_hit) exact('h', *query.cache_hit ? "1" : "0");
  return terms;
}

struct FreshBlock::Content {
  BlockTerms terms;
};

FreshBlock::FreshBlock() = default;
FreshBlock::~FreshBlock() = default;
FreshBlock::FreshBlock(FreshBlock&&) noexcept = default;
FreshBlock& FreshBlock::operator=(FreshBlock&&) noexcept = default;

void FreshBlock::add(std::int64_t id, const InferenceEvent& event) {
  if (id % kBlockEvents == 0) {
    content_ = std::make_unique<Content>();
    content_->terms.block = id / kBlockEvents;
  } else if (content_ && id != content_->terms.block * kBlockEvents + content_->terms.events) {
    content_.reset();
  }
  if (!content_) return;
  const fmt::format_int tier(event.cache_tier);
  content_->terms.add(
      id, {.ms = std::chrono::floor<std::chrono::milliseconds>(event.timestamp.time_since_epoch())
                     .count(),
           .org = event.org_id,
           .request_id = event.request_id,
           .user = event.user_id,
           .model = event.model_selected,
           .task = event.task_type,
           .provider = event.provider,
           .reason = event.routing_reason,
           .error = event.error_code,
           .key = event.api_key_prefix,
           .failed = !event.error_code.empty(),
           .hit = event.cache_hit,
           .tier = {tier.data(), tier.size()}});
}

Result<bool> index_next_block(sql::Database& database, const FreshBlock* fresh) {
  bool indexed = false;
  const auto look = [](sql::Session& session) {
    return session.query(
        {"SELECT (SELECT value FROM analytics_state WHERE name = 'index_next') AS "
         "next, (SELECT MAX(id) FROM inference_events) AS last",
         {}});
  };
  auto done = database.transaction_blocking([&](sql::Session& session) -> Result<void> {
    indexed = false;
    if (auto turn = take_turn(session); !turn) return turn;
    ASAHI_TRY(const sql::Rows state, look(session));
    std::int64_t next = state.integer(0, "next");
    // Ids ascend: when the last of a block is there, none of it can come any more.
    const auto full = [&](std::int64_t block) {
      return state.integer(0, "last") + 1 >= (block + 1) * kBlockEvents;
    };
    if (!full(next)) return {};
    ASAHI_TRY(const sql::Rows first,
              session.query({"SELECT MIN(id) AS id FROM inference_events WHERE id >= ?",
                             {next * kBlockEvents}}));
    // Old rows may be gone.
    next = std::max(next, first.integer(0, "id") / kBlockEvents);
    if (full(next)) {
      const BlockTerms* gathered =
          fresh != nullptr && fresh->content_ ? &fresh->content_->terms : nullptr;
      if (auto ok = index_block(session, next, gathered); !ok) return ok;
      ++next;
      indexed = true;
    }
    auto moved =
        session.query({"UPDATE analytics_state SET value = ? WHERE name = 'index_next'", {next}});
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return indexed;
}

Result<std::int64_t> indexed_to(sql::Database& database) {
  ASAHI_TRY(
      const sql::Rows state,
      database.query_blocking({"SELECT value FROM analytics_state WHERE name = 'index_next'", {}}));
  return state.empty() ? 0 : state.integer(0, "value") * kBlockEvents;
}

Result<std::vector<Block>> blocks_between(sql::Database& database, const std::string& org_id,
                                          std::int64_t from_ms, std::int64_t to_ms) {
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking(
                {"SELECT block, first_ms, last_ms FROM event_blocks WHERE org_id = ? AND last_ms "
                 ">= ? AND first_ms <= ? ORDER BY last_ms DESC, block DESC",
                 {org_id, from_ms, to_ms}}));
  std::vector<Block> blocks;
  blocks.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    blocks.push_back(
        {rows.integer(row, "block"), rows.integer(row, "first_ms"), rows.integer(row, "last_ms")});
  }
  return blocks;
}

namespace {

using EventsByBlock = std::map<std::int64_t, Events>;

std::string list_of(sql::Dialect dialect, std::span<const std::int64_t> numbers) {
  return dialect == sql::Dialect::kPostgres ? fmt::format("{{{}}}", fmt::join(numbers, ","))
                                            : fmt::format("[{}]", fmt::join(numbers, ","));
}

/// Adds what pages hold of `range`.
Result<void> take_pages(const sql::Rows& rows, const TermRange& range, EventsByBlock& found) {
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (rows.is_null(row, "page")) continue;
    Events events;
    if (auto ok = find_terms(bytes_of(rows, row, "page"), range.from, range.to, events); !ok)
      return ok;
    if (events.none()) continue;
    const auto [block, first] = found.try_emplace(rows.integer(row, "block"), events);
    if (!first) block->second |= events;
  }
  return {};
}

/// The page of each block that may hold the first of the terms begins at or before it.
sql::Statement first_pages(sql::Dialect dialect, const std::string& org_id,
                           const std::vector<std::int64_t>& blocks, const TermRange& range) {
  return {fmt::format("SELECT b.block, (SELECT t.page FROM event_terms t WHERE t.org_id = "
                      "b.org_id AND t.block = b.block AND t.first_term <= ? ORDER BY "
                      "t.first_term DESC LIMIT 1) AS page FROM event_blocks b WHERE "
                      "b.org_id = ? AND {}",
                      among(dialect, "b.block")),
          {sql::Blob{range.from}, org_id, list_of(dialect, blocks)},
          sql::Wire::kBinary};
}

/// The events of `blocks` that have a term of `range`.
Result<EventsByBlock> find_range(sql::Database& database, const std::string& org_id,
                                 const std::vector<std::int64_t>& blocks, const TermRange& range) {
  const sql::Dialect dialect = database.dialect();
  EventsByBlock found;
  ASAHI_TRY(const sql::Rows begin,
            database.query_blocking(first_pages(dialect, org_id, blocks, range)));
  if (auto taken = take_pages(begin, range, found); !taken)
    return std::unexpected(std::move(taken.error()));
  if (range.exact) return found;
  // Of many terms, further pages begin among them.
  ASAHI_TRY(const sql::Rows more,
            database.query_blocking(
                {fmt::format("SELECT t.block, t.page FROM event_blocks b JOIN event_terms t ON "
                             "t.org_id = b.org_id AND t.block = b.block WHERE b.org_id = ? AND "
                             "{} AND t.first_term > ? AND t.first_term < ?",
                             among(dialect, "b.block")),
                 {org_id, list_of(dialect, blocks), sql::Blob{range.from}, sql::Blob{range.to}},
                 sql::Wire::kBinary}));
  if (auto taken = take_pages(more, range, found); !taken)
    return std::unexpected(std::move(taken.error()));
  return found;
}

/// Leaves in `all` what is in `some` too; the first of several finds takes the place of all.
void narrow(EventsByBlock& all, EventsByBlock some, bool first, std::vector<std::int64_t>& left) {
  if (!first) {
    for (auto& [block, events] : some) events &= all[block];
  }
  std::erase_if(some, [](const auto& entry) { return entry.second.none(); });
  all = std::move(some);
  left.clear();
  for (const auto& [block, events] : all) left.push_back(block);
}

}  // namespace

Result<std::vector<FoundEvent>> find_in(sql::Database& database, const std::string& org_id,
                                        const std::vector<std::int64_t>& blocks,
                                        const std::vector<TermRange>& terms) {
  EventsByBlock all;
  std::vector<std::int64_t> left = blocks;
  for (std::size_t i = 0; i < terms.size() && !left.empty(); ++i) {
    ASAHI_TRY(EventsByBlock some, find_range(database, org_id, left, terms[i]));
    narrow(all, std::move(some), i == 0, left);
  }
  std::vector<FoundEvent> found;
  if (left.empty()) return found;
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking(
                {fmt::format("SELECT block, times FROM event_blocks WHERE org_id = ? AND {}",
                             among(database.dialect(), "block")),
                 {org_id, list_of(database.dialect(), left)},
                 sql::Wire::kBinary}));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t block = rows.integer(row, "block");
    const Events& events = all[block];
    auto read =
        each_time(bytes_of(rows, row, "times"), [&](std::uint16_t position, std::int64_t ms) {
          if (events.test(position)) found.push_back({ms, block * kBlockEvents + position});
        });
    if (!read) return std::unexpected(std::move(read.error()));
  }
  return found;
}

namespace {

/// Rows that no block holds yet and whose `column` has a value, from `from` on: step by step, for
/// an old table may have no blocks at all.
Task<void> find_unindexed(sql::Database& database, const std::string& org_id,
                          std::string_view column, const std::string& value, std::int64_t from,
                          std::vector<std::int64_t>& ids) {
  constexpr std::int64_t kRowsAtOnce = 50'000;
  sql::Statement range{
      "SELECT COALESCE(MIN(id), 0) AS first, COALESCE(MAX(id), -1) AS last FROM "
      "inference_events WHERE id >= ?",
      {from}};
  ASAHI_CO_TRY(const sql::Rows ends, co_await database.query(std::move(range)));
  const std::int64_t last = ends.integer(0, "last");
  // A plus sign keeps SQLite from an index that would lead through all older rows as well.
  const std::string_view plain = database.dialect() == sql::Dialect::kSqlite ? "+" : "";
  for (std::int64_t at = ends.integer(0, "first"); at <= last; at += kRowsAtOnce) {
    sql::Statement some{fmt::format("SELECT id FROM inference_events WHERE id >= ? AND id < ? AND "
                                    "{0}org_id = ? AND {0}{1} = ? ORDER BY id",
                                    plain, column),
                        {at, at + kRowsAtOnce, org_id, value}};
    ASAHI_CO_TRY(const sql::Rows rows, co_await database.query(std::move(some)));
    for (std::size_t row = 0; row < rows.size(); ++row) ids.push_back(rows.integer(row, "id"));
  }
  co_return Result<void>{};
}

/// The events that have all of `terms` (at least one), and the rows behind the index whose `column`
/// has the value.
Task<std::vector<std::int64_t>> rows_with(sql::Database& database, std::string org_id,
                                          std::vector<TermRange> terms, std::string_view column,
                                          std::string value) {
  constexpr int kBlocksAtOnce = 256;
  const sql::Dialect dialect = database.dialect();
  // First: what is indexed from now on is found in either place.
  sql::Statement state{"SELECT value FROM analytics_state WHERE name = 'index_next'", {}};
  ASAHI_CO_TRY(const sql::Rows next, co_await database.query(std::move(state)));
  const std::int64_t indexed = terms.empty() || next.empty() ? 0 : next.integer(0, "value");
  std::vector<std::int64_t> ids;
  for (std::int64_t after = -1; after + 1 < indexed;) {
    sql::Statement list{fmt::format("SELECT block FROM event_blocks WHERE org_id = ? AND block > ? "
                                    "ORDER BY block LIMIT {}",
                                    kBlocksAtOnce),
                        {org_id, after}};
    ASAHI_CO_TRY(const sql::Rows blocks, co_await database.query(std::move(list)));
    if (blocks.empty()) break;
    std::vector<std::int64_t> left;
    for (std::size_t row = 0; row < blocks.size(); ++row)
      left.push_back(blocks.integer(row, "block"));
    after = left.back();
    EventsByBlock all;
    for (std::size_t i = 0; i < terms.size() && !left.empty(); ++i) {
      sql::Statement pages = first_pages(dialect, org_id, left, terms[i]);
      ASAHI_CO_TRY(const sql::Rows rows, co_await database.query(std::move(pages)));
      EventsByBlock some;
      if (auto taken = take_pages(rows, terms[i], some); !taken)
        co_return std::unexpected(std::move(taken.error()));
      narrow(all, std::move(some), i == 0, left);
    }
    for (const auto& [block, events] : all) {
      for (std::int64_t position = 0; position < kBlockEvents; ++position) {
        if (events.test(static_cast<std::size_t>(position)))
          ids.push_back(block * kBlockEvents + position);
      }
    }
  }
  auto behind =
      co_await find_unindexed(database, org_id, column, value, indexed * kBlockEvents, ids);
  if (!behind) co_return std::unexpected(std::move(behind.error()));
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  co_return ids;
}

}  // namespace

Task<std::vector<std::int64_t>> rows_of_user(sql::Database& database, std::string org_id,
                                             std::string user_id) {
  std::vector<TermRange> terms{exactly('u', user_id)};
  co_return co_await rows_with(database, std::move(org_id), std::move(terms), "user_id",
                               std::move(user_id));
}

Task<std::vector<std::int64_t>> rows_of_request(sql::Database& database, std::string org_id,
                                                std::string request_id) {
  std::vector<TermRange> terms;
  append_request(terms, request_id);
  co_return co_await rows_with(database, std::move(org_id), std::move(terms), "request_id",
                               std::move(request_id));
}

std::string among_ids(sql::Dialect dialect) { return among(dialect, "id"); }

sql::Value list_of_ids(sql::Dialect dialect, std::span<const std::int64_t> ids) {
  return list_of(dialect, ids);
}

Task<void> expire_search(sql::Database& database, std::string org_id, Clock::Time cutoff) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(cutoff.time_since_epoch()).count();
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"DELETE FROM event_terms WHERE org_id = ? AND block IN (SELECT block FROM "
       "event_blocks WHERE org_id = ? AND last_ms < ?)",
       {org_id, org_id, ms}});
  statements.push_back({"DELETE FROM event_blocks WHERE org_id = ? AND last_ms < ?", {org_id, ms}});
  ASAHI_CO_TRY([[maybe_unused]] const auto gone, co_await database.batch(std::move(statements)));
  co_return Result<void>{};
}

namespace {

/// Takes a user out of one block; does nothing where the user is not in it.
Result<void> erase_in(sql::Session& session, const std::string& org, std::int64_t block,
                      const std::string& user, std::int64_t until_ms) {
  const TermRange range = exactly('u', user);
  ASAHI_TRY(const sql::Rows begin,
            session.query({"SELECT page FROM event_terms WHERE org_id = ? AND block = ? AND "
                           "first_term <= ? ORDER BY first_term DESC LIMIT 1",
                           {org, block, sql::Blob{range.from}}}));
  Events gone;
  if (begin.empty()) return {};
  if (auto ok = find_terms(bytes_of(begin, 0, "page"), range.from, range.to, gone); !ok) return ok;
  if (gone.none()) return {};
  ASAHI_TRY(const sql::Rows head,
            session.query(
                {"SELECT times FROM event_blocks WHERE org_id = ? AND block = ?", {org, block}}));
  ASAHI_TRY(Times times, parse_times(bytes_of(head, 0, "times")));
  for (const auto& [position, ms] : times) {
    if (ms > until_ms) gone.reset(position);
  }
  std::erase_if(times, [&](const auto& entry) { return gone.test(entry.first); });
  ASAHI_TRY(
      const sql::Rows rows,
      session.query({"SELECT page FROM event_terms WHERE org_id = ? AND block = ?", {org, block}}));
  Terms terms;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (auto ok = parse_terms(bytes_of(rows, row, "page"), terms); !ok) return ok;
  }
  for (auto& [name, positions] : terms)
    std::erase_if(positions, [&](std::uint16_t position) { return gone.test(position); });
  Rows pages;
  append_pages(pages, org, block, encode_terms(terms));
  auto removed =
      session.query({"DELETE FROM event_terms WHERE org_id = ? AND block = ?", {org, block}});
  if (!removed) return std::unexpected(std::move(removed.error()));
  auto kept = session.query({"UPDATE event_blocks SET times = ? WHERE org_id = ? AND block = ?",
                             {sql::Blob{encode_times(times)}, org, block}});
  if (!kept) return std::unexpected(std::move(kept.error()));
  ASAHI_TRY([[maybe_unused]] const auto stored,
            insert_rows(session, "event_terms", kTermColumns, "", pages));
  return {};
}

}  // namespace

Task<void> erase_search_of(sql::Database& database, std::string org_id, std::string user_id,
                           Clock::Time until) {
  constexpr std::size_t kBlocksAtOnce = 50;
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(until.time_since_epoch()).count();
  sql::Statement statement{
      "SELECT block FROM event_blocks WHERE org_id = ? AND first_ms <= ? ORDER BY block",
      {org_id, ms}};
  ASAHI_CO_TRY(const sql::Rows blocks, co_await database.query(std::move(statement)));
  for (std::size_t begin = 0; begin < blocks.size(); begin += kBlocksAtOnce) {
    std::vector<std::int64_t> some;
    for (std::size_t row = begin; row < std::min(begin + kBlocksAtOnce, blocks.size()); ++row)
      some.push_back(blocks.integer(row, "block"));
    auto body = [some = std::move(some), org_id, user_id,
                 ms](sql::Session& session) -> Result<void> {
      if (auto turn = take_turn(session); !turn) return turn;
      for (const std::int64_t block : some) {
        if (auto erased = erase_in(session, org_id, block, user_id, ms); !erased) return erased;
      }
      return {};
    };
    if (auto erased = co_await database.transaction(std::move(body)); !erased)
      co_return std::unexpected(std::move(erased.error()));
  }
  co_return Result<void>{};
}

}  // namespace asahi::gateway::analytics
