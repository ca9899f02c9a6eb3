#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "llm/message.h"

namespace asahi::gateway::tokens {

/// A stretch of a request's text and what may be done with it.
struct Part {
  enum class Kind { kSystem, kExample, kHistory, kDocument, kQuery };
  /// How much may be taken.
  enum class Care {
    kUntouched,
    kLight,  ///< phrases, courtesy, repeats
    kFull,   ///< besides, what has nothing to do with the query
  };
  Kind kind = Kind::kQuery;
  Care care = Care::kUntouched;
  bool old = false;                   ///< history further back than `max_history_turns`
  bool moods_may_go = false;          ///< also at kLight: irrelevant sentences of mood (phrases.h)
  std::size_t message = 0, part = 0;  ///< where it is
  std::size_t begin = 0, end = 0;     ///< in that part's text
};

/// What the query is about to do with the texts around it.
enum class Task {
  kAnswer,   ///< ask something of them: what is irrelevant may go
  kDigest,   ///< summarise, list, judge them: all of their content counts
  kWording,  ///< translate, correct, rewrite, classify them: every word counts
};
Task task_of(std::string_view query);

/// The parts of one text (spec §3.10), in order, without gaps: the question and everything that may
/// belong to it is kQuery. Used for the last user message and for a plain prompt.
std::vector<Part> parts_of_prompt(std::string_view prompt);

struct PartOptions {
  std::size_t max_history_turns = 5;
  /// Messages that are examples of the caller's pool (POST /infer `examples`): they follow the
  /// leading system messages, a question and an answer each.
  std::size_t examples = 0;
};

struct RequestParts {
  std::vector<Part> parts;  ///< those that may be touched, in order
  std::string query;        ///< the question's text
  Task task = Task::kAnswer;
  std::size_t first_example = 0, examples = 0;  ///< messages 2i and 2i + 1 from the first on
};

/// The parts of a conversation that may be touched. Never: the last user message but for documents
/// in it, anything behind it, tool calls and results and the messages that hold them, messages with
/// media or reasoning, named messages, and everything up to the last prompt-cache breakpoint
/// (`cache_control`), which must stay byte for byte.
RequestParts parts_of(const llm::ChatRequest& request, const PartOptions& options);

}  // namespace asahi::gateway::tokens
