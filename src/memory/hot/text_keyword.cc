#include "memory/hot/text_keyword.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

namespace asahi::memory::hot {
namespace {

/// What a write does for postings of the dead, while there are many.
constexpr std::size_t kVacuumedPerWrite = 2000;
constexpr std::size_t kLongestList = 10'000;

struct Words final : KeywordIndex::Reading {
  text::Index::Words words;
};

std::vector<std::uint64_t> as_bits(const std::uint8_t* bytes, std::size_t count) {
  std::vector<std::uint64_t> out((count + 63) / 64);
  for (std::size_t i = 0; i < count; ++i) {
    out[i / 64] |= static_cast<std::uint64_t>(bytes[i] != 0 ? 1 : 0) << (i % 64);
  }
  return out;
}

}  // namespace

std::unique_ptr<KeywordIndex::Reading> TextKeyword::read(std::string_view text,
                                                         const KeywordContext&) const {
  auto out = std::make_unique<Words>();
  text::Index::read(text, out->words);
  return out;
}

void TextKeyword::add(std::uint32_t document, std::unique_ptr<Reading> reading) {
  const std::unique_lock lock(gate_);
  // A full index leaves the memory to be found by its vector and its fields.
  const auto put = index_.put(document, static_cast<const Words&>(*reading).words);
  if (!put) index_.erase(document);
  if (index_.wants_vacuum()) index_.vacuum(kVacuumedPerWrite);
}

void TextKeyword::remove(std::uint32_t document) {
  const std::unique_lock lock(gate_);
  index_.erase(document);
  if (index_.wants_vacuum()) index_.vacuum(kVacuumedPerWrite);
}

std::size_t TextKeyword::search(std::string_view query, std::size_t limit,
                                const std::uint8_t* allowed, std::size_t documents,
                                std::vector<Hit>& hits) const {
  hits.clear();
  std::vector<std::uint64_t> bits;
  text::SearchOptions options;
  options.limit = std::clamp<std::size_t>(limit, 1, kLongestList);
  if (allowed != nullptr) {
    bits = as_bits(allowed, std::max<std::size_t>(documents, 1));
    options.allowed = bits;
  }
  const std::vector<text::QueryTerm> terms = text::query_terms(query);
  const std::shared_lock lock(gate_);
  const text::Hits found = index_.search(terms, options);
  for (const auto& hit : found.hits) hits.push_back({hit.document, hit.score});
  if (allowed == nullptr && terms.size() == 1) {
    return std::max<std::size_t>(found.documents_with[0], hits.size());
  }
  return hits.size();
}

std::vector<std::string> TextKeyword::matched_terms(std::string_view query,
                                                    std::string_view text) const {
  text::Tokens tokens;
  text::tokenise(text, text::Side::kDocument, tokens);
  std::vector<std::string_view> has;
  for (const text::Token& token : tokens.tokens) has.push_back(tokens.of(token));
  std::ranges::sort(has);
  std::vector<std::string> out;
  for (const text::QueryTerm& term : text::query_terms(query)) {
    if (std::ranges::binary_search(has, std::string_view(term.text))) out.push_back(term.text);
  }
  return out;
}

std::size_t TextKeyword::bytes() const {
  const std::shared_lock lock(gate_);
  return index_.bytes();
}

bool TextKeyword::contains(std::uint32_t document) const {
  const std::shared_lock lock(gate_);
  return index_.contains(document);
}

std::string TextKeyword::snapshot() const {
  const std::shared_lock lock(gate_);
  return index_.snapshot();
}

Result<void> TextKeyword::restore(std::string_view bytes) {
  ASAHI_TRY(auto whole, text::Index::restore(bytes));
  const std::unique_lock lock(gate_);
  index_ = std::move(whole);
  return {};
}

}  // namespace asahi::memory::hot
