#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/rank/conversations.h"
#include "memory/rank/evidence.h"
#include "memory/text/index.h"

namespace asahi::memory::rank {

/// The keyword half of a store: an index and the conversations that stand in it, changed together.
/// Documents are the store's numbers, dense from 0. Const members may run side by side; nothing may
/// run beside a member that changes.
class Keywords {
 public:
  explicit Keywords(text::IndexOptions options = {}) : options_(options), index_(options) {}

  /// What `put` wants to know of a text: may be worked out beforehand, on any thread.
  struct Reading {
    text::Index::Words words;
    Conversations::Reading talk;
  };
  static Reading read(std::string_view text, const Placement& placement);

  /// Adds or replaces. Errors: as text::Index::put; nothing was changed.
  Result<void> put(std::uint32_t document, Reading reading);
  Result<void> put(std::uint32_t document, std::string_view text, const Placement& placement);
  bool erase(std::uint32_t document);
  /// The best `limit` for the question. `search.allowed` and `search.admits` hold for neighbours,
  /// too; `search.limit` is not looked at.
  std::vector<Ranked> search(const Question& question, const text::SearchOptions& search,
                             std::size_t limit, const EvidenceOptions& options = {}) const;
  /// Work that deletes and replacements left, to be done between writes: true when none is left.
  bool vacuum(std::size_t postings) { return !index_.wants_vacuum() || index_.vacuum(postings); }

  const text::Index& index() const { return index_; }
  const Conversations& conversations() const { return conversations_; }
  std::size_t bytes() const { return index_.bytes() + conversations_.bytes(); }

  std::string snapshot() const;
  /// Errors: corrupt, too_large. Then the store's rows build it again.
  static Result<Keywords> restore(std::string_view bytes, text::IndexOptions options = {});

 private:
  text::IndexOptions options_;
  text::Index index_;
  Conversations conversations_;
};

/// The question's terms that a result holds itself, then those its neighbours hold (`Which`).
enum class Which : std::uint8_t { kOwn, kNearby };
std::vector<std::string> matched_terms(const Question& question, const Ranked& ranked, Which which);

}  // namespace asahi::memory::rank
