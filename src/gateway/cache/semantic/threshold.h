#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::gateway::semantic {

/// The share of wrong answers that the user allows, and how it is kept. See docs/use/caching.md.
struct Bound {
  double delta = 0.01;  ///< δ: wrong ones among all answers; 0 < δ < 1
  /// Share of trusted hits that ask the model all the same and compare: what nobody looks at cannot
  /// be bounded. It is the least: a young cache, and one whose audits found something, looks closer
  /// (RiskBudget::audit). 0: nothing is compared, belief and reports are all there is.
  double audit = 0.05;
  /// An error share counts as held when its upper limit at this confidence does.
  double confidence = 0.9;
};

/// How certain one is that a share of errors seen `wrong` times in `total` lies below: the
/// one-sided upper limit of a Poisson count (Wilson and Hilferty 1931), never above 1.
double upper_error(double wrong, double total, double confidence);

/// What was learned about one cached entry: the last comparisons of its answer with fresh ones.
/// 56 bytes; a value that is stored with the entry.
class EntryEvidence {
 public:
  static constexpr std::size_t kKept = 24;

  void add(double score, bool correct);
  /// A user said that this entry answered wrongly at `score`: nothing up to there, nor near above,
  /// is served any more. The second report disables the entry.
  void report(double score);
  /// What another process saw of the same entry: the strictest of both, and the observations of
  /// both, of which right ones give way first.
  void merge(const EntryEvidence& other);
  bool disabled() const { return reports_ >= 2; }
  std::size_t reports() const { return reports_; }
  std::size_t size() const { return count_; }
  std::size_t wrong() const;

  /// The chance that this entry is wrong at `score`, seen pessimistically. `prior` is the bound of
  /// entries of its kind. Without errors of its own an entry earns trust slowly; after one, a
  /// logistic curve over its observations decides (vCache, Schroeder et al. 2025,
  /// https://arxiv.org/abs/2502.03771, §4), averaged over where the curve may lie.
  double error(double score, double prior) const;

  std::string encode() const;
  /// Errors: corrupt.
  static Result<EntryEvidence> decode(std::string_view text);

 private:
  struct Seen {
    std::uint16_t score_and_truth = 0;  ///< score · 32767, lowest bit: correct
    double score() const { return (score_and_truth >> 1) / 32767.0; }
    bool correct() const { return (score_and_truth & 1) != 0; }
  };
  std::array<Seen, kKept> seen_{};
  std::uint8_t count_ = 0, next_ = 0, reports_ = 0;
  std::uint16_t floor_ = 0;  ///< score · 32767 of the highest report
};

/// What was learned about all entries of one kind (a tenant's task): errors per band of score.
class KindEvidence {
 public:
  static constexpr std::size_t kBands = 16;
  /// Starts from the built-in belief: what compared texts of our own making showed, worth at most
  /// some hundred observations.
  KindEvidence();

  void add(double score, bool correct);
  /// Upper limit of the share of errors at `score`. Errors are taken to get rarer as scores rise:
  /// a band may lend from those below it.
  double error(double score, const Bound& bound) const;
  std::size_t observed() const { return static_cast<std::size_t>(observed_); }
  /// Adds what `now` has more than `before`.
  void add(const KindEvidence& now, const KindEvidence& before);

  std::string encode() const;
  static Result<KindEvidence> decode(std::string_view text);

 private:
  struct Band {
    double correct = 0, wrong = 0;
  };
  std::array<Band, kBands> bands_;
  double observed_ = 0;
};

/// Counts what was risked: whatever the stream does, expected wrong answers stay below δ times the
/// questions, as audits are drawn at random and each wrong one found at an audit share p stands for
/// (1 − p)/p that were served (Horvitz and Thompson 1952). docs/use/caching.md has the proof.
class RiskBudget {
 public:
  void asked() { ++asked_; }
  /// A trusted hit that was drawn with chance `share` turned out wrong.
  void found_wrong(double share);
  /// A user said so.
  void reported() { wrong_ += 1; }
  /// The share of trusted hits that must be audited now, so that what the next find would add still
  /// fits below δ·questions; 1: none may be served.
  double audit(const Bound& bound) const;
  double estimated_wrong() const { return wrong_; }
  double spread() const { return spread_; }
  std::uint64_t questions() const { return asked_; }
  void restore(std::uint64_t asked, double wrong, double spread) {
    asked_ = asked;
    wrong_ = wrong;
    spread_ = spread;
  }
  /// Adds what `now` has more than `before`.
  void add(const RiskBudget& now, const RiskBudget& before);

 private:
  std::uint64_t asked_ = 0;
  double wrong_ = 0;
  double spread_ = 0;  ///< estimated variance of `wrong_` around what was served
};

/// All evidence of one tenant. Thread-safe; bounded: at most kMaxKinds tasks.
class Evidence {
 public:
  static constexpr std::size_t kMaxKinds = 64;

  struct Trust {
    double error = 1;  ///< pessimistic chance of a wrong answer
    double audit = 1;  ///< RiskBudget::audit; 1: it allows no hit
  };
  Trust trust(std::string_view task, double score, const EntryEvidence& entry,
              const Bound& bound) const;
  void asked();
  /// A fresh answer was compared with the cached one. `audit`: it would have been served, and was
  /// drawn with this chance; 0: it was not trusted.
  void observe(std::string_view task, double score, bool correct, double audit);
  void report(std::string_view task, double score);

  std::uint64_t questions() const;
  double estimated_wrong() const;
  /// RiskBudget::audit.
  double audit(const Bound& bound) const;
  /// JSON, to be kept over restarts.
  std::string encode() const;
  Result<void> restore(std::string_view text);

 private:
  struct State {
    std::map<std::string, KindEvidence, std::less<>> kinds;
    KindEvidence unknown;
    RiskBudget budget;

    const KindEvidence& kind(std::string_view task) const;
    KindEvidence& own_kind(std::string_view task);
    void add(const State& now, const State& before);
    std::string encode() const;
    static Result<State> decode(std::string_view text);
  };

 public:
  /// Several processes may learn about one tenant: `merge` adds what this one learned since the
  /// last time to what is stored (empty: nothing yet). When `text` has been stored in the place of
  /// that, `adopt` takes the sum over. Errors: corrupt.
  class Merged {
   public:
    std::string text;

   private:
    friend class Evidence;
    State sum, seen;
  };
  Result<Merged> merge(std::string_view stored) const;
  void adopt(const Merged& merged);

 private:
  mutable std::mutex mutex_;
  State state_;
  State stored_;  ///< what of it all processes share
};

}  // namespace asahi::gateway::semantic
