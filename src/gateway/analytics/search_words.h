#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/events/event.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// What full-text search takes for words: runs of letters, digits and all beyond ASCII, in small
/// letters (Latin, Greek, Cyrillic, Armenian, full-width). The same for what is stored and for what
/// is asked, on every database.
void append_words(std::vector<std::string>& out, std::string_view text);

/// The words of the fields that search looks at.
std::vector<std::string> words_of(const InferenceEvent& event);

/// Whether each of `asked` begins one of the event's words.
bool matches(const InferenceEvent& event, const std::vector<std::string>& asked);

/// The same for many rows: looks at each value once.
class Matcher {
 public:
  /// At most 64 words count. `asked` outlives the matcher.
  explicit Matcher(const std::vector<std::string>& asked) : asked_(asked) {}
  /// A row with `kSearchedColumns`.
  bool matches(const sql::Rows& rows, std::size_t row);

 private:
  std::uint64_t begun_by(const std::string& value) const;

  const std::vector<std::string>& asked_;
  std::unordered_map<std::string, std::uint64_t> known_;
};
inline constexpr std::string_view kSearchedColumns =
    "id, timestamp, request_id, user_id, model_selected, task_type, provider, routing_reason, "
    "error_code";

}  // namespace asahi::gateway::analytics
