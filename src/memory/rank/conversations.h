#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace asahi::memory::rank {

/// Where a memory stands: what its metadata says, as far as it says it.
struct Placement {
  std::string_view scope;    ///< tenant and system: nothing outside is a neighbour
  std::string_view session;  ///< empty: the day stands for it, neighbours within an hour
  std::string_view speaker;  ///< empty: "Name: " before the text
  Clock::Time timestamp;
  std::optional<std::uint32_t> turn;  ///< in its session
  std::string_view id;  ///< breaks ties by its last two numbers: "D1:9" stands before "D1:10"
};

/// What a memory's metadata says of its place: fields session (or session_id), speaker (or author,
/// role), turn (or position), as strings or numbers. Unreadable metadata says nothing.
struct MetadataPlacement {
  std::string session, speaker;
  std::optional<std::uint32_t> turn;
};
MetadataPlacement read_placement(std::string_view metadata);
MetadataPlacement read_placement(const json::object& metadata);

/// Who said what after whom: for each document its group (session), place in it and speaker. Lives
/// beside a text::Index, with the same document numbers and the same rule: many readers or one
/// writer.
class Conversations {
 public:
  struct Facts {
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;
    std::uint32_t group = kNone;  ///< kNone: not here
    std::uint32_t speaker = kNone;
    std::int64_t time = 0;    ///< nanoseconds since 1970
    std::uint64_t place = 0;  ///< order among equal times
    std::uint16_t words = 0;
    bool asks = false;        ///< ends as a question
    bool tells_time = false;  ///< "yesterday", "in June"
    bool by_session = false;  ///< grouped by a session, not by day
  };
  struct Entry {
    std::int64_t time = 0;
    std::uint64_t place = 0;
    std::uint32_t document = 0;
    auto operator<=>(const Entry&) const = default;
  };

  /// What `put` wants to know of a text: may be worked out beforehand, on any thread.
  struct Reading {
    std::string group;  ///< key of the session or day
    std::vector<std::string> speaker;
    Facts facts;  ///< but for group, speaker and words
  };
  static Reading read(const Placement& placement, std::string_view text);

  /// Adds or replaces. `words`: text::Index::length.
  void put(std::uint32_t document, Reading reading, std::uint16_t words);
  void put(std::uint32_t document, const Placement& placement, std::string_view text,
           std::uint16_t words) {
    put(document, read(placement, text), words);
  }
  bool erase(std::uint32_t document);
  /// Group kNone for documents that are not here.
  Facts facts(std::uint32_t document) const {
    return document < facts_.size() ? facts_[document] : Facts{};
  }
  /// The document's session in order.
  std::span<const Entry> session_of(const Facts& facts) const {
    return groups_[facts.group].entries;
  }
  /// Whether two entries of one session support each other.
  static bool near(const Facts& facts, const Entry& a, const Entry& b);
  /// Folded words of a speaker's name.
  std::span<const std::string> speaker_words(std::uint32_t speaker) const {
    return speakers_[speaker];
  }
  std::size_t bytes() const;

  /// All of it as bytes with a digest.
  std::string snapshot() const;
  /// Errors: corrupt. `max_documents`: numbers stay below.
  static Result<Conversations> restore(std::string_view bytes,
                                       std::uint32_t max_documents = std::uint32_t{1} << 24);

 private:
  struct Group {
    std::string key;
    std::vector<Entry> entries;
  };
  std::uint32_t group_by(std::string key);
  bool read(std::string_view payload, std::uint32_t max_documents);
  std::uint32_t speaker_of(std::vector<std::string> words);

  std::vector<Facts> facts_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::unordered_map<std::string, std::uint32_t> group_by_key_;
  std::vector<std::vector<std::string>> speakers_;
  std::unordered_map<std::string, std::uint32_t> speaker_by_name_;
};

/// "Caroline" of "Caroline: I went …"; empty when the text does not begin so.
std::string_view spoken_by(std::string_view text);

}  // namespace asahi::memory::rank
