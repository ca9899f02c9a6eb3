#pragma once

#include "memory/hot/keyword.h"
#include "memory/text/index.h"
#include "storage/vector/local/read_gate.h"

namespace asahi::memory::hot {

/// `text/`'s inverted index behind a gate: BM25 with stemming, compounds and scripts without
/// blanks.
class TextKeyword final : public KeywordIndex {
 public:
  using KeywordIndex::add;
  std::unique_ptr<Reading> read(std::string_view text, const KeywordContext&) const override;
  void add(std::uint32_t document, std::unique_ptr<Reading> reading) override;
  void remove(std::uint32_t document) override;
  /// With a filter or several terms the count is of what was found, up to `limit`.
  std::size_t search(std::string_view query, std::size_t limit, const std::uint8_t* allowed,
                     std::size_t documents, std::vector<Hit>& hits) const override;
  std::vector<std::string> matched_terms(std::string_view query,
                                         std::string_view text) const override;
  std::size_t bytes() const override;
  bool contains(std::uint32_t document) const override;
  std::string snapshot() const override;
  Result<void> restore(std::string_view bytes) override;

 private:
  mutable vector::ReadGate gate_;
  text::Index index_;
};

}  // namespace asahi::memory::hot
