#include "gateway/analytics/search_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "gateway/analytics/bulk.h"
#include "gateway/analytics/search_words.h"
#include "gateway/analytics/turn.h"

namespace asahi::gateway::analytics {
namespace {

/// A term begins with what it is a value of: exact values keep their case, words ('w') are folded.
constexpr std::size_t kMostOfATerm = 80;

std::string term(char field, std::string_view value) {
  std::string out(1, field);
  out += value.substr(0, kMostOfATerm);
  return out;
}
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

std::string blob_of(const sql::Rows& rows, std::size_t row, std::string_view column) {
  return rows.text(row, column);
}

/// The words of a field's value, remembered: most fields have few values.
class WordsOf {
 public:
  const std::vector<std::string>& operator()(const std::string& value) {
    const auto found = words_.find(value);
    if (found != words_.end()) return found->second;
    std::vector<std::string> words;
    append_words(words, value);
    for (std::string& word : words) word = term('w', word);
    return words_.emplace(value, std::move(words)).first->second;
  }

 private:
  std::unordered_map<std::string, std::vector<std::string>> words_;
};

struct OrgBlock {
  Times times;
  std::unordered_map<std::string, Positions> terms;
};

void add_row(OrgBlock& block, const sql::Rows& rows, std::size_t row, std::uint16_t position,
             std::int64_t ms, WordsOf& words_of) {
  block.times.emplace_back(position, ms);
  const auto add = [&](const std::string& one) {
    Positions& positions = block.terms[one];
    if (positions.empty() || positions.back() != position) positions.push_back(position);
  };
  const auto value = [&](char field, std::string_view column) {
    const std::string text = rows.text(row, column);
    if (text.empty()) return;
    if (field != '\0') add(term(field, text));
    for (const std::string& word : words_of(text)) add(word);
  };
  value('\0', "request_id");
  value('u', "user_id");
  value('m', "model_selected");
  value('t', "task_type");
  value('p', "provider");
  value('\0', "routing_reason");
  value('e', "error_code");
  const std::string key = rows.text(row, "api_key_prefix");
  if (!key.empty()) add(term('k', key));
  add(term('f', rows.is_null(row, "error_code") ? "0" : "1"));
  add(term('h', rows.boolean(row, "cache_hit") ? "1" : "0"));
  add(term('c', rows.text(row, "cache_tier")));
}

constexpr Column kBlockColumns[] = {{"org_id", "varchar"},
                                    {"block", "bigint"},
                                    {"first_ms", "bigint"},
                                    {"last_ms", "bigint"},
                                    {"times", "bytea"}};
constexpr Column kTermColumns[] = {
    {"org_id", "varchar"}, {"block", "bigint"}, {"first_term", "bytea"}, {"page", "bytea"}};

void append_pages(Rows& out, const std::string& org, std::int64_t block, const Terms& terms) {
  for (TermPage& page : encode_terms(terms))
    out.push_back({org, block, sql::Blob{std::move(page.first)}, sql::Blob{std::move(page.bytes)}});
}

Result<void> index_block(sql::Session& session, std::int64_t block) {
  ASAHI_TRY(const sql::Rows rows,
            session.query({"SELECT id, timestamp, org_id, request_id, user_id, model_selected, "
                           "task_type, provider, routing_reason, error_code, api_key_prefix, "
                           "cache_hit, cache_tier FROM inference_events WHERE id >= ? AND id < ? "
                           "ORDER BY id",
                           {block * kBlockEvents, (block + 1) * kBlockEvents}}));
  std::unordered_map<std::string, OrgBlock> orgs;
  WordsOf words_of;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    ASAHI_TRY(const Clock::Time at, parse_rfc3339(rows.text(row, "timestamp")));
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
    const auto position = static_cast<std::uint16_t>(rows.integer(row, "id") % kBlockEvents);
    add_row(orgs[rows.text(row, "org_id")], rows, row, position, ms, words_of);
  }
  Rows blocks, pages;
  for (auto& [org, content] : orgs) {
    const auto [first, last] = std::ranges::minmax_element(
        content.times, {}, [](const auto& entry) { return entry.second; });
    blocks.push_back(
        {org, block, first->second, last->second, sql::Blob{encode_times(content.times)}});
    Terms terms;
    for (auto& [name, positions] : content.terms) terms.emplace(name, std::move(positions));
    append_pages(pages, org, block, terms);
  }
  if (auto stored = insert_rows(session, "event_blocks", kBlockColumns, "", std::move(blocks));
      !stored)
    return stored;
  return insert_rows(session, "event_terms", kTermColumns, "", std::move(pages));
}

}  // namespace

std::vector<TermRange> terms_of(const EventsQuery& query) {
  std::vector<TermRange> terms;
  const auto exact = [&](char field, const std::string& value) {
    if (!value.empty()) terms.push_back(exactly(field, value));
  };
  // The rarer first: what they leave out need not be looked at again.
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

Result<bool> index_next_block(sql::Database& database) {
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
    if (state.integer(0, "last") < (next + 1) * kBlockEvents) return {};
    ASAHI_TRY(const sql::Rows first,
              session.query({"SELECT MIN(id) AS id FROM inference_events WHERE id >= ?",
                             {next * kBlockEvents}}));
    // Old rows may be gone.
    next = std::max(next, first.integer(0, "id") / kBlockEvents);
    if (state.integer(0, "last") >= (next + 1) * kBlockEvents) {
      if (auto ok = index_block(session, next); !ok) return ok;
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

std::string list_of(sql::Dialect dialect, const std::vector<std::int64_t>& numbers) {
  return dialect == sql::Dialect::kPostgres ? fmt::format("{{{}}}", fmt::join(numbers, ","))
                                            : fmt::format("[{}]", fmt::join(numbers, ","));
}

/// The events of `blocks` that have a term of `range`.
Result<EventsByBlock> find_range(sql::Database& database, const std::string& org_id,
                                 const std::vector<std::int64_t>& blocks, const TermRange& range) {
  const sql::Dialect dialect = database.dialect();
  EventsByBlock found;
  const auto take = [&](const sql::Rows& rows) -> Result<void> {
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (rows.is_null(row, "page")) continue;
      Events events;
      if (auto ok = find_terms(blob_of(rows, row, "page"), range.from, range.to, events); !ok)
        return ok;
      if (events.any()) found[rows.integer(row, "block")] |= events;
    }
    return {};
  };
  // The page that may hold the first of the terms begins at or before it; of many terms, further
  // pages begin among them.
  const std::string list = list_of(dialect, blocks);
  ASAHI_TRY(const sql::Rows begin,
            database.query_blocking(
                {fmt::format("SELECT b.block, (SELECT t.page FROM event_terms t WHERE t.org_id = "
                             "b.org_id AND t.block = b.block AND t.first_term <= ? ORDER BY "
                             "t.first_term DESC LIMIT 1) AS page FROM event_blocks b WHERE "
                             "b.org_id = ? AND {}",
                             among(dialect, "b.block")),
                 {sql::Blob{range.from}, org_id, list}}));
  if (auto taken = take(begin); !taken) return std::unexpected(std::move(taken.error()));
  if (!range.exact) {
    ASAHI_TRY(const sql::Rows more,
              database.query_blocking(
                  {fmt::format("SELECT t.block, t.page FROM event_blocks b JOIN event_terms t ON "
                               "t.org_id = b.org_id AND t.block = b.block WHERE b.org_id = ? AND "
                               "{} AND t.first_term > ? AND t.first_term < ?",
                               among(dialect, "b.block")),
                   {org_id, list, sql::Blob{range.from}, sql::Blob{range.to}}}));
    if (auto taken = take(more); !taken) return std::unexpected(std::move(taken.error()));
  }
  return found;
}

}  // namespace

Result<std::vector<FoundEvent>> find_in(sql::Database& database, const std::string& org_id,
                                        const std::vector<std::int64_t>& blocks,
                                        const std::vector<TermRange>& terms) {
  EventsByBlock all;
  std::vector<std::int64_t> left = blocks;
  for (std::size_t i = 0; i < terms.size() && !left.empty(); ++i) {
    ASAHI_TRY(EventsByBlock some, find_range(database, org_id, left, terms[i]));
    if (i > 0) {
      for (auto& [block, events] : some) events &= all[block];
    }
    std::erase_if(some, [](const auto& entry) { return entry.second.none(); });
    all = std::move(some);
    left.clear();
    for (const auto& [block, events] : all) left.push_back(block);
  }
  std::vector<FoundEvent> found;
  if (left.empty()) return found;
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking(
                {fmt::format("SELECT block, times FROM event_blocks WHERE org_id = ? AND {}",
                             among(database.dialect(), "block")),
                 {org_id, list_of(database.dialect(), left)}}));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t block = rows.integer(row, "block");
    const Events& events = all[block];
    ASAHI_TRY(const Times times, parse_times(blob_of(rows, row, "times")));
    for (const auto& [position, ms] : times) {
      if (events.test(position)) found.push_back({ms, block * kBlockEvents + position});
    }
  }
  return found;
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
  if (auto ok = find_terms(blob_of(begin, 0, "page"), range.from, range.to, gone); !ok) return ok;
  if (gone.none()) return {};
  ASAHI_TRY(const sql::Rows head,
            session.query(
                {"SELECT times FROM event_blocks WHERE org_id = ? AND block = ?", {org, block}}));
  ASAHI_TRY(Times times, parse_times(blob_of(head, 0, "times")));
  for (const auto& [position, ms] : times) {
    if (ms > until_ms) gone.reset(position);
  }
  std::erase_if(times, [&](const auto& entry) { return gone.test(entry.first); });
  ASAHI_TRY(
      const sql::Rows rows,
      session.query({"SELECT page FROM event_terms WHERE org_id = ? AND block = ?", {org, block}}));
  Terms terms;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (auto ok = parse_terms(blob_of(rows, row, "page"), terms); !ok) return ok;
  }
  for (auto& [name, positions] : terms)
    std::erase_if(positions, [&](std::uint16_t position) { return gone.test(position); });
  Rows pages;
  append_pages(pages, org, block, terms);
  auto removed =
      session.query({"DELETE FROM event_terms WHERE org_id = ? AND block = ?", {org, block}});
  if (!removed) return std::unexpected(std::move(removed.error()));
  auto kept = session.query({"UPDATE event_blocks SET times = ? WHERE org_id = ? AND block = ?",
                             {sql::Blob{encode_times(times)}, org, block}});
  if (!kept) return std::unexpected(std::move(kept.error()));
  return insert_rows(session, "event_terms", kTermColumns, "", std::move(pages));
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
