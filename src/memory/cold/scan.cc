#include "memory/cold/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "llm/embed/fold.h"
#include "llm/embed/stem.h"

namespace asahi::memory::cold {

namespace {

namespace pq = columnar::parquet;

constexpr std::size_t kMaxTerms = 32;
constexpr std::size_t kMaxWords = 4'096;  ///< of one summary
constexpr double kK1 = 1.2, kB = 0.75, kFusion = 60;

/// Calls `visit` with each word, folded and stemmed.
template <class Visit>
std::uint32_t each_word(std::string_view text, std::size_t most, Visit visit) {
  std::size_t consumed = 0;
  const llm::text::Folded folded = llm::text::fold(text, most, consumed);
  for (const llm::text::Token& token : folded.tokens) visit(llm::text::stem(folded.of(token)));
  return static_cast<std::uint32_t>(folded.tokens.size());
}

bool equals(const json::value& value, std::string_view text) {
  if (const json::string* const string = value.if_string()) return *string == text;
  if (value.is_structured() || value.is_null()) return false;
  return write_json(value) == text;
}

void count(const json::value& value, std::map<std::string, std::uint64_t>& counts) {
  if (const json::array* const list = value.if_array()) {
    for (const json::value& each : *list) {
      if (!each.is_structured()) count(each, counts);
    }
  } else if (const json::string* const string = value.if_string()) {
    ++counts[std::string(*string)];
  } else if (!value.is_structured() && !value.is_null()) {
    ++counts[write_json(value)];
  }
}

}  // namespace

Scan::Scan(StoreQuery query) : query_(std::move(query)) {
  keyword_ = !query_.text.empty() && query_.mode != SearchMode::kSemantic;
  semantic_ = !query_.embedding.empty() && query_.mode != SearchMode::kKeyword;
  if (keyword_) {
    each_word(query_.text, kMaxTerms, [this](std::string word) {
      if (std::ranges::find(terms_, word) == terms_.end()) terms_.push_back(std::move(word));
    });
    keyword_ = !terms_.empty();
    frequencies_.resize(terms_.size());
  }
  if (semantic_) {
    vector_ = quantise_finite(query_.embedding);
    double sum = 0;
    for (const std::int8_t code : vector_.codes) sum += static_cast<double>(code) * code;
    vector_norm_ = std::sqrt(sum);
    semantic_ = vector_norm_ > 0;
  }
}

bool Scan::allowed(const std::string& system_id) const {
  const Filter& filter = query_.filter;
  const auto among = [&](const std::vector<std::string>& list) {
    return std::ranges::find(list, system_id) != list.end();
  };
  return (filter.system_ids.empty() || among(filter.system_ids)) &&
         (!filter.systems_allowed || among(*filter.systems_allowed));
}

bool Scan::wants(const ColdFile& file) const {
  return file.tenant == query_.tenant && allowed(file.system_id) &&
         (!query_.filter.start || file.newest >= *query_.filter.start) &&
         (!query_.filter.end || file.oldest < *query_.filter.end);
}

bool Scan::match_text(std::string_view text, Candidate& candidate) {
  candidate.counts.assign(terms_.size(), 0);
  bool any = false;
  candidate.words = each_word(text, kMaxWords, [&](const std::string& word) {
    const auto at = std::ranges::find(terms_, word);
    if (at == terms_.end()) return;
    ++candidate.counts[static_cast<std::size_t>(at - terms_.begin())];
    any = true;
  });
  return any;
}

bool Scan::match_metadata(std::string_view metadata) {
  const auto parsed = parse_json(metadata);
  if (!parsed || !parsed->is_object()) return query_.filter.metadata.empty();
  const json::object& object = parsed->get_object();
  for (const auto& [field, wanted] : query_.filter.metadata) {
    const json::value* const value = object.if_contains(field);
    if (value == nullptr) return false;
    const json::array* const list = value->if_array();
    const bool same =
        list == nullptr
            ? equals(*value, wanted)
            : std::ranges::any_of(*list, [&](const auto& each) { return equals(each, wanted); });
    if (!same) return false;
  }
  for (const std::string& facet : query_.facets) {
    if (const json::value* const value = object.if_contains(facet)) count(*value, facets_[facet]);
  }
  return true;
}

Result<void> Scan::group(RowFile& file, std::size_t group, const ColdFile& of,
                         const std::vector<std::string>& buried) {
  if (!file.overlaps(group, query_.filter.start, query_.filter.end)) return {};
  ASAHI_TRY(const pq::Values tenants, file.read(group, ColumnId::kTenantId));
  ASAHI_TRY(const pq::Values systems, file.read(group, ColumnId::kSystemId));
  ASAHI_TRY(const pq::Values ids, file.read(group, ColumnId::kConversationId));
  ASAHI_TRY(const pq::Values times, file.read(group, ColumnId::kTimestamp));
  ASAHI_TRY(const pq::Values metadata, file.read(group, ColumnId::kMetadata));
  std::optional<pq::Values> texts, models, vectors;
  if (keyword_ || query_.include_content) {
    ASAHI_TRY(texts.emplace(), file.read(group, ColumnId::kUltraSummary));
  }
  if (semantic_) {
    ASAHI_TRY(models.emplace(), file.read(group, ColumnId::kEmbeddingModel));
    ASAHI_TRY(vectors.emplace(), file.read(group, ColumnId::kVector));
  }
  const auto& facets = query_.facets;
  const auto facet = [&](std::string_view name) {
    return std::ranges::find(facets, name) != facets.end();
  };
  const bool by_system = facet("system_id"), by_tier = facet("tier");
  std::vector<std::pair<std::string, DateUnit>> dates;
  for (const std::string& name : facets) {
    if (const auto unit = date_unit(name)) dates.emplace_back(name, *unit);
  }
  const bool parse = !query_.filter.metadata.empty() ||
                     facets.size() > std::size_t{by_system} + by_tier + dates.size();
  for (std::size_t row = 0; row < ids.rows(); ++row) {
    if (tenants.bytes(row) != of.tenant || systems.bytes(row) != of.system_id)
      return fail(Errc::kCorrupt, "a cold file holds rows of another tenant or system");
    const Clock::Time time{std::chrono::nanoseconds(times.number(row))};
    if ((query_.filter.start && time < *query_.filter.start) ||
        (query_.filter.end && time >= *query_.filter.end))
      continue;
    const std::string_view id = ids.bytes(row);
    if (std::ranges::binary_search(buried, id, std::less<>())) continue;
    if (parse && !match_metadata(metadata.bytes(row))) continue;
    ++rows_;
    if (by_system) ++facets_["system_id"][of.system_id];
    if (by_tier) ++facets_["tier"]["cold"];
    for (const auto& [name, unit] : dates) ++facets_[name][date_text(time, unit)];

    Candidate candidate;
    StoreHit& hit = candidate.hit;
    bool wanted = !keyword_ && !semantic_;
    if (keyword_ && match_text(texts->bytes(row), candidate)) {
      for (std::size_t i = 0; i < terms_.size(); ++i) frequencies_[i] += candidate.counts[i] > 0;
      wanted = true;
    }
    words_ += candidate.words;
    if (semantic_ && models->bytes(row) == query_.embedding_model &&
        vectors->bytes(row).size() == vector_.codes.size()) {
      const auto* const codes = reinterpret_cast<const std::int8_t*>(vectors->bytes(row).data());
      std::int32_t dot = 0, norm = 0;
      for (std::size_t i = 0; i < vector_.codes.size(); ++i) {
        dot += vector_.codes[i] * codes[i];
        norm += codes[i] * codes[i];
      }
      if (norm > 0) {
        const auto cosine =
            static_cast<float>(dot / (vector_norm_ * std::sqrt(static_cast<double>(norm))));
        if (cosine >= query_.threshold || query_.mode != SearchMode::kSemantic) {
          hit.similarity = hit.explanation.cosine = cosine;
          wanted = true;
        }
      }
    }
    if (!wanted) continue;
    ++total_;
    hit.key = {.tenant = of.tenant, .system_id = of.system_id, .conversation_id = std::string(id)};
    hit.tier = Tier::kCold;
    if (query_.include_content) hit.text = texts->bytes(row);
    hit.timestamp = time;
    hit.metadata = metadata.bytes(row);
    keep(std::move(candidate));
  }
  return {};
}

void Scan::keep(Candidate candidate) {
  candidates_.push_back(std::move(candidate));
  if (candidates_.size() < kMaxCandidates) return;
  // Too many: those with most of the words, then the newest, stay. Frequencies are not final yet,
  // so this is no score; it only bounds memory.
  const auto matched = [](const Candidate& c) {
    return c.counts.size() - static_cast<std::size_t>(std::ranges::count(c.counts, 0U));
  };
  const auto stay = std::max(kMaxCandidates / 2, query_.limit);
  std::ranges::nth_element(candidates_, candidates_.begin() + static_cast<long>(stay),
                           [&](const Candidate& a, const Candidate& b) {
                             if (matched(a) != matched(b)) return matched(a) > matched(b);
                             const float left = a.hit.similarity.value_or(-2),
                                         right = b.hit.similarity.value_or(-2);
                             if (left != right) return left > right;
                             return a.hit.timestamp > b.hit.timestamp;
                           });
  candidates_.resize(stay);
}

StorePage Scan::page() && {
  const double average =
      rows_ == 0 ? 1 : std::max(1.0, static_cast<double>(words_) / static_cast<double>(rows_));
  for (Candidate& candidate : candidates_) {
    double score = 0;
    for (std::size_t i = 0; i < candidate.counts.size(); ++i) {
      if (candidate.counts[i] == 0) continue;
      const auto holding = static_cast<double>(frequencies_[i]);
      const double idf =
          std::log(1 + (static_cast<double>(rows_) - holding + 0.5) / (holding + 0.5));
      const double times = candidate.counts[i];
      score += idf * times * (kK1 + 1) / (times + kK1 * (1 - kB + kB * candidate.words / average));
      candidate.hit.explanation.matched_terms.push_back(terms_[i]);
    }
    if (score > 0) candidate.hit.explanation.bm25 = static_cast<float>(score);
  }
  std::vector<std::size_t> order(candidates_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto hit = [this](std::size_t i) -> StoreHit& { return candidates_[i].hit; };
  const auto later = [&](std::size_t a, std::size_t b) {
    if (hit(a).timestamp != hit(b).timestamp) return hit(a).timestamp > hit(b).timestamp;
    return hit(a).key < hit(b).key;
  };
  const auto rank_by = [&](auto value, auto place) {
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      if (value(hit(a)) != value(hit(b))) return value(hit(a)) > value(hit(b));
      return later(a, b);
    });
    for (std::size_t i = 0; i < order.size() && value(hit(order[i])).has_value(); ++i)
      place(hit(order[i]), static_cast<int>(i) + 1);
  };
  if (keyword_) {
    rank_by([](const StoreHit& h) { return h.explanation.bm25; },
            [](StoreHit& h, int at) { h.explanation.keyword_rank = at; });
  }
  if (semantic_) {
    rank_by([](const StoreHit& h) { return h.explanation.cosine; },
            [](StoreHit& h, int at) { h.explanation.vector_rank = at; });
  }
  for (Candidate& candidate : candidates_) {
    StoreHit& h = candidate.hit;
    if (keyword_ && semantic_) {
      if (h.explanation.keyword_rank) h.score += 1 / (kFusion + *h.explanation.keyword_rank);
      if (h.explanation.vector_rank) h.score += 1 / (kFusion + *h.explanation.vector_rank);
    } else if (keyword_) {
      h.score = h.explanation.bm25.value_or(0);
    } else if (semantic_) {
      h.score = h.explanation.cosine.value_or(0);
    }
  }
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    if (hit(a).score != hit(b).score) return hit(a).score > hit(b).score;
    return later(a, b);
  });
  StorePage page;
  page.total = total_;
  page.facets = std::move(facets_);
  order.resize(std::min(order.size(), query_.limit));
  for (const std::size_t i : order) page.hits.push_back(std::move(hit(i)));
  return page;
}

}  // namespace asahi::memory::cold
