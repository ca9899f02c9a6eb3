#include "memory/cold/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "llm/embed/fold.h"
#include "llm/embed/stem.h"
#include "memory/summary/quantise.h"
#include "storage/vector/local/simd.h"

namespace asahi::memory::cold {

namespace {

constexpr std::size_t kMaxTerms = 32;
constexpr double kK1 = 1.2, kB = 0.75, kFusion = 60;

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
    std::size_t consumed = 0;
    const llm::text::Folded folded = llm::text::fold(query_.text, kMaxTerms, consumed);
    for (const llm::text::Token& token : folded.tokens) {
      std::string word(llm::text::stem(folded.of(token)));
      if (std::ranges::find(terms_, word) != terms_.end()) continue;
      names_.push_back(SearchRows::name_of(word));
      terms_.push_back(std::move(word));
    }
    keyword_ = !terms_.empty();
    frequencies_.resize(terms_.size());
  }
  if (semantic_) {
    const Quantised quantised = quantise_finite(query_.embedding);
    numbers_ = quantised.codes.size();
    constexpr std::size_t kLanes = vector::simd::kLanes;
    vector_.assign((numbers_ + kLanes - 1) / kLanes * kLanes, 0);
    std::ranges::copy(quantised.codes, vector_.begin());
    double sum = 0;
    for (const std::int8_t code : quantised.codes) sum += static_cast<double>(code) * code;
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

void Scan::filter(const ColdFile& of, const SearchRows& rows) {
  const Filter& filter = query_.filter;
  std::size_t known = 0;  // facets that need no metadata
  for (const std::string& name : query_.facets)
    known += name == "system_id" || name == "tier" || date_unit(name).has_value();
  const bool parse = !filter.metadata.empty() || known < query_.facets.size();
  passes_.clear();
  if (of.tombstones.empty() && !filter.start && !filter.end && !parse) return;
  passes_.assign(rows.rows(), 1);
  for (const std::size_t row : rows.places(of.tombstones)) passes_[row] = 0;
  for (std::size_t row = 0; row < rows.rows(); ++row) {
    const Clock::Time time{std::chrono::nanoseconds(rows.time(row))};
    if (passes_[row] == 0) continue;
    if ((filter.start && time < *filter.start) || (filter.end && time >= *filter.end) ||
        (parse && !match_metadata(rows.metadata(row))))
      passes_[row] = 0;
  }
}

void Scan::count_facets(const ColdFile& of, const SearchRows& rows, std::uint64_t passed) {
  for (const std::string& name : query_.facets) {
    if (name == "system_id" && passed > 0) facets_[name][of.system_id] += passed;
    if (name == "tier" && passed > 0) facets_[name]["cold"] += passed;
    const auto unit = date_unit(name);
    if (!unit) continue;
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      if (passes(row))
        ++facets_[name][date_text(Clock::Time(std::chrono::nanoseconds(rows.time(row))), *unit)];
    }
  }
}

void Scan::find_words(const SearchRows& rows) {
  matches_.clear();
  for (std::size_t i = 0; i < names_.size(); ++i) {
    for (const SearchRows::Posting& posting : rows.holding(names_[i])) {
      if (!passes(posting.row)) continue;
      ++frequencies_[i];
      matches_.push_back({posting.row, static_cast<std::uint32_t>(i), posting.count});
    }
  }
  std::ranges::sort(matches_, [](const Match& a, const Match& b) {
    return a.row != b.row ? a.row < b.row : a.term < b.term;
  });
}

void Scan::add(std::shared_ptr<const ColdFile> of, const Rows& held) {
  const SearchRows& rows = *held;
  const bool keeps = held_ + rows.bytes() <= kMaxHeld;
  if (keeps) held_ += rows.bytes();
  sources_.push_back({of, keeps ? held : nullptr});
  filter(*of, rows);
  std::uint64_t passed = rows.rows(), words = rows.words();
  if (!passes_.empty()) {
    passed = words = 0;
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      passed += passes_[row];
      if (passes_[row] != 0) words += rows.words(row);
    }
  }
  rows_ += passed;
  words_ += words;
  count_facets(*of, rows, passed);
  if (!keyword_ && !semantic_) {
    total_ += passed;
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      if (passes(row)) keep_nearest(rows, row, std::nullopt);
    }
    return;
  }
  matches_.clear();
  if (keyword_) find_words(rows);
  // Rows with words and rows with vectors, both ascending.
  std::size_t at = 0;
  const auto take_matched = [&](std::optional<float> cosine) {
    const std::uint32_t row = matches_[at].row;
    Candidate found = candidate(rows, row);
    found.cosine = cosine;
    for (; at < matches_.size() && matches_[at].row == row; ++at)
      found.counts.emplace_back(matches_[at].term, matches_[at].count);
    ++total_;
    keep_matched(std::move(found));
  };
  if (semantic_) {
    const auto visit = [&](std::uint32_t row, const std::int8_t* codes, float norm) {
      if (!passes(row)) return;
      while (at < matches_.size() && matches_[at].row < row) take_matched(std::nullopt);
      std::int32_t dot = 0;
      vector::simd::dot_rows(vector_.data(), &codes, 1, vector_.size(), &dot);
      const auto cosine = static_cast<float>(dot / (vector_norm_ * static_cast<double>(norm)));
      const bool near = cosine >= query_.threshold || query_.mode != SearchMode::kSemantic;
      if (at < matches_.size() && matches_[at].row == row) {
        take_matched(near ? std::optional(cosine) : std::nullopt);
      } else if (near) {
        ++total_;
        keep_nearest(rows, row, cosine);
      }
    };
    rows.each_vector(query_.embedding_model, numbers_, visit);
  }
  while (at < matches_.size()) take_matched(std::nullopt);
}

Scan::Candidate Scan::candidate(const SearchRows& rows, std::size_t row) const {
  return {.source = static_cast<std::uint32_t>(sources_.size() - 1),
          .row = static_cast<std::uint32_t>(row),
          .words = rows.words(row),
          .cosine = {},
          .time = Clock::Time(std::chrono::nanoseconds(rows.time(row))),
          .id = std::string(rows.id(row)),
          .counts = {},
          .explanation = {}};
}

void Scan::keep_matched(Candidate candidate) {
  matched_.push_back(std::move(candidate));
  if (matched_.size() < kMaxMatched) return;
  // Too many: those with most of the words, then the nearest, then the newest, stay. Frequencies
  // are not final yet, so this is no score; it only bounds memory.
  std::ranges::nth_element(
      matched_, matched_.begin() + kMaxMatched / 2, [&](const Candidate& a, const Candidate& b) {
        if (a.counts.size() != b.counts.size()) return a.counts.size() > b.counts.size();
        const float left = a.cosine.value_or(-2), right = b.cosine.value_or(-2);
        return left != right ? left > right : a.time > b.time;
      });
  matched_.resize(kMaxMatched / 2);
}

/// By similarity, then newer first, then by key.
bool Scan::before(const Candidate& a, const Candidate& b) const {
  if (a.cosine != b.cosine) return a.cosine > b.cosine;
  if (a.time != b.time) return a.time > b.time;
  const std::string &left = sources_[a.source].file->system_id,
                    &right = sources_[b.source].file->system_id;
  return left != right ? left < right : a.id < b.id;
}

void Scan::keep_nearest(const SearchRows& rows, std::size_t row, std::optional<float> cosine) {
  const auto nearer = [this](const Candidate& a, const Candidate& b) { return before(a, b); };
  if (nearest_.size() == kMaxNearest) {
    const Candidate& last = nearest_.front();
    const Clock::Time time{std::chrono::nanoseconds(rows.time(row))};
    if (cosine < last.cosine || (cosine == last.cosine && time < last.time)) return;
  }
  nearest_.push_back(candidate(rows, row));
  nearest_.back().cosine = cosine;
  std::ranges::push_heap(nearest_, nearer);
  if (nearest_.size() <= kMaxNearest) return;
  std::ranges::pop_heap(nearest_, nearer);
  nearest_.pop_back();
}

void Scan::score(std::vector<Candidate>& all) const {
  const double average =
      rows_ == 0 ? 1 : std::max(1.0, static_cast<double>(words_) / static_cast<double>(rows_));
  for (Candidate& one : all) {
    double score = 0;
    for (const auto& [term, count] : one.counts) {
      const auto holding = static_cast<double>(frequencies_[term]);
      const double idf =
          std::log(1 + (static_cast<double>(rows_) - holding + 0.5) / (holding + 0.5));
      const double times = count;
      score += idf * times * (kK1 + 1) / (times + kK1 * (1 - kB + kB * one.words / average));
      one.explanation.matched_terms.push_back(terms_[term]);
    }
    if (score > 0) one.explanation.bm25 = static_cast<float>(score);
    one.explanation.cosine = one.cosine;
  }
  std::vector<Candidate*> order;
  const auto rank_by = [&](auto value, auto place) {
    order.clear();
    for (Candidate& one : all) {
      if (value(one.explanation)) order.push_back(&one);
    }
    std::ranges::sort(order, [&](const Candidate* a, const Candidate* b) {
      const auto left = value(a->explanation), right = value(b->explanation);
      if (left != right) return left > right;
      return a->time != b->time ? a->time > b->time : before(*a, *b);
    });
    for (std::size_t i = 0; i < order.size(); ++i)
      place(order[i]->explanation, static_cast<int>(i) + 1);
  };
  if (keyword_) {
    rank_by([](const Explanation& why) { return why.bm25; },
            [](Explanation& why, int at) { why.keyword_rank = at; });
  }
  if (semantic_) {
    rank_by([](const Explanation& why) { return why.cosine; },
            [](Explanation& why, int at) { why.vector_rank = at; });
  }
  for (Candidate& one : all) {
    const Explanation& why = one.explanation;
    if (keyword_ && semantic_) {
      if (why.keyword_rank) one.score += 1 / (kFusion + *why.keyword_rank);
      if (why.vector_rank) one.score += 1 / (kFusion + *why.vector_rank);
    } else if (keyword_) {
      one.score = why.bm25.value_or(0);
    } else if (semantic_) {
      one.score = why.cosine.value_or(0);
    }
  }
}

std::optional<StoreHit> Scan::hit(Candidate& from, const Again& again, std::optional<Error>& lost) {
  Source& source = sources_[from.source];
  Rows rows = source.rows;
  if (rows == nullptr) {
    auto read = again(from.source);
    if (!read) {
      lost = std::move(read.error());
      return std::nullopt;
    }
    rows = *std::move(read);
  }
  StoreHit out;
  out.key = {.tenant = source.file->tenant,
             .system_id = source.file->system_id,
             .conversation_id = std::move(from.id)};
  out.tier = Tier::kCold;
  if (query_.include_content) out.text = rows->text(from.row);
  out.similarity = from.cosine;
  out.score = from.score;
  out.timestamp = from.time;
  out.metadata = rows->metadata(from.row);
  out.explanation = std::move(from.explanation);
  return out;
}

StorePage Scan::page(const Again& again, std::optional<Error>& lost) && {
  std::vector<Candidate> all = std::move(matched_);
  std::ranges::move(nearest_, std::back_inserter(all));
  score(all);
  const std::size_t wanted = std::min(all.size(), query_.limit);
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(wanted),
                            [this](const Candidate& a, const Candidate& b) {
                              if (a.score != b.score) return a.score > b.score;
                              return a.time != b.time ? a.time > b.time : before(a, b);
                            });
  StorePage page;
  page.total = total_;
  page.facets = std::move(facets_);
  for (std::size_t i = 0; i < wanted; ++i) {
    if (auto found = hit(all[i], again, lost)) page.hits.push_back(*std::move(found));
  }
  return page;
}

}  // namespace asahi::memory::cold
