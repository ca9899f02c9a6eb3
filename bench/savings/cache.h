#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "gateway/cache/semantic/decision.h"
#include "llm/embed/text_embedder.h"

namespace asahi::savings {

struct Neighbour {
  std::size_t entry = 0;
  double cosine = 0;
};

/// What finds neighbours; the measures take any.
class Searcher {
 public:
  virtual ~Searcher() = default;
  virtual void add(const std::vector<float>& vector) = 0;
  virtual std::vector<Neighbour> nearest(const std::vector<float>& vector, std::size_t count) = 0;
};

/// Compares with every vector: right by construction.
class ExactScan final : public Searcher {
 public:
  void add(const std::vector<float>& vector) override;
  std::vector<Neighbour> nearest(const std::vector<float>& vector, std::size_t count) override;

 private:
  std::vector<float> rows_;
  std::size_t width_ = 0;
};

/// A semantic cache in memory, wired as the gateway's: embed, search, decide, learn.
class Cache {
 public:
  explicit Cache(Searcher& searcher) : embedder_(llm::make_local_embedder()), searcher_(searcher) {}

  void put(std::string query, std::uint64_t answer);

  struct Answer {
    gateway::semantic::Decision decision;
    std::size_t entry = 0;
    bool known = false;  ///< `entry` says something
  };
  Answer ask(const std::string& query, const gateway::semantic::Bound& bound, double draw);
  /// The best verified neighbour, whatever its evidence: for measures of the verifier alone.
  Answer best(const std::string& query);
  void learn(const Answer& answer, bool correct, const gateway::semantic::Bound& bound);

  std::uint64_t answer_of(std::size_t entry) const { return entries_[entry].answer; }
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const;
  gateway::semantic::Evidence& evidence() { return evidence_; }

 private:
  struct Entry {
    std::string query;
    llm::text::Words words;
    gateway::semantic::EntryEvidence evidence;
    std::uint64_t answer = 0;
  };
  std::vector<gateway::semantic::Candidate> candidates(const std::vector<float>& vector,
                                                       std::vector<std::size_t>& entries);

  std::unique_ptr<llm::TextEmbedder> embedder_;
  Searcher& searcher_;
  std::deque<Entry> entries_;
  gateway::semantic::Evidence evidence_;
  gateway::semantic::ThresholdTuner tuner_;
};

}  // namespace asahi::savings
