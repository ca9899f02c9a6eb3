#include "memory/search/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "base/hash.h"
#include "base/ids.h"
#include "base/json_out.h"
#include "base/log.h"
#include "memory/search/merge.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

/// Writes to the shared cache that may be under way.
constexpr std::size_t kMostSharing = 1024;
constexpr std::size_t kQueryIdDigits = 16;

/// The cosine that `similarity` (EmbedderTraits) stands for.
float to_cosine(const llm::EmbedderTraits& traits, float similarity) {
  if (similarity <= 0) return similarity;
  return static_cast<float>(std::pow(similarity, 1 / traits.exponent));
}

void write_explanation(JsonOut& out, const Explanation& why) {
  out.key("explanation").open_object();
  if (why.cosine) out.member("cosine", static_cast<double>(*why.cosine));
  if (why.bm25) out.member("bm25", static_cast<double>(*why.bm25));
  if (why.vector_rank) out.member("vector_rank", static_cast<std::int64_t>(*why.vector_rank));
  if (why.keyword_rank) out.member("keyword_rank", static_cast<std::int64_t>(*why.keyword_rank));
  if (!why.matched_terms.empty()) {
    out.key("matched_terms").open_array();
    for (const std::string& term : why.matched_terms) out.string(term);
    out.close_array();
  }
  out.close_object();
}

void write_hit(JsonOut& out, const StoreHit& hit, bool with_content) {
  out.open_object();
  out.member("system_id", hit.key.system_id);
  out.member("conversation_id", hit.key.conversation_id);
  if (with_content) {
    if (hit.tier == Tier::kHot) {
      out.member("content", hit.text);
    } else {
      out.member("summary", hit.text);
    }
  }
  if (hit.similarity) {
    out.member("similarity", static_cast<double>(*hit.similarity));
  } else {
    out.key("similarity").null();
  }
  out.member("score", hit.score);
  out.member("timestamp", format_rfc3339(hit.timestamp));
  out.member("tier", tier_name(hit.tier));
  out.key("metadata").raw(hit.metadata.empty() ? "{}" : std::string_view(hit.metadata));
  write_explanation(out, hit.explanation);
  out.close_object();
}

void write_names(JsonOut& out, std::string_view key, const std::vector<std::string>& names) {
  out.key(key).open_array();
  for (const std::string& name : names) out.string(name);
  out.close_array();
}

std::vector<std::string> names_of(const std::vector<Tier>& tiers) {
  std::vector<std::string> names;
  for (const Tier tier : tiers) names.emplace_back(tier_name(tier));
  return names;
}

std::string erased_key(std::string_view tenant) { return fmt::format("memory:erased:{}", tenant); }

std::int64_t number_of(Clock::Time time) { return time.time_since_epoch().count(); }

/// A kept reply begins with when it was asked for, on a line of its own.
std::string page_of(Clock::Time asked, std::string_view reply) {
  return fmt::format("{}\n{}", number_of(asked), reply);
}
std::int64_t asked_at(std::string_view page) {
  std::int64_t asked = 0;
  std::from_chars(page.data(), page.data() + page.size(), asked);
  return asked;
}

/// What is not whole is not kept. It is said first: behind it stand metadata, which are anybody's
/// words.
bool is_whole(std::string_view body) { return body.starts_with(R"({"partial":false,)"); }

}  // namespace

Search::Search(Parts parts, SearchOptions options) : parts_(parts), options_(std::move(options)) {}

Search::CacheCounts Search::cache_counts() const {
  return {l1_hits_.load(), l2_hits_.load(), misses_.load()};
}

Task<std::string> Search::search(Reach reach, SearchRequest request) {
  if (auto ok = reach.bound(request.filter); !ok) co_return std::unexpected(ok.error());
  const std::string tenant = reach.tenant();
  const auto started = parts_.clock.steady_now();
  const Clock::Time asked = parts_.clock.now();
  std::string_view level = "miss";
  std::string key;
  std::optional<std::string> body;
  const SearchOptions options = this->options();
  if (options.cache) {
    Name name = co_await name_of(tenant, request);
    key = std::move(name.key);
    if (!request.fresh) body = co_await cached(key, level);
    if (level == "l1") l1_hits_.fetch_add(1, std::memory_order_relaxed);
    if (level == "l2") l2_hits_.fetch_add(1, std::memory_order_relaxed);
    frequent_.note(tenant, name.id, request, parts_.clock.now());
  }
  if (!body) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    std::vector<Key> page;
    auto found = co_await answer(reach, request, &page);
    const auto took = parts_.clock.steady_now() - started;
    if (!found) {
      if (parts_.observer != nullptr)
        parts_.observer->searched(tenant, request.mode, "miss", false, took);
      co_return std::unexpected(found.error());
    }
    body = std::move(*found);
    if (parts_.hits != nullptr) parts_.hits->returned(key, std::move(page));
    if (options.cache && is_whole(*body)) co_await keep(key, *body);
  } else if (parts_.hits != nullptr) {
    parts_.hits->returned_again(key);
  }
  const auto took = parts_.clock.steady_now() - started;
  const std::string id = random_id("qry_", kQueryIdDigits);
  std::string reply = wrap(id, level, took, *body);
  const std::string page = "memory:page:" + reach.name() + ":" + id;
  const auto bytes = std::make_shared<const std::string>(page_of(asked, reply));
  (void)co_await parts_.replies.set(page, bytes, options.l2_ttl);
  share(page, bytes);
  if (parts_.observer != nullptr)
    parts_.observer->searched(tenant, request.mode, level, true, took);
  co_return reply;
}

Task<std::string> Search::reply(Reach reach, std::string query_id) {
  const std::string page = "memory:page:" + reach.name() + ":" + query_id;
  ASAHI_CO_TRY(auto found, co_await parts_.replies.get(page));
  if (!found && parts_.l2 != nullptr) {
    ASAHI_CO_TRY(found, co_await parts_.l2->get(page));
  }
  if (found) {
    for (cache::Store* const store : {&parts_.replies, parts_.l2}) {
      if (store == nullptr || !found) continue;
      ASAHI_CO_TRY(const auto erased, co_await store->get(erased_key(reach.tenant())));
      if (erased && asked_at(**found) <= asked_at(**erased)) found.reset();
    }
  }
  if (!found) {
    co_return fail(Errc::kNotFound,
                   fmt::format("no search '{}': replies are kept for {} s, and until memories of "
                               "the organisation are erased",
                               query_id.substr(0, 40), options().l2_ttl.count()));
  }
  const std::string& page_text = **found;
  co_return page_text.substr(page_text.find('\n') + 1);
}

Aw<void> Search::erased(std::string tenant) {
  co_await parts_.epochs.bump(tenant);
  // For as long as a reply of before may be kept.
  const auto mark =
      std::make_shared<const std::string>(std::to_string(number_of(parts_.clock.now())));
  for (cache::Store* const store : {&parts_.replies, parts_.l2}) {
    if (store == nullptr) continue;
    const auto marked = co_await store->set(erased_key(tenant), mark, options().l2_ttl);
    if (!marked)
      Logger("memory.search")
          .warning("kept replies of before an erasure stay until they are forgotten",
                   {{"tenant", tenant}, {"error", marked.error().message}});
  }
}

Aw<Search::Name> Search::name_of(const std::string& tenant, const SearchRequest& request) {
  const std::string what =
      fmt::format("{}|{}|{}", request.offset, request.limit, request.canonical());
  const std::string epoch = co_await parts_.epochs.current(tenant);
  const std::string canonical = fmt::format("{}:{}|{}|{}|{}", tenant.size(), tenant, epoch,
                                            parts_.embedder.traits().tag, what);
  co_return Name{.id = to_hex(sha256(what)),
                 .key = "memory:search:" + tenant + ":" + to_hex(sha256(canonical))};
}

Task<bool> Search::refill(std::string tenant, SearchRequest request) {
  if (!options().cache) co_return fail(Errc::kInvalidArgument, "answers are not cached here");
  request.timeout = options().limits.timeout;
  const Name name = co_await name_of(tenant, request);
  std::string_view level;
  // One that only the shared cache has is taken into this process by looking for it.
  if (co_await cached(name.key, level)) co_return false;
  ASAHI_CO_TRY(std::string body,
               co_await answer(Reach(tenant, request.filter.systems_allowed), request, nullptr));
  if (is_whole(body)) co_await keep(name.key, std::move(body));
  co_return true;
}

Task<void> Search::purge(std::string tenant) {
  co_await parts_.epochs.bump(tenant);
  ASAHI_CO_TRY([[maybe_unused]] const auto first,
               co_await parts_.l1.erase_prefix("memory:search:" + tenant + ":"));
  if (parts_.l2 == nullptr) co_return Result<void>{};
  ASAHI_CO_TRY([[maybe_unused]] const auto second,
               co_await parts_.l2->erase_prefix("memory:search:" + tenant + ":"));
  co_return Result<void>{};
}

Aw<std::optional<std::string>> Search::cached(const std::string& key, std::string_view& level) {
  if (auto found = co_await parts_.l1.get(key); found && *found) {
    level = "l1";
    co_return **found.value();
  }
  if (parts_.l2 == nullptr) co_return std::nullopt;
  auto found = co_await parts_.l2->get(key);
  if (!found || !*found) co_return std::nullopt;
  level = "l2";
  (void)co_await parts_.l1.set(key, **found, options().l1_ttl);
  co_return ***found;
}

Aw<void> Search::keep(const std::string& key, std::string body) {
  const auto bytes = std::make_shared<const std::string>(std::move(body));
  (void)co_await parts_.l1.set(key, bytes, options().l1_ttl);
  share(key, bytes);
}

void Search::share(std::string key, std::shared_ptr<const std::string> bytes) {
  if (parts_.l2 == nullptr) return;
  // A shared cache that is slow gets less, and no search waits for it.
  if (sharing_->fetch_add(1) >= kMostSharing) {
    sharing_->fetch_sub(1);
    return;
  }
  net::Loop::current()->spawn(
      "sharing a search",
      [](std::shared_ptr<std::atomic<std::size_t>> sharing, cache::Store* store, std::string name,
         std::shared_ptr<const std::string> value, std::chrono::seconds life) -> Aw<void> {
        (void)co_await store->set(std::move(name), std::move(value), life);
        sharing->fetch_sub(1);
      }(sharing_, parts_.l2, std::move(key), std::move(bytes), options().l2_ttl));
}

Task<std::string> Search::answer(Reach reach, const SearchRequest& request,
                                 std::vector<Key>* page) {
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  StoreQuery query;
  query.tenant = reach.tenant();
  query.mode = request.mode;
  query.text = request.mode == SearchMode::kSemantic ? std::string{} : request.text;
  query.filter = request.filter;
  query.limit = std::min(request.offset + request.limit, kMaxDepth);
  query.include_content = request.include_content;
  query.facets = request.facets;
  const llm::EmbedderTraits& traits = parts_.embedder.traits();
  query.embedding_model = traits.tag;
  std::string_view degraded;
  if (request.mode != SearchMode::kKeyword) {
    if (!request.embedding.empty()) {
      query.embedding = request.embedding;
    } else if (!request.text.empty()) {
      auto embedded = parts_.embedder.try_embed(request.text);
      if (!embedded) {
        std::vector<std::string> texts{request.text};
        auto made = co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kQuery,
                                                   {.deadline = deadline});
        if (made && made->size() == 1) {
          embedded = std::move(made->front());
        } else if (request.mode == SearchMode::kSemantic) {
          co_return std::unexpected(
              made ? Error{.code = Errc::kUpstream, .message = "the embedder gave no vector"}
                   : std::move(made).error());
        } else {
          degraded = "keyword";
          query.mode = SearchMode::kKeyword;
        }
      }
      if (embedded) {
        query.embedding = *embedded->vector;
        // The embedder that stood in for one that is away: its vectors meet its own only.
        query.embedding_model = embedded->traits->tag;
      }
    }
  }
  const bool asks = !query.text.empty() || !query.embedding.empty();
  if (asks && request.mode == SearchMode::kSemantic) {
    query.threshold = to_cosine(traits, request.threshold.value_or(options().semantic_threshold));
  } else if (asks && request.threshold) {
    query.threshold = to_cosine(traits, *request.threshold);
  }
  const double vector_weight = fusion_weight(query.embedding_model);
  ASAHI_CO_TRY(TierAnswers all, co_await ask_tiers(std::move(query), request, deadline));
  std::vector<StoreHit> merged = merge_tiers(std::move(all.hits), request.mode, vector_weight);
  all.total -= std::min<std::uint64_t>(all.total, co_await drop_superseded(merged, all.failed));
  for (StoreHit& hit : merged) {
    if (hit.similarity) hit.similarity = static_cast<float>(traits.similarity(*hit.similarity));
    hit.metadata = reach.visible_metadata(std::move(hit.metadata));
  }
  const std::size_t found = merged.size();
  const std::size_t from = std::min(request.offset, found);
  const std::size_t to = std::min(from + request.limit, found);
  if (page != nullptr && parts_.hits != nullptr) {
    for (std::size_t i = from; i < to; ++i) page->push_back(merged[i].key);
  }
  if (page != nullptr && parts_.observer != nullptr)
    parts_.observer->found(request.mode, to - from, all.searched.size() + all.failed.size(),
                           all.failed.size());
  std::string text;
  JsonOut out(text);
  out.open_object();
  out.member("partial", !all.failed.empty() || !all.partly.empty() || !degraded.empty());
  out.member("total_results", static_cast<std::int64_t>(std::max<std::uint64_t>(all.total, found)));
  out.key("results").open_array();
  for (std::size_t i = from; i < to; ++i) write_hit(out, merged[i], request.include_content);
  out.close_array();
  out.key("facets").open_object();
  for (const auto& [facet, values] : all.facets) {
    out.key(std::string_view(facet)).open_object();
    for (const auto& [value, count] : values)
      out.member(std::string_view(value), static_cast<std::int64_t>(count));
    out.close_object();
  }
  out.close_object();
  out.member("mode", degraded.empty() ? mode_name(request.mode) : degraded);
  std::vector<std::string> missing = names_of(all.failed);
  missing.insert(missing.end(), all.partly.begin(), all.partly.end());
  write_names(out, "failed_shards", missing);
  write_names(out, "tiers_searched", names_of(all.searched));
  if (to < all.total && to < found + 1 && to == from + request.limit &&
      to + request.limit <= kMaxDepth) {
    out.member("next_cursor", make_cursor(request, to));
  } else {
    out.key("next_cursor").null();
  }
  out.close_object();
  co_return text;
}

Task<TierAnswers> Search::ask_tiers(StoreQuery query, const SearchRequest& request,
                                    std::chrono::steady_clock::time_point deadline) {
  const SearchOptions limits = options();
  // Who asks for the cold tier waits longer for that one only.
  TierSources sources = {TierSource{parts_.hot, request.hot, limits.tier_timeout},
                         TierSource{parts_.warm, request.warm, limits.tier_timeout},
                         TierSource{parts_.cold, request.cold, limits.cold_timeout}};
  co_return co_await search_tiers(sources, std::move(query), limits.hot_fallback, deadline);
}

Aw<std::uint64_t> Search::drop_superseded(std::vector<StoreHit>& hits,
                                          const std::vector<Tier>& failed) {
  std::uint64_t dropped = 0;
  for (Store* const hotter : {parts_.hot, parts_.warm}) {
    // One that has just failed would be waited for once more.
    if (hotter == nullptr || std::ranges::find(failed, hotter->tier()) != failed.end()) continue;
    std::vector<Key> keys;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < hits.size(); ++i) {
      if (hits[i].tier <= hotter->tier()) continue;
      keys.push_back(hits[i].key);
      places.push_back(i);
    }
    if (keys.empty()) continue;
    // Where it does not answer, its hits are missing as well, and the reply says so.
    const auto above = co_await hotter->get(std::move(keys));
    if (!above) continue;
    std::vector<bool> goes(hits.size(), false);
    for (std::size_t i = 0; i < places.size() && i < above->size(); ++i) {
      // The same version is on its way: where it goes up the hotter tier was asked before it came.
      const auto& row = (*above)[i];
      goes[places[i]] = row && row->timestamp != hits[places[i]].timestamp;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < hits.size(); ++i) {
      if (goes[i]) continue;
      if (kept != i) hits[kept] = std::move(hits[i]);
      ++kept;
    }
    dropped += hits.size() - kept;
    hits.resize(kept);
  }
  co_return dropped;
}

std::string Search::wrap(const std::string& query_id, std::string_view level,
                         std::chrono::nanoseconds took, std::string_view body) const {
  return fmt::format("{{\"query_id\":\"{}\",\"cache\":\"{}\",\"query_time_ms\":{:.3f},{}", query_id,
                     level, std::chrono::duration<double, std::milli>(took).count(),
                     body.substr(1));
}

}  // namespace asahi::memory
