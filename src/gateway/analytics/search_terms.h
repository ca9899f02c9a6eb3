#pragma once

#include <cstdint>
#include <map>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/analytics/search_pages.h"

namespace asahi::gateway::analytics {

/// A term begins with what it is a value of: exact values keep their case, words ('w') are folded.
inline constexpr std::size_t kMostOfATerm = 80;
std::string term(char field, std::string_view value);

/// What search looks at of one event.
struct Indexed {
  std::int64_t ms = 0;
  std::string_view org, request_id, user, model, task, provider, reason, error, key;
  bool failed = false, hit = false;
  std::string_view tier;
};

/// The terms of a block's events of one organisation. Terms are many and most of them rare, so they
/// lie in one piece of memory, and who has them is sorted when the block is full.
class OrgTerms {
 public:
  OrgTerms() = default;
  OrgTerms(const OrgTerms&) = delete;
  OrgTerms& operator=(const OrgTerms&) = delete;

  /// Positions ascend.
  void add(const Indexed& event, std::uint16_t position);
  const Times& times() const { return times_; }
  /// Stored form, in order.
  std::vector<TermPage> pages() const;

 private:
  using Number = std::uint32_t;  ///< of a term, as it came
  /// Some of `lists_`.
  struct List {
    std::size_t begin = 0, count = 0;
  };

  Number number_of(std::string_view term);
  void append_terms_of(char field, std::string_view value);
  void put(Number term, std::uint16_t position);
  void add_words(char field, std::string_view value, std::uint16_t position);
  void add_value(char field, std::string_view value, std::uint16_t position);
  std::string_view kept(std::string_view text);

  Times times_;
  std::pmr::monotonic_buffer_resource memory_;
  std::pmr::unordered_map<std::string_view, Number> numbers_{&memory_};
  std::vector<std::string_view> names_;                    ///< by number
  std::vector<std::int32_t> last_;                         ///< position, by number
  std::vector<std::pair<Number, std::uint16_t>> entries_;  ///< in the events' order
  /// The terms of a field's value: most fields have few values, and each is taken apart once.
  std::pmr::unordered_map<std::string_view, List> known_{&memory_};
  std::vector<Number> lists_;
  std::vector<std::string> words_;
  std::string named_, term_;
};

struct BlockTerms {
  std::int64_t block = -1, events = 0;
  std::map<std::string, OrgTerms, std::less<>> orgs;

  void add(std::int64_t id, const Indexed& event);
};

}  // namespace asahi::gateway::analytics
