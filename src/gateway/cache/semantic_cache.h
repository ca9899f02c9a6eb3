#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/policy/breaker.h"
#include "gateway/answer.h"
#include "gateway/cache/semantic/decision.h"
#include "gateway/cache/semantic/rows.h"
#include "gateway/cache/semantic_stand_in.h"
#include "llm/embed/text_embedder.h"
#include "net/loop.h"
#include "storage/vector/index.h"

namespace asahi::vector {
class LocalIndex;
}

namespace asahi::gateway {

/// Tier 2: an earlier question of the same organisation that means the same gives its answer. What
/// is alike is found by vectors, decided by `semantic::decide` against the allowed share of wrong
/// answers, and learned from fresh answers. Entries live in SQL; index and evidence follow from
/// them. Whatever fails is a miss and a warning, never a failed request. Callable from any loop.
class SemanticCache {
 public:
  /// Field of the index that says in which context a question was asked.
  static constexpr std::string_view kContextField = "context";

  struct Options {
    std::size_t top_k = 5;
    /// Longer questions are not looked up: the verifier sees their beginning only.
    std::size_t max_query_bytes = 4'000;
    std::size_t max_queued = 1'000;  ///< answers on their way into the cache; more are not kept
    double quality_penalty = 2.0;    ///< quality_penalty_weight
    /// Vectors stand in SQL too: they cost a vendor's call. Those of the local embedder are made
    /// anew.
    bool store_vectors = false;
    semantic::Bound bound;
    /// False: fresh answers teach nothing (those of the mock vendor say nothing about questions).
    bool compare = true;
    /// How often what was learned is written and what other processes added is read.
    std::chrono::milliseconds refresh{5'000};
    /// Share of a processor that writing new entries may take, above 0 to 1: a flood of questions
    /// is written slowly, and what finds no place in the queue meanwhile is not kept.
    double writing_share = 0.05;
    /// The longest that a question waits for its vector.
    std::chrono::milliseconds max_wait{2'000};
    /// Questions carry what was said before them (`Question::earlier`), and are embedded with it.
    bool contextual = false;
    /// When an embedder that fails is left alone, and for how long.
    Breaker::Options embedder_rest{.failures = 3, .open_for = std::chrono::seconds(10)};
    /// How often entries whose time is over are deleted.
    std::chrono::milliseconds sweep{3'600'000};
    /// How often the local index is written to its file, if that many entries came or went; it is
    /// written by `stop`, too.
    std::chrono::milliseconds save{300'000};
    std::size_t save_changes = 1'000;
  };
  /// All outlive the cache. `local`: the same object as `index` when it lies in this process: it is
  /// then asked without leaving the loop, written to its file, and need not be filled anew if it
  /// was loaded from there (its space is named after the embedder's tag); else null.
  struct Parts {
    llm::TextEmbedder& embedder;
    vector::Index& index;
    vector::LocalIndex* local = nullptr;
    sql::Database& database;
    semantic::ThresholdTuner& tuner;
    const Clock& clock;
    net::Loop& home;              ///< its background work runs here
    StandIn* stand_in = nullptr;  ///< for an embedder that is away; null: questions miss
  };
  /// Name of the space that vectors lie in: with contexts and without they never meet.
  static std::string space_of(const llm::EmbedderTraits& traits, bool contextual);

  struct Question {
    std::string org;
    std::string query;  ///< the last thing the user said
    std::string task;
    semantic::Sensitivity sensitivity = semantic::Sensitivity::kHigh;
    /// Of everything else that shapes the answer: earlier turns, system prompt, model, parameters.
    std::uint64_t context_digest = 0;
    /// What the user said before, where the digest leaves it out (semantic::join_turns).
    std::string earlier{};
  };
  /// What was found for a question; `keep` takes it back with the model's answer.
  struct Lookup {
    Question question;
    semantic::Decision decision;  ///< `matched_query` is a view of `matched`
    std::string matched;
    std::string entry_id;                  ///< of the candidate that the decision is about
    std::shared_ptr<const Answer> answer;  ///< of that candidate, for a hit or an exploration
    std::shared_ptr<const std::vector<float>> vector;  ///< of the question, when it was needed
    std::string warning;  ///< why the tier could not be asked; empty: it was
    std::string notice;   ///< what was done otherwise than usual; empty: nothing

    bool hit() const { return decision.action == semantic::Action::kHit && answer != nullptr; }
  };

  SemanticCache(Options options, Parts parts);
  /// `stop` ran before.
  ~SemanticCache();

  /// Reads the entries of before in the background and starts to write.
  void start();
  /// Writes what waits, and the local index's file. On the home loop.
  Aw<void> stop();

  /// Null: not a question for this tier (empty or too long), or one of those left out because
  /// nothing was found for long. `draw`: uniform in [0, 1).
  Aw<std::shared_ptr<Lookup>> find(Question question, llm::CallContext context, double draw);
  /// Learns from the model's answer to a question that was no hit, and keeps it for others unless
  /// `ttl` is 0. Returns at once.
  void keep(std::shared_ptr<const Lookup> lookup, std::shared_ptr<const Answer> answer,
            std::chrono::milliseconds ttl);

  /// A user says that this entry answered wrongly; the second report ends it. False: no such entry.
  Task<bool> report(std::string org, std::string entry_id);
  Task<std::int64_t> erase(std::string org, std::vector<std::string> entry_ids);
  Task<std::int64_t> clear(std::string org);
  Task<std::int64_t> clear_expired(std::string org);

  struct Stats {
    std::uint64_t entries = 0;       ///< known to this process
    std::uint64_t questions = 0;     ///< asked of this tier since the evidence began
    double estimated_wrong = 0;      ///< wrong answers among them, as audits suggest
    std::uint64_t dropped = 0;       ///< answers not kept because too many waited
    std::uint64_t explorations = 0;  ///< of this process
    double audit = 0;                ///< share of trusted hits that are checked; 1: none is served
  };
  enum class EmbedderState : std::uint8_t {
    kHealthy,
    kStandIn,  ///< it fails; the stand-in answers
    kAway      ///< it fails, and nobody stands in: questions miss
  };
  EmbedderState embedder_state() const;
  const StandIn* stand_in() const { return parts_.stand_in; }
  Stats stats(const std::string& org) const;
  const semantic::EntryRows& rows() const { return rows_; }

 private:
  /// A question as the verifier sees it.
  struct Sketch {
    llm::text::Words words;
    std::vector<llm::text::Words> earlier;
  };
  static Sketch sketch_of(std::string_view query, std::string_view earlier);
  /// What this process knows of an entry without asking SQL.
  struct Known {
    std::string query;
    std::string task;
    std::uint64_t context_digest = 0;
    std::uint64_t answer_digest = 0;
    std::int64_t created_at_ms = 0;
    std::int64_t expires_at_ms = 0;
    /// The same end by the clock that nobody sets: whichever comes first.
    Clock::Steady ends{};
    semantic::EntryEvidence evidence;
    std::string earlier{};
    /// From the first time that somebody looked at it on.
    std::shared_ptr<const Sketch> sketch{};
    std::int64_t new_hits = 0;
    bool changed = false;
    bool placed = true;  ///< it lies in the index; false: the embedder was away when it came
  };
  struct Tenant {
    mutable std::mutex mutex;  ///< of everything but `evidence`
    std::unordered_map<std::string, Known> entries;
    std::vector<std::string> changed;  ///< ids of those whose `changed` is set
    std::uint64_t explorations = 0;
    /// Questions since one that came near enough to be a hit or a candidate for one.
    std::atomic<std::uint64_t> in_vain{0};
    bool knowledge_changed = false;
    semantic::Evidence evidence;
  };
  struct Arrival {
    std::shared_ptr<const Lookup> lookup;
    std::shared_ptr<const Answer> answer;
    std::chrono::milliseconds ttl;
  };

  std::shared_ptr<Tenant> find_tenant(const std::string& org) const;
  std::shared_ptr<Tenant> tenant(const std::string& org);
  Task<std::vector<vector::Hit>> neighbours(const Question& question,
                                            const std::vector<float>& vector);
  Task<llm::Embedded> vector_of(const Question& question, const Sketch& asked,
                                llm::CallContext context);
  Result<llm::Embedded> own(llm::Embedded embedded) const;
  Task<std::vector<vector::Hit>> hits_of(Lookup& lookup, const Sketch& asked,
                                         llm::CallContext context);
  void judge(Lookup& lookup, Tenant& tenant, const Sketch& asked,
             const std::vector<vector::Hit>& hits, double draw);
  Aw<void> fetch(Lookup& lookup, Tenant& tenant);
  /// Into the log, once a minute for the same `what` (a literal).
  void log(std::string_view what, const Error& error);
  void warn(Lookup& lookup, std::string_view what, const Error& error);
  Known known_of(const semantic::EntryRow& row) const;
  static void mark_changed(Tenant& tenant, const std::string& id, Known& known);
  bool refuted_elsewhere(Lookup& lookup, Tenant& tenant, std::string_view stored);
  Aw<void> forget(std::string org, std::string entry_id);

  Aw<void> run();
  Aw<void> write(std::vector<Arrival> arrivals);
  /// True: the fresh answer is worth an entry of its own.
  bool learn(const Arrival& arrival);
  Aw<void> add(std::vector<semantic::EntryRow> entries, bool from_rows);
  Aw<std::vector<semantic::EntryRow>> embedded(std::vector<semantic::EntryRow> entries);
  void embedder_answered(bool well);
  void know(const semantic::EntryRow& row, bool placed);
  bool knows(const semantic::EntryRow& row) const;
  Aw<void> tend_stand_in();
  std::vector<std::pair<std::string, std::string>> all_entries() const;
  void fill_stand_in();
  std::vector<semantic::EntryRow> refresh_known(std::vector<semantic::EntryRow> entries);
  Aw<void> restore_knowledge(const std::vector<semantic::EntryRow>& entries);
  Aw<void> read_news();
  Aw<void> drop_strangers();
  Aw<void> write_learned();
  Aw<void> share_knowledge(const std::string& org, Tenant& tenant);
  std::vector<std::string> take_expired(Tenant& tenant) const;
  Aw<void> forget_expired(std::string org);
  Aw<void> sweep();
  Aw<void> save();

  const Options options_;
  Parts parts_;
  const std::string space_;
  Breaker embedder_breaker_;
  Logger logger_{"cache"};
  semantic::EntryRows rows_;
  mutable std::shared_mutex tenants_mutex_;
  std::map<std::string, std::shared_ptr<Tenant>, std::less<>> tenants_;
  std::mutex queue_mutex_;
  std::deque<Arrival> queue_;
  std::atomic<std::uint64_t> dropped_{0};
  std::mutex logged_mutex_;
  std::map<std::string_view, Clock::Steady> logged_;
  std::atomic<std::size_t> unsaved_{0};  ///< changes of the local index since its last save
  // Home loop only.
  std::int64_t last_seen_ = 0;
  bool all_read_ = false;  ///< what stood in SQL at the start is known
  /// Rows from here on may lack their vectors: the embedder was away.
  std::optional<std::int64_t> unplaced_since_;
  /// Organisation and id of those that the stand-in does not have yet.
  std::vector<std::pair<std::string, std::string>> for_stand_in_;
  boost::asio::thread_pool background_{1};
  CancelSource stopping_;
  bool running_ = false;
  bool stopped_ = true;
};

}  // namespace asahi::gateway
