#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "gateway/cache/semantic/decision.h"
#include "savings/embedding.h"
#include "storage/vector/local/local_index.h"

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

/// The gateway's own index, asked as the gateway asks it: within one organisation and context.
class IndexSearch final : public Searcher {
 public:
  IndexSearch(const llm::EmbedderTraits& traits, std::size_t most);
  void add(const std::vector<float>& vector) override;
  std::vector<Neighbour> nearest(const std::vector<float>& vector, std::size_t count) override;
  std::size_t bytes() const { return index_.bytes(); }

 private:
  vector::LocalIndex index_;
  std::size_t rows_ = 0;
};

/// A semantic cache in memory, wired as the gateway's: embed, search, decide, learn.
class Cache {
 public:
  Cache(Embedding& embedding, Searcher& searcher) : embedding_(embedding), searcher_(searcher) {}

  void put(std::string query, std::uint64_t answer);

  struct Answer {
    gateway::semantic::Decision decision;
    std::size_t entry = 0;
    bool known = false;  ///< `entry` says something
  };
  Answer ask(const std::string& query, const gateway::semantic::Bound& bound, double draw);
  /// The best verified neighbour, whatever its evidence: for measures of the verifier alone.
  Answer best(const std::string& query);
  void learn(const Answer& answer, bool correct);

  std::uint64_t answer_of(std::size_t entry) const { return entries_[entry].answer; }
  const std::string& query_of(std::size_t entry) const { return entries_[entry].query; }
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const;
  gateway::semantic::Evidence& evidence() { return evidence_; }

 private:
  struct Entry {
    std::string query;
    gateway::semantic::EntryEvidence evidence;
    std::uint64_t answer = 0;
  };
  struct Found {
    std::vector<std::size_t> entries;
    std::vector<llm::text::Words> words;
    std::vector<gateway::semantic::Candidate> candidates;
  };
  Found find(const std::string& query);

  Embedding& embedding_;
  Searcher& searcher_;
  std::deque<Entry> entries_;
  gateway::semantic::Evidence evidence_;
  gateway::semantic::ThresholdTuner tuner_;
};

}  // namespace asahi::savings
