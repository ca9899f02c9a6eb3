#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/graph/fact.h"

namespace asahi::memory::graph {

/// What is changed of a fact; nothing: stays.
struct Edit {
  std::optional<double> weight;
  std::optional<Time> valid_from, valid_to;
  std::optional<std::string> properties;
  bool operator==(const Edit&) const = default;
};

/// A fact with its past, for snapshots.
struct StoredFact {
  FactId id = 0;
  std::string from, to, type;
  Source source;
  Exclusive exclusive = Exclusive::kNone;
  std::uint64_t identity = 0, stated = 0;  ///< digests, see Graph
  Time stated_to = kForever, cut_to = kForever;
  FactId cut_by = 0;
  End withdrawn = End::kNone;
  std::vector<Version> versions;  ///< oldest first; the last one is the present one
  bool operator==(const StoredFact&) const = default;
};

/// One line of the append-only log that rebuilds a graph. The first kinds are what was done, the
/// last ones make up snapshots (which begin with kStart and replace all that came before).
struct Change {
  enum Kind : std::uint8_t {
    kLearn,         ///< statement
    kSupersede,     ///< fact, by
    kContradict,    ///< fact, by (0: nothing in its place)
    kRetract,       ///< fact
    kEdit,          ///< fact, edit
    kForget,        ///< statement.source
    kForgetSystem,  ///< statement.source.system_id
    kStart,         ///< fact: the next id
    kStoredSource,  ///< statement: source and entities
    kStoredEntity,  ///< statement: one entity, and the source of its properties
    kStoredFact     ///< stored
  };
  Kind kind = kLearn;
  Time at{};  ///< when it was recorded; of kStoredEntity: when it was first seen
  Statement statement;
  FactId fact = 0, by = 0;
  Edit edit;
  StoredFact stored;
  bool operator==(const Change&) const = default;
};

/// One line of JSON, without the line's end.
std::string encode(const Change& change);
/// Errors: corrupt. Only the form is checked; `Graph::apply` checks the rest.
Result<Change> decode(std::string_view line);

}  // namespace asahi::memory::graph
