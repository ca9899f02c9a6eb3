#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

/// The knowledge graph of one tenant: entities and dated facts between them. Two times are kept
/// apart (bi-temporal; Snodgrass, "Developing Time-Oriented Database Applications in SQL", 10):
/// when a fact holds in the world (valid time), and when it was believed here (record time).
namespace asahi::memory::graph {

using Time = Clock::Time;
inline constexpr Time kAlways = Time::min();   ///< of a beginning: nobody knows when
inline constexpr Time kForever = Time::max();  ///< of an end: not yet

/// The memory that states a fact, in its tenant.
struct Source {
  std::string system_id, conversation_id;
  auto operator<=>(const Source&) const = default;
  bool operator==(const Source&) const = default;
};

/// What can be true of one only at a time.
enum class Exclusive : std::uint8_t {
  kNone,
  kOneTarget,  ///< `from` has one `to`: someone lives in one town
  kOneOrigin   ///< `to` has one `from`: a company has one head
};

struct StatedEntity {
  std::string id;                 ///< "type:key", see check_entity_id
  std::string properties = "{}";  ///< a JSON object
  bool operator==(const StatedEntity&) const = default;
};

struct StatedFact {
  std::string from, to;  ///< entity ids, different; made where they are new
  std::string type;      ///< 1 to 64 of [a-z0-9_]
  double weight = 1;     ///< above 0, at most kMostWeight; kept to six decimals
  Exclusive exclusive = Exclusive::kNone;
  Time valid_from = kAlways, valid_to = kForever;  ///< [valid_from, valid_to)
  std::string properties = "{}";                   ///< a JSON object
  std::string evidence;                            ///< the sentence that says so
  bool operator==(const StatedFact&) const = default;
};
inline constexpr double kMostWeight = 100'000;
inline constexpr std::size_t kMostProperties = 4096, kMostEvidence = 2000;

/// All that one memory states.
struct Statement {
  Source source;
  std::vector<StatedEntity> entities;
  std::vector<StatedFact> facts;
  bool operator==(const Statement&) const = default;
};

/// Given in the order of recording from 1, never again to another fact.
using FactId = std::uint64_t;

/// Why a fact, or a version of one, is believed no more.
enum class End : std::uint8_t {
  kNone,
  kReplaced,      ///< its memory was written anew and does not say so
  kSuperseded,    ///< it held until another one began
  kContradicted,  ///< another one says that it never held
  kRetracted,     ///< somebody took it back
  kEdited
};
std::string_view to_string(End end);

/// What was believed of a fact from `recorded_at` until `retracted_at`.
struct Version {
  Time valid_from = kAlways, valid_to = kForever;
  Time recorded_at{}, retracted_at = kForever;
  std::int64_t weight_micros = 1'000'000;
  End end = End::kNone;  ///< why valid_to or retracted_at is as it is
  FactId ended_by = 0;   ///< 0: no other fact
  std::string properties = "{}", evidence;
  bool operator==(const Version&) const = default;
};

struct Fact {
  FactId id = 0;
  std::string from, to, type;
  Source source;
  Version version;
};

/// How one looks at the graph.
struct View {
  Time valid_at{};              ///< facts that held then
  Time recorded_at = kForever;  ///< as was believed then; kForever: as is believed now
  /// What the caller may see; nothing: every system of the tenant.
  std::optional<std::vector<std::string>> systems;
  /// With some systems only: whether their memories' likeness to memories of others is seen, which
  /// names those.
  bool shows_likeness = true;
};

/// 1 to 200 of [A-Za-z0-9_:@.-], "type:key", no "..", no '.' first. Errors: invalid_argument.
Result<void> check_entity_id(std::string_view id);
/// The part before the first colon.
std::string_view entity_type(std::string_view id);
/// An id of the type for any name: letters without accents, what an id may not have as '-'. Where
/// more than half of the name would be lost (other scripts), or it is too long, a digest of it is
/// added. Equal names in any case give equal ids where `fold_case`.
enum class Case : std::uint8_t { kKeep, kFold };
std::string entity_id(std::string_view type, std::string_view name, Case letters);

}  // namespace asahi::memory::graph
