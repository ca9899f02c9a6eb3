#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "memory/graph/change.h"
#include "memory/graph/fact.h"

namespace asahi::memory::graph {

struct Limits {
  std::size_t entities = 1'000'000;
  std::size_t edges = 5'000'000;   ///< pairs of entities and a type
  std::size_t facts = 10'000'000;  ///< what edges are made of: one a memory
};

/// How its owner keeps a graph: as a log of changes, or as rows of what was touched.
enum class Keeping : std::uint8_t { kLog, kRows };

/// What differs from what was kept last; what is not there any more is to be removed.
struct Touched {
  std::unordered_set<FactId> facts;
  std::set<std::string> entities;
  std::set<Source> sources;
  bool empty() const { return facts.empty() && entities.empty() && sources.empty(); }
};

struct Learned {
  std::size_t added = 0, changed = 0, withdrawn = 0, unchanged = 0;
  std::vector<FactId> facts;  ///< ids of the statement's facts, in its order
};

/// Dated facts, and how they change each other. An edge is what all facts with the same ends and
/// type make together; its weight is their sum.
///
/// Every change is a `Change` first: what was done is taken with `take_changes`, appended to a log
/// by the caller, and `apply` on an empty graph gives the same graph again. Or rows are kept: what
/// was touched is taken with `take_touched`, `stored_…` say how it is now, and those changes in the
/// order of `snapshot` give the graph again. Times of record never go back: a clock that does is
/// held.
///
/// Facts end each other by these rules. A fact that is exclusive takes its place among those with
/// the same type and anchor: of two with different other ends, the later beginning ends the
/// earlier fact (superseded), whichever was recorded first; of two with the same beginning the one
/// recorded later is believed (contradicted). Where the fact that ended another goes, the other is
/// believed again.
///
/// One thread writes; reads may run beside each other.
class Graph {
 public:
  explicit Graph(Limits limits = {}, Keeping keeping = Keeping::kLog);

  /// What a memory states, whole: what it stated before and does not state now is withdrawn, what
  /// is the same stays as it is, even where it was edited, contradicted or retracted since. All or
  /// nothing. Errors: invalid_argument with the field, too_large (a limit).
  Result<Learned> learn(const Statement& statement, Time now);
  /// `old` held until `by` began. Errors: not_found, invalid_argument (`by` begins no later).
  Result<void> supersede(FactId old, FactId by, Time now);
  /// `old` never held; `by`: what does, or 0. Errors: not_found, invalid_argument.
  Result<void> contradict(FactId old, FactId by, Time now);
  /// Errors: not_found; conflict when it is not believed any more (also of `edit`).
  Result<void> retract(FactId fact, Time now);
  /// Errors: also invalid_argument.
  Result<void> edit(FactId fact, const Edit& edit, Time now);
  /// Removes what a memory (a system) stated from all views, past ones too; how many facts went.
  std::size_t forget(const Source& source, Time now);
  std::size_t forget_system(std::string_view system_id, Time now);

  /// What was done since it was last taken; grows until then: take it after every batch.
  std::vector<Change> take_changes();
  /// Does what a log says. Errors: corrupt.
  Result<void> apply(const Change& change);
  /// The shortest log that gives this graph.
  void snapshot(const std::function<void(const Change&)>& write) const;

  /// Of a graph kept as rows; grows until it is taken, as the changes do.
  Touched take_touched() { return std::exchange(touched_, {}); }
  /// kStart, kStoredSource, kStoredEntity, kStoredFact; nothing: it is not there.
  Change stored_start() const;
  std::optional<Change> stored_source(const Source& source) const;
  std::optional<Change> stored_entity(std::string_view id) const;
  std::optional<Change> stored_fact(FactId id) const;

  std::size_t entities() const { return entity_numbers_.size(); }
  std::size_t edges() const { return edge_numbers_.size(); }
  std::size_t facts() const { return fact_rows_.size(); }

  /// A fact as seen by `view`'s record time and systems, whenever it holds. Nothing: not seen.
  std::optional<Fact> fact(FactId id, const View& view) const;
  /// Its last version of those recorded until then, believed or not. Nothing: none.
  std::optional<Fact> last_fact(FactId id, Time recorded_at) const;
  /// All its versions, oldest first; empty: unknown.
  std::vector<Version> history(FactId id) const;

 private:
  friend class Sight;
  using Number = std::uint32_t;
  static constexpr Number kNone = UINT32_MAX;

  struct Entity {
    std::string id;
    Number type = 0;
    Time first_seen{};
    std::string properties = "{}";
    Number properties_source = kNone;
    std::vector<std::pair<Number, Number>> systems;  ///< that state it, and in how many memories
    std::vector<Number> out, in;                     ///< edges
  };
  struct Edge {
    Number from = kNone, to = kNone, type = 0;
    Number first = kNone;  ///< of its facts
    Number place_out = 0, place_in = 0;
    // Of the facts believed now. Bounds are never too tight, so that a view beyond all of them sees
    // every one without a look.
    Number live = 0;
    std::int64_t weight_micros = 0;
    Time latest_from = kAlways, earliest_to = kForever;
  };
  struct Row {
    FactId id = 0, cut_by = 0, ended_by = 0;
    std::uint64_t identity =
        0;  ///< digest of ends, type and stated beginning: the same in one memory
    std::uint64_t stated = 0;  ///< digest of the rest of what was stated
    Number edge = kNone, source = kNone, next = kNone, previous = kNone, text = 0;
    Time valid_from{}, valid_to{}, recorded_at{}, retracted_at{};
    Time stated_to = kForever;  ///< as stated or edited
    Time cut_to = kForever;     ///< by an explicit successor
    std::int64_t weight_micros = 0;
    Exclusive exclusive = Exclusive::kNone;
    End end = End::kNone;
    End withdrawn = End::kNone;  ///< for good, whatever others say
    bool live() const { return retracted_at == kForever; }
  };
  struct Text {
    std::string properties, evidence;
  };
  struct Memory {
    Number system = 0;
    std::string conversation_id;
    std::vector<Number> facts, entities;
  };
  struct EdgeKey {
    Number from, to, type;
    bool operator==(const EdgeKey&) const = default;
  };
  struct EdgeKeyHash {
    using is_avalanching = void;
    std::size_t operator()(const EdgeKey& key) const {
      std::uint64_t hash = (std::uint64_t{key.from} << 32 | key.to) * 0x9E3779B97F4A7C15;
      hash = (hash ^ hash >> 32 ^ key.type) * 0xC2B2AE3D27D4EB4F;
      return hash ^ hash >> 29;
    }
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <class Value>
  using ByText = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
  struct Words {
    ByText<Number> numbers;
    std::vector<std::string> texts;
    Number number(std::string_view text);
    Number find(std::string_view text) const;
  };
  struct Target {
    bool live = true;
    Time valid_to = kForever;
    End end = End::kNone;
    FactId ended_by = 0;
  };

  Fact fact_of(const Row& row, Version version) const;
  Result<void> check(const Statement& statement) const;
  Result<void> check_limits(const Statement& statement) const;
  /// What came of it, and whether anything changed.
  std::pair<Learned, bool> do_learn(const Statement& statement, Time now);
  Result<void> do_supersede(FactId old, FactId by, Time now);
  Result<void> do_contradict(FactId old, FactId by, Time now);
  Result<void> do_retract(FactId fact, Time now);
  Result<void> do_edit(FactId fact, const Edit& edit, Time now);
  std::size_t do_forget_system(std::string_view system_id, Time now);
  Result<Number> row_of(FactId fact) const;
  Result<Number> standing_row_of(FactId fact) const;
  static std::uint64_t identity_of(const StatedFact& fact);
  static std::uint64_t stated_of(const StatedFact& fact);
  Time held(Time now) const;
  void did(Change change);
  void touch(const Row& row);
  void touch_entity(const Entity& entity);
  void touch_memory(const Memory& memory);

  Number entity(std::string_view id, Time now);
  void declare(Number entity, Number system, int by);
  void drop_unused(Number entity);
  Number memory(const Source& source);
  Number find_memory(const Source& source) const;
  void drop_unused_memory(Number memory);
  Number edge(Number from, Number to, Number type);
  void drop_unused_edge(Number edge);
  /// Takes a row that is believed into its edge's sums, or out of them.
  void count(const Row& row, int by);

  /// A row in its edge and memory, in no group, not counted.
  Number new_row(const StatedFact& fact, Number source, Time now);
  Number add_row(const StatedFact& fact, Number source, Time now);
  void erase_row(Number row, Time now);
  std::uint64_t group_of(const Row& row) const;
  void enter_group(Number row);
  void leave_group(Number row);
  Number other_end(const Row& row) const;
  void keep_version(Number row, Time now, End why);
  void update(Number row, const Target& target, Time now);
  Target own_target(const Row& row) const;
  void settle(Number row, Time now);
  void settle_group(std::uint64_t group, Time now);
  void withdraw(Number row, End why, Time now);
  void lift(FactId by, Time now);
  void set_cut(Number row, FactId by);
  std::size_t do_forget(Number memory, Time now);
  Number set_text(Number text, std::string properties, std::string evidence);
  Version version(const Row& row) const;
  Result<void> restore(const StoredFact& stored);

  Limits limits_;
  Keeping keeping_;
  Touched touched_;
  FactId next_id_ = 1;
  Time last_record_ = kAlways;
  std::vector<Change> changes_;

  Words types_, systems_;
  std::vector<Entity> entities_;
  std::vector<Number> free_entities_;
  ByText<Number> entity_numbers_;
  std::vector<Edge> edges_;
  std::vector<Number> free_edges_;
  boost::unordered_flat_map<EdgeKey, Number, EdgeKeyHash> edge_numbers_;
  std::vector<Row> rows_;
  std::vector<Number> free_rows_;
  boost::unordered_flat_map<FactId, Number> fact_rows_;
  std::unordered_map<FactId, std::vector<Version>> past_;
  std::vector<Text> texts_{1};  // 0: none
  std::vector<Number> free_texts_;
  std::vector<Memory> memories_;
  std::vector<Number> free_memories_;
  std::map<std::pair<Number, std::string>, Number> memory_numbers_;  // sorted: systems together
  std::unordered_map<std::uint64_t, std::vector<Number>> groups_;    // sorted by beginning, then id
  std::unordered_map<FactId, std::vector<FactId>> cuts_;             // by the fact that cut
};

}  // namespace asahi::memory::graph
