#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/json.h"
#include "memory/pgvector/rows.h"
#include "memory/pgvector/store.h"
#include "memory/text/index.h"
#include "storage/vector/rules.h"

namespace asahi::memory {
namespace {

using pg::kJsonKeys;
using pg::kJsonStrings;
using pg::kRowColumns;
using pg::ns_of;
using pg::time_of;

/// Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): 1 / (60 + rank).
constexpr double kFusion = 60;
constexpr std::size_t kFusedDepth = 100;
constexpr std::size_t kEfSearch = 50;
constexpr std::size_t kMostFacetValues = 10'000;
constexpr std::int64_t kDayNs = 86'400'000'000'000;
/// Ties: the newer first, then by key.
constexpr std::string_view kTies = "c.timestamp_ns DESC, c.system_id, c.conversation_id";

/// A condition with what it asks for.
struct Where {
  std::string sql;
  std::vector<sql::Value> params;
  void also(std::string_view condition, std::vector<sql::Value> values = {}) {
    sql += fmt::format(" AND {}", condition);
    params.insert(params.end(), values.begin(), values.end());
  }
};

Where where_of(const StoreQuery& query) {
  const Filter& filter = query.filter;
  Where out{"c.tenant = ? AND NOT c.duplicate", {pg::without_nul(query.tenant)}};
  const auto among = [&](const std::vector<std::string>& systems) {
    std::vector<std::string> clean;
    for (const std::string& system : systems) clean.push_back(pg::without_nul(system));
    out.also(fmt::format("c.system_id = ANY({})", kJsonStrings), {pg::strings_json(clean)});
  };
  if (!filter.system_ids.empty()) among(filter.system_ids);
  if (filter.systems_allowed) among(*filter.systems_allowed);
  if (filter.start) out.also("c.timestamp_ns >= ?", {ns_of(*filter.start)});
  if (filter.end) out.also("c.timestamp_ns < ?", {ns_of(*filter.end)});
  if (!filter.metadata.empty()) {
    std::vector<std::string> facts;
    for (const auto& [field, value] : filter.metadata) facts.push_back(pg::fact(field, value));
    out.also(fmt::format("c.facts @> {}", kJsonStrings), {pg::strings_json(facts)});
  }
  return out;
}

Result<void> check(const StoreQuery& query) {
  if (query.limit < 1 || query.limit > 1000)
    return fail_field("limit", fmt::format("{}; 1 to 1000 are possible", query.limit));
  float most = 0;
  for (const float number : query.embedding) {
    if (!std::isfinite(number)) return fail_field("embedding", "a number of it is not finite");
    most = std::max(most, std::abs(number));
  }
  if (!query.embedding.empty() && most == 0)
    return fail_field("embedding", "all its numbers are 0: it has no direction");
  return {};
}

/// The nearest by cosine, with `similarity`.
sql::Statement nearest(const StoreQuery& query, const Where& where, std::size_t depth) {
  const std::size_t width = query.embedding.size();
  const std::string distance = fmt::format(
      "CAST(c.embedding AS vector({0})) <=> CAST(CAST(? AS TEXT) AS vector({0}))", width);
  const std::string vector = pg::vector_text(query.embedding);
  sql::Statement out{
      fmt::format("SELECT c.system_id, c.conversation_id, c.timestamp_ns, 1 - ({}) AS similarity "
                  "FROM akosha.conversations c WHERE {} AND vector_dims(c.embedding) = {} AND "
                  "c.embedding_model = ? ORDER BY {} LIMIT {}",
                  distance, where.sql, width, distance, depth),
      {vector}};
  out.params.insert(out.params.end(), where.params.begin(), where.params.end());
  out.params.emplace_back(pg::without_nul(query.embedding_model));
  out.params.emplace_back(vector);
  return out;
}

/// What the question's words ask for, as `terms` and `weights` of the statements below.
struct Words {
  std::string terms, weighted;
};
std::optional<Words> words_of(std::string_view text) {
  std::vector<std::string> terms;
  json::array weighted;
  for (const text::QueryTerm& term : text::query_terms(text)) {
    terms.push_back(pg::without_nul(term.text));
    weighted.push_back({terms.back(), term.weight});
  }
  if (terms.empty()) return std::nullopt;
  return Words{pg::strings_json(terms), write_json(weighted)};
}

Where matching(const Where& where, const Words& words) {
  Where out = where;
  out.also(fmt::format("c.terms && {}", kJsonStrings), {words.terms});
  return out;
}

/// BM25 over the tenant's memories (Robertson & Zaragoza 2009; k1 1.2, b 0.75), with `score` and
/// the question's words that a memory has.
sql::Statement best_words(const StoreQuery& query, const Where& where, const Words& words,
                          std::size_t depth) {
  const Where match = matching(where, words);
  sql::Statement out{
      fmt::format(
          "WITH q AS (SELECT e.v->>0 AS term, CAST(e.v->>1 AS FLOAT8) AS weight FROM "
          "jsonb_array_elements(CAST(? AS jsonb)) e(v)), n AS (SELECT CAST(count(*) AS FLOAT8) AS "
          "docs, GREATEST(CAST(avg(words) AS FLOAT8), 1) AS mean FROM akosha.conversations WHERE "
          "tenant = ? AND NOT duplicate), i AS MATERIALIZED (SELECT q.term, q.weight * ln(1 + "
          "(n.docs - d.having + 0.5) / (d.having + 0.5)) AS idf FROM q, n, LATERAL (SELECT "
          "CAST(count(*) AS FLOAT8) AS having FROM akosha.conversations t WHERE t.tenant = ? AND "
          "NOT t.duplicate AND t.terms @> ARRAY[q.term]) d) SELECT c.system_id, "
          "c.conversation_id, c.timestamp_ns, s.score, s.matched FROM akosha.conversations c, n, "
          "LATERAL (SELECT sum(i.idf * u.f * 2.2 / (u.f + 1.2 * (0.25 + 0.75 * c.words / n.mean))) "
          "AS score, CAST(json_agg(i.term) AS TEXT) AS matched FROM i JOIN unnest(c.terms, "
          "c.frequencies) AS u(term, f) ON u.term = i.term) s WHERE {} ORDER BY s.score DESC, {} "
          "LIMIT {}",
          match.sql, kTies, depth),
      {words.weighted, pg::without_nul(query.tenant), pg::without_nul(query.tenant)}};
  out.params.insert(out.params.end(), match.params.begin(), match.params.end());
  return out;
}

/// The values of one facet as `value` and `n`; dates as days since 1970.
sql::Statement facet(const std::string& name, const Where& where) {
  sql::Statement out;
  if (name == "system_id" || name == "tier" || date_unit(name)) {
    const std::string value =
        name == "system_id" ? "c.system_id"
        : name == "tier"
            ? fmt::format("'{}'", tier_name(Tier::kHot))
            : fmt::format("CAST(floor(CAST(c.timestamp_ns AS NUMERIC) / {}) AS BIGINT)", kDayNs);
    out.sql = fmt::format(
        "SELECT {} AS value, count(*) AS n FROM akosha.conversations c WHERE {} GROUP BY 1 ORDER "
        "BY "
        "2 DESC LIMIT {}",
        value, where.sql, kMostFacetValues);
    out.params = where.params;
    return out;
  }
  const std::string prefix = pg::fact(name, "");
  out.sql = fmt::format(
      "SELECT substr(f.fact, CAST(? AS INTEGER)) AS value, count(*) AS n FROM akosha.conversations "
      "c, unnest(c.facts) AS f(fact) WHERE {} AND starts_with(f.fact, ?) GROUP BY 1 ORDER BY 2 "
      "DESC LIMIT {}",
      where.sql, kMostFacetValues);
  // In characters, as substr counts.
  const auto characters = static_cast<std::int64_t>(std::ranges::count_if(
      prefix, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  out.params.emplace_back(characters + 1);
  out.params.insert(out.params.end(), where.params.begin(), where.params.end());
  out.params.emplace_back(prefix);
  return out;
}

void add_facet(const std::string& name, const sql::Rows& rows, FacetCounts& out) {
  auto& counts = out[name];
  const auto unit = date_unit(name);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string value =
        unit ? date_text(time_of(rows.integer(i, "value") * kDayNs), *unit) : rows.text(i, "value");
    counts[value] += static_cast<std::uint64_t>(rows.integer(i, "n"));
  }
}

struct Ranked {
  Key key;
  std::int64_t timestamp_ns = 0;
  double score = 0;
  Explanation why;
};

std::vector<Ranked> fused(const StoreQuery& query, const sql::Rows* near, const sql::Rows* words) {
  std::vector<Ranked> out;
  std::map<Key, std::size_t> place;
  const auto row_of = [&](const sql::Rows& rows, std::size_t i) -> Ranked& {
    Key key{query.tenant, rows.text(i, "system_id"), rows.text(i, "conversation_id")};
    const auto [at, fresh] = place.emplace(key, out.size());
    if (fresh)
      out.push_back({.key = std::move(key),
                     .timestamp_ns = rows.integer(i, "timestamp_ns"),
                     .score = 0,
                     .why = {}});
    return out[at->second];
  };
  for (std::size_t i = 0; near != nullptr && i < near->size(); ++i) {
    const float similarity = vector::clamp_score(near->real(i, "similarity"));
    if (query.mode == SearchMode::kSemantic && similarity < query.threshold) break;
    Ranked& row = row_of(*near, i);
    row.why.cosine = similarity;
    row.why.vector_rank = static_cast<int>(i + 1);
    row.score = words != nullptr
                    ? fusion_weight(query.embedding_model) / (kFusion + static_cast<double>(i + 1))
                    : static_cast<double>(similarity);
  }
  for (std::size_t i = 0; words != nullptr && i < words->size(); ++i) {
    Ranked& row = row_of(*words, i);
    row.why.bm25 = static_cast<float>(words->real(i, "score"));
    row.why.keyword_rank = static_cast<int>(i + 1);
    const auto matched = parse_json(words->text(i, "matched"));
    if (matched && matched->is_array()) {
      for (const json::value& term : matched->get_array()) {
        if (term.is_string()) row.why.matched_terms.emplace_back(term.get_string());
      }
    }
    row.score = near != nullptr ? row.score + 1 / (kFusion + static_cast<double>(i + 1))
                                : words->real(i, "score");
  }
  std::ranges::sort(out, [](const Ranked& a, const Ranked& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.timestamp_ns != b.timestamp_ns ? a.timestamp_ns > b.timestamp_ns : a.key < b.key;
  });
  return out;
}

}  // namespace

Task<StorePage> PgVectorStore::search(StoreQuery query) {
  if (auto ok = check(query); !ok) co_return std::unexpected(std::move(ok.error()));
  const bool semantic = query.mode != SearchMode::kKeyword && !query.embedding.empty();
  const std::optional<Words> words = query.mode != SearchMode::kSemantic && !query.text.empty()
                                         ? words_of(query.text)
                                         : std::nullopt;
  const bool nothing_asked = query.embedding.empty() && query.text.empty();
  const Where where = where_of(query);
  const Where counted = words && !semantic ? matching(where, *words) : where;
  const std::size_t depth =
      semantic && words ? std::max(kFusedDepth, 2 * query.limit) : query.limit;

  std::vector<sql::Statement> batch;
  std::optional<std::size_t> near_at, words_at, newest_at;
  if (semantic) {
    // Of this transaction: the index is followed until enough rows pass the filter.
    batch.push_back(
        {server_.iterative
             ? fmt::format("SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
                           "set_config('hnsw.ef_search', '{}', true)",
                           std::max(depth, kEfSearch))
             : fmt::format("SELECT set_config('hnsw.ef_search', '{}', true)",
                           std::max(depth, kEfSearch)),
         {}});
    near_at = batch.size();
    batch.push_back(nearest(query, where, depth));
  }
  if (words) {
    words_at = batch.size();
    batch.push_back(best_words(query, where, *words, depth));
  }
  if (nothing_asked) {
    newest_at = batch.size();
    batch.push_back({fmt::format("SELECT c.system_id, c.conversation_id, c.timestamp_ns FROM "
                                 "akosha.conversations c WHERE {} ORDER BY {} LIMIT {}",
                                 where.sql, kTies, query.limit),
                     where.params});
  }
  const std::size_t total_at = batch.size();
  batch.push_back(
      {fmt::format("SELECT count(*) AS n FROM akosha.conversations c WHERE {}", counted.sql),
       counted.params});
  for (const std::string& name : query.facets) batch.push_back(facet(name, counted));
  ASAHI_CO_TRY(const std::vector<sql::Rows> answers, co_await database_->batch(std::move(batch)));

  std::vector<Ranked> ranked;
  if (newest_at) {
    const sql::Rows& rows = answers[*newest_at];
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t time = rows.integer(i, "timestamp_ns");
      ranked.push_back(
          {.key = {query.tenant, rows.text(i, "system_id"), rows.text(i, "conversation_id")},
           .timestamp_ns = time,
           .score = static_cast<double>(time) / 1e9,
           .why = {}});
    }
  } else {
    ranked = fused(query, near_at ? &answers[*near_at] : nullptr,
                   words_at ? &answers[*words_at] : nullptr);
  }
  const std::size_t found = ranked.size();
  if (ranked.size() > query.limit) ranked.resize(query.limit);

  StorePage page;
  page.total = nothing_asked || semantic || words
                   ? static_cast<std::uint64_t>(answers[total_at].integer(0, "n"))
                   : 0;
  if (query.mode == SearchMode::kSemantic && semantic && found < depth) page.total = found;
  for (std::size_t i = 0; i < query.facets.size(); ++i)
    add_facet(query.facets[i], answers[total_at + 1 + i], page.facets);

  std::vector<Key> keys;
  for (const Ranked& row : ranked) keys.push_back(row.key);
  ASAHI_CO_TRY(auto memories, co_await get(std::move(keys)));
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    if (!memories[i]) continue;  // erased since
    StoreHit& hit = page.hits.emplace_back();
    hit.key = std::move(ranked[i].key);
    hit.tier = Tier::kHot;
    if (query.include_content) hit.text = std::move(memories[i]->content);
    hit.similarity = ranked[i].why.cosine;
    hit.score = ranked[i].score;
    hit.timestamp = memories[i]->timestamp;
    hit.metadata = std::move(memories[i]->metadata);
    hit.explanation = std::move(ranked[i].why);
  }
  page.total = std::max<std::uint64_t>(page.total, page.hits.size());
  co_return page;
}

}  // namespace asahi::memory
