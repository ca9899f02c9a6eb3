#include "savings/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace asahi::savings {

using namespace gateway::semantic;

void ExactScan::add(const std::vector<float>& vector) {
  width_ = vector.size();
  rows_.insert(rows_.end(), vector.begin(), vector.end());
}

std::vector<Neighbour> ExactScan::nearest(const std::vector<float>& vector, std::size_t count) {
  std::vector<Neighbour> best;
  for (std::size_t row = 0; row * width_ < rows_.size(); ++row) {
    const float* at = rows_.data() + row * width_;
    // Eight at once, whatever the optimiser is told.
    using Eight [[gnu::vector_size(32)]] = float;
    Eight parts{};
    for (std::size_t i = 0; i + 8 <= width_; i += 8) {
      Eight x, y;
      std::memcpy(&x, vector.data() + i, sizeof x);
      std::memcpy(&y, at + i, sizeof y);
      parts += x * y;
    }
    double sum = 0;
    for (std::size_t i = 0; i < 8; ++i) sum += parts[static_cast<int>(i)];
    for (std::size_t i = width_ / 8 * 8; i < width_; ++i)
      sum += static_cast<double>(vector[i]) * at[i];
    if (best.size() == count && sum <= best.back().cosine) continue;
    const auto place = std::ranges::upper_bound(best, sum, std::greater{}, &Neighbour::cosine);
    best.insert(place, {row, sum});
    if (best.size() > count) best.pop_back();
  }
  return best;
}

IndexSearch::IndexSearch(const llm::EmbedderTraits& traits, std::size_t most)
    : index_({.space = {traits.tag, traits.width, {"context"}}, .max_entries = most}) {}

void IndexSearch::add(const std::vector<float>& vector) {
  const vector::Item item{.id = fmt::format("{:032x}", rows_),
                          .vector = vector,
                          .metadata = {{"context", std::string(16, '1')}}};
  if (!index_.put("bench", std::span(&item, 1))) std::abort();
  ++rows_;
}

std::vector<Neighbour> IndexSearch::nearest(const std::vector<float>& vector, std::size_t count) {
  const auto hits = index_.search("bench", {.vector = vector,
                                            .top_k = count,
                                            .filter = {{"context", std::string(16, '1')}},
                                            .with_metadata = false});
  if (!hits) std::abort();
  std::vector<Neighbour> out;
  for (const vector::Hit& hit : *hits)
    out.push_back({std::strtoul(hit.id.c_str(), nullptr, 16), hit.score});
  return out;
}

void Cache::put(std::string query, std::uint64_t answer) {
  searcher_.add(embedding_.of(query));
  entries_.push_back({std::move(query), {}, answer});
}

Cache::Found Cache::find(const std::string& query) {
  Found found;
  const auto near = searcher_.nearest(embedding_.of(query), 5);
  found.words.reserve(near.size());
  for (const Neighbour& neighbour : near) {
    const Entry& entry = entries_[neighbour.entry];
    found.entries.push_back(neighbour.entry);
    found.words.push_back(llm::text::analyse(entry.query));
    found.candidates.push_back({.similarity = embedding_.traits().similarity(neighbour.cosine),
                                .words = &found.words.back(),
                                .evidence = &entry.evidence,
                                .query = entry.query,
                                .task = "general",
                                .answer_digest = entry.answer});
  }
  return found;
}

Cache::Answer Cache::ask(const std::string& query, const Bound& bound, double draw) {
  evidence_.asked();
  const Found found = find(query);
  const llm::text::Words words = llm::text::analyse(query);
  Question question;
  question.words = &words;
  question.task = "general";
  question.draw = draw;
  Answer out;
  out.decision = decide(question, found.candidates, tuner_, evidence_, bound);
  out.known = !found.entries.empty() && out.decision.score > 0;
  if (out.known) out.entry = found.entries[out.decision.candidate];
  return out;
}

Cache::Answer Cache::best(const std::string& query) {
  const Found found = find(query);
  const llm::text::Words words = llm::text::analyse(query);
  Answer out;
  for (std::size_t i = 0; i < found.candidates.size(); ++i) {
    const Comparison compared = compare(words, found.words[i]);
    if (compared.score <= out.decision.score) continue;
    out.decision.score = compared.score;
    out.decision.similarity = found.candidates[i].similarity;
    out.entry = found.entries[i];
    out.known = true;
  }
  return out;
}

void Cache::learn(const Answer& answer, bool correct) {
  entries_[answer.entry].evidence.add(answer.decision.score, correct);
  evidence_.observe("general", answer.decision.score, correct, answer.decision.audit);
}

std::size_t Cache::bytes() const {
  std::size_t out = 0;
  for (const Entry& entry : entries_) out += sizeof(Entry) + entry.query.capacity();
  return out;
}

}  // namespace asahi::savings
