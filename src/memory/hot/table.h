#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "memory/hot/log.h"
#include "memory/hot/slot_index.h"
#include "memory/model/query.h"

namespace asahi::memory::hot {

/// Texts as small numbers from 1 on; 0 is "none". Never given back.
class Interner {
 public:
  std::uint32_t add(std::string_view text);
  /// 0: not there.
  std::uint32_t find(std::string_view text) const;
  const std::string& at(std::uint32_t number) const { return texts_[number - 1]; }
  std::size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

/// The metadata fields that have a column.
inline constexpr std::array<std::string_view, 5> kFieldNames = {"source", "project", "language",
                                                                "type", "user_id"};
/// In a column: the value is a list, too long, or one of too many; the metadata itself decides.
inline constexpr std::uint32_t kAskMetadata = UINT32_MAX;

/// What filters need of a row's metadata.
struct FieldValues {
  std::array<std::optional<std::string>, kFieldNames.size()> values;  ///< scalars
  std::array<bool, kFieldNames.size()> complex{};
  std::vector<std::string> tags;  ///< sorted
  std::uint64_t signature = 0;    ///< two bits for each pair of name and value
};
/// Of a JSON object; what is none has no fields.
FieldValues read_fields(std::string_view metadata);
FieldValues read_fields(const json::object& metadata);
std::uint64_t pair_signature(std::string_view name, std::string_view value);
/// Does a metadata object fulfil one equality?
bool metadata_matches(std::string_view metadata, std::string_view name, std::string_view value);

inline constexpr std::uint32_t kNoSlot = UINT32_MAX;

/// One tenant's memories in memory, but for what they say: a slot of columns for each row, and for
/// each duplicate that was seen ("alias"). A change is first staged, visible to the writer alone,
/// and becomes visible to all when the log has it, or is taken back.
///
/// Not synchronised: the owner keeps readers out of changes. 104 bytes a row and 16 to 23 of index,
/// besides names, vectors, postings and bands.
class Table {
 public:
  enum Flag : std::uint8_t {
    kCurrent = 1,  ///< there, for the writer
    kDurable = 2,  ///< there, for all
    kAlias = 4,    ///< its content is another's
    kMarked = 8,   ///< being migrated
  };
  struct Place {
    Position position;
    std::uint32_t size = 0;   ///< of the record in the log
    std::uint32_t model = 0;  ///< of its vector, 0: none
    std::uint64_t sequence = 0;
    std::uint64_t key_hash = 0;
    std::uint64_t content_hash = 0;
  };
  struct Columns {
    std::vector<std::uint8_t> flags;
    std::vector<std::uint8_t> visible;  ///< durable, no alias
    std::vector<std::int64_t> timestamp;
    std::vector<std::uint32_t> system;
    std::array<std::vector<std::uint32_t>, kFieldNames.size()> fields;
    std::vector<std::uint32_t> tags;  ///< number of a set of tags
    std::vector<std::uint64_t> signature;
  };

  /// A slot for a staged row: its columns are set, the index knows it, nobody sees it yet.
  std::uint32_t add(const Place& place, std::string_view system_id, Clock::Time timestamp,
                    const FieldValues& fields, bool alias, std::uint32_t wanted = kNoSlot);
  /// The slot is free from now on; it must be neither current nor durable.
  void release(std::uint32_t slot);

  /// Before a start: slots [0, count) are kept for rows that name them, until `free_the_rest`.
  void reserve_slots(std::size_t count);
  void free_the_rest();

  std::uint8_t flags(std::uint32_t slot) const { return columns_.flags[slot]; }
  bool has(std::uint32_t slot, std::uint8_t flag) const {
    return slot < columns_.flags.size() && (columns_.flags[slot] & flag) != 0;
  }
  void set_flags(std::uint32_t slot, std::uint8_t flags);
  Place& place(std::uint32_t slot) { return places_[slot]; }
  const Place& place(std::uint32_t slot) const { return places_[slot]; }
  /// Its record stands elsewhere now.
  void moved(std::uint32_t slot, Position position, std::uint32_t size);
  Clock::Time timestamp(std::uint32_t slot) const {
    return Clock::Time{std::chrono::nanoseconds{columns_.timestamp[slot]}};
  }
  const std::string& system(std::uint32_t slot) const { return systems_.at(columns_.system[slot]); }
  std::uint32_t find_system(std::string_view system_id) const { return systems_.find(system_id); }

  template <class Take>
  void with_key(std::uint64_t hash, Take take) const {
    by_key_.find(hash,
                 [&](std::uint32_t slot) { return places_[slot].key_hash == hash && take(slot); });
  }
  template <class Take>
  void with_content(std::uint64_t hash, Take take) const {
    by_content_.find(
        hash, [&](std::uint32_t slot) { return places_[slot].content_hash == hash && take(slot); });
  }

  /// Aliases and what they stand for.
  void set_owner(std::uint32_t alias, std::uint32_t owner);
  void clear_owner(std::uint32_t alias);
  std::uint32_t owner(std::uint32_t alias) const;
  /// In the order in which they came.
  const std::vector<std::uint32_t>* aliases(std::uint32_t owner) const;

  const Columns& columns() const { return columns_; }
  std::size_t slots() const { return columns_.flags.size(); }
  std::uint64_t rows() const { return rows_; }  ///< visible ones
  std::uint64_t live_bytes() const { return live_bytes_; }
  std::size_t bytes() const;

  /// Fills `allowed` with a byte per slot: visible, and by its columns maybe matching. `check`:
  /// pairs that the metadata itself must confirm. Returns how many.
  struct Allowed {
    std::vector<std::uint8_t> slots;
    std::size_t count = 0;
    std::vector<std::pair<std::string, std::string>> check;
  };
  void allow(const Filter& filter, Allowed& out) const;

  /// Adds what the slots of `allowed` (null: all visible) hold to the facets that columns know.
  void count_facets(const std::vector<std::string>& facets, const std::uint8_t* allowed,
                    FacetCounts& out) const;
  /// The same of a list of slots.
  void count_facets_of(const std::vector<std::string>& facets,
                       const std::vector<std::uint32_t>& slots, FacetCounts& out) const;

 private:
  std::uint32_t take_slot(std::uint32_t wanted);
  std::uint32_t tag_set(const std::vector<std::string>& tags);
  template <class ForSlots>
  void count_each(const std::vector<std::string>& facets, ForSlots for_slots,
                  FacetCounts& out) const;

  Columns columns_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
  SlotIndex by_key_, by_content_;
  Interner systems_, tag_names_, tag_sets_;
  std::array<Interner, kFieldNames.size()> values_;
  std::vector<std::vector<std::uint32_t>> tags_of_set_;  ///< by set number − 1
  std::array<bool, kFieldNames.size()> some_complex_{};
  bool some_tags_unknown_ = false;
  std::unordered_map<std::uint32_t, std::uint32_t> owners_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> aliases_;
  std::uint64_t rows_ = 0;
  std::uint64_t live_bytes_ = 0;
};

}  // namespace asahi::memory::hot
