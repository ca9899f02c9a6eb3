#include "server/commands/benchmark/queries.h"

#include <algorithm>

namespace asahi::server::benchmark {

std::string_view to_string(Category category) {
  constexpr std::array<std::string_view, kCategories> kNames = {
      "questions",    "look-alikes",   "assistants", "coding",       "reasoning", "summaries",
      "compositions", "conversations", "sorting",    "translations", "creative"};
  return kNames[static_cast<std::size_t>(category)];
}

std::size_t Topic::wording_count() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(wordings, [](std::string_view wording) { return !wording.empty(); }));
}

std::string Topic::prompt(std::size_t wording) const {
  std::string text(wordings[wording]);
  if (!document.empty()) {
    text += "\n\n";
    text += document;
  }
  return text;
}

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all = [] {
    std::vector<Topic> joined;
    for (const auto part :
         {question_topics(), look_alike_topics(), task_topics(), context_topics()}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
  }();
  return all;
}

}  // namespace asahi::server::benchmark
