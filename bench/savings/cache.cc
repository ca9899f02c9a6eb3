#include "savings/cache.h"

#include <algorithm>
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
    if (best.size() == count && sum <= best.back().cosine) continue;
    const auto place = std::ranges::upper_bound(best, sum, std::greater{}, &Neighbour::cosine);
    best.insert(place, {row, sum});
    if (best.size() > count) best.pop_back();
  }
  return best;
}

void Cache::put(std::string query, std::uint64_t answer) {
  const auto vector = embedder_->try_embed(query);
  searcher_.add(*vector->vector);
  llm::text::Words words = llm::text::analyse(query);
  entries_.push_back({std::move(query), std::move(words), {}, answer});
}

std::vector<Candidate> Cache::candidates(const std::vector<float>& vector,
                                         std::vector<std::size_t>& entries) {
  std::vector<Candidate> out;
  for (const Neighbour& near : searcher_.nearest(vector, 5)) {
    const Entry& entry = entries_[near.entry];
    Candidate candidate;
    candidate.similarity = embedder_->traits().similarity(near.cosine);
    candidate.words = &entry.words;
    candidate.evidence = &entry.evidence;
    candidate.query = entry.query;
    candidate.task = "general";
    candidate.answer_digest = entry.answer;
    out.push_back(candidate);
    entries.push_back(near.entry);
  }
  return out;
}

Cache::Answer Cache::ask(const std::string& query, const Bound& bound, double draw) {
  evidence_.asked();
  const auto vector = embedder_->try_embed(query);
  const llm::text::Words words = llm::text::analyse(query);
  std::vector<std::size_t> entries;
  const auto found = candidates(*vector->vector, entries);
  Question question;
  question.words = &words;
  question.task = "general";
  question.draw = draw;
  Answer out;
  out.decision = decide(question, found, tuner_, evidence_, bound);
  out.known = !found.empty() && out.decision.score > 0;
  if (out.known) out.entry = entries[out.decision.candidate];
  return out;
}

Cache::Answer Cache::best(const std::string& query) {
  const auto vector = embedder_->try_embed(query);
  const llm::text::Words words = llm::text::analyse(query);
  std::vector<std::size_t> entries;
  Answer out;
  const auto found = candidates(*vector->vector, entries);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Comparison compared = compare(words, *found[i].words);
    if (compared.score <= out.decision.score) continue;
    out.decision.score = compared.score;
    out.decision.similarity = found[i].similarity;
    out.entry = entries[i];
    out.known = true;
  }
  return out;
}

void Cache::learn(const Answer& answer, bool correct, const Bound& bound) {
  entries_[answer.entry].evidence.add(answer.decision.score, correct);
  evidence_.observe("general", answer.decision.score, correct, answer.decision.audit);
}

std::size_t Cache::bytes() const {
  std::size_t out = 0;
  for (const Entry& entry : entries_) {
    out += sizeof(Entry) + entry.query.capacity() + entry.words.letters.capacity() +
           entry.words.words.capacity() * sizeof(llm::text::Word);
  }
  return out;
}

}  // namespace asahi::savings
