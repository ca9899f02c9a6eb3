#include "memory/cold/search_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "llm/embed/fold.h"
#include "llm/embed/stem.h"

namespace asahi::memory::cold {

namespace pq = columnar::parquet;

namespace {

constexpr std::size_t kMaxWords = 4'096;  ///< of one summary

}  // namespace

std::uint64_t SearchRows::name_of(std::string_view word) {
  return std::hash<std::string_view>()(word);
}

Result<void> SearchRows::add(RowFile& file, std::size_t group) {
  ASAHI_TRY(const pq::Values tenants, file.read(group, ColumnId::kTenantId));
  ASAHI_TRY(const pq::Values systems, file.read(group, ColumnId::kSystemId));
  ASAHI_TRY(const pq::Values ids, file.read(group, ColumnId::kConversationId));
  ASAHI_TRY(const pq::Values times, file.read(group, ColumnId::kTimestamp));
  ASAHI_TRY(const pq::Values metadata, file.read(group, ColumnId::kMetadata));
  ASAHI_TRY(const pq::Values texts, file.read(group, ColumnId::kUltraSummary));
  ASAHI_TRY(const pq::Values models, file.read(group, ColumnId::kEmbeddingModel));
  ASAHI_TRY(const pq::Values vectors, file.read(group, ColumnId::kVector));
  for (std::size_t i = 0; i < ids.rows(); ++i) {
    // A file under the wrong name must not show one tenant another's memories.
    if (tenants.bytes(i) != tenant_ || systems.bytes(i) != system_id_)
      return fail(Errc::kCorrupt, "a cold file holds rows of another tenant or system");
    const auto row = static_cast<std::uint32_t>(rows());
    ids_.add(ids.bytes(i));
    texts_.add(texts.bytes(i));
    metadata_.add(metadata.bytes(i));
    times_.push_back(times.number(i));
    add_words(row, texts.bytes(i));
    add_vector(row, vectors.bytes(i), models.bytes(i));
  }
  return {};
}

void SearchRows::add_words(std::uint32_t row, std::string_view text) {
  std::size_t consumed = 0;
  const llm::text::Folded folded = llm::text::fold(text, kMaxWords, consumed);
  for (const llm::text::Token& token : folded.tokens)
    building_.push_back({name_of(llm::text::stem(folded.of(token))), {row, 1}});
  words_.push_back(static_cast<std::uint32_t>(folded.tokens.size()));
  all_words_ += folded.tokens.size();
}

void SearchRows::add_vector(std::uint32_t row, std::string_view codes, std::string_view model) {
  if (codes.empty()) return;
  double sum = 0;
  for (const char code : codes) {
    const auto number = static_cast<double>(static_cast<std::int8_t>(code));
    sum += number * number;
  }
  if (sum == 0) return;  // it is like nothing
  const std::uint32_t known = models_.try_emplace(std::string(model), models_.size()).first->second;
  vectors_.push_back({.row = row,
                      .block = static_cast<std::uint32_t>(blocks_.size()),
                      .length = static_cast<std::uint32_t>(codes.size()),
                      .model = known,
                      .norm = static_cast<float>(std::sqrt(sum))});
  const std::size_t blocks = (codes.size() + sizeof(Block) - 1) / sizeof(Block);
  blocks_.resize(blocks_.size() + blocks);
  std::memcpy(&blocks_[vectors_.back().block], codes.data(), codes.size());
}

void SearchRows::finish() {
  std::ranges::sort(building_, [](const Word& a, const Word& b) {
    return a.name != b.name ? a.name < b.name : a.posting.row < b.posting.row;
  });
  for (const Word& word : building_) {
    if (names_.empty() || names_.back() != word.name) {
      names_.push_back(word.name);
      starts_.push_back(static_cast<std::uint32_t>(postings_.size()));
    } else if (postings_.back().row == word.posting.row) {
      ++postings_.back().count;
      continue;
    }
    postings_.push_back(word.posting);
  }
  starts_.push_back(static_cast<std::uint32_t>(postings_.size()));
  building_ = {};
  for (Texts* const texts : {&ids_, &texts_, &metadata_}) texts->finish();
  times_.shrink_to_fit();
  words_.shrink_to_fit();
  vectors_.shrink_to_fit();
  blocks_.shrink_to_fit();
  names_.shrink_to_fit();
  starts_.shrink_to_fit();
  postings_.shrink_to_fit();
}

std::span<const SearchRows::Posting> SearchRows::holding(std::uint64_t word) const {
  const auto found = std::ranges::lower_bound(names_, word);
  if (found == names_.end() || *found != word) return {};
  const auto place = static_cast<std::size_t>(found - names_.begin());
  return std::span(postings_).subspan(starts_[place], starts_[place + 1] - starts_[place]);
}

std::vector<std::size_t> SearchRows::places(const std::vector<std::string>& ids) const {
  std::vector<std::size_t> out;
  std::size_t from = 0;
  for (const std::string& wanted : ids) {
    std::size_t low = from, high = rows();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (id(middle) < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    from = low;
    if (low < rows() && id(low) == wanted) out.push_back(low);
  }
  return out;
}

std::uint64_t SearchRows::bytes() const {
  const auto of = [](const auto& list) { return list.capacity() * sizeof list[0]; };
  return sizeof *this + ids_.bytes() + texts_.bytes() + metadata_.bytes() + of(times_) +
         of(words_) + of(vectors_) + of(blocks_) + of(names_) + of(starts_) + of(postings_);
}

}  // namespace asahi::memory::cold
