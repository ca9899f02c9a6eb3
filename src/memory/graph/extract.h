#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "memory/graph/fact.h"
#include "memory/model/record.h"

namespace asahi::memory::graph {

/// What a memory says about entities, for `Graph::learn`. Certain things come from its metadata:
/// its system, user, project, tags (concepts), errors and files, and how they belong together. From
/// its text come files and errors by their form, and facts that a few plain phrases state
/// ("Ana Ruiz is the CEO of Acme", "Bob moved to Berlin on 3 May 2023"), each with its sentence as
/// evidence. Rather nothing than a guess: questions, negations, hopes and pronouns state nothing.
///
/// Facts from metadata hold from the memory's timestamp on, or from `now` where that is earlier
/// (clocks differ); facts from the text from the date that the sentence names, else likewise.
/// Metadata that is no JSON object counts as none. At most 200 facts; linear in the text, of which
/// the first 64 KiB are read.
Statement extract(const Memory& memory, Time now);

/// A fact as a sentence states it, before its ends are entities.
struct Phrase {
  std::string from, to;  ///< names as they are written; `from` "I": who speaks
  std::string type;  ///< located_in, works_at, reports_to, owns, maintains, depends_on, ceo_of, …
  Exclusive exclusive = Exclusive::kNone;
  std::optional<Time> since;  ///< midnight UTC of the date named
};
/// What one sentence states, English. `said`: when, for years left out, "today" and "yesterday".
std::vector<Phrase> phrases(std::string_view sentence, Time said);

/// The first date in a text: 2023-05-03, May 3, 2023; 3 May 2023; May 2023; 3 May (the last one
/// not after `said` by more than a month); today; yesterday; in 2023. Midnight UTC.
std::optional<Time> find_date(std::string_view text, Time said);

}  // namespace asahi::memory::graph
