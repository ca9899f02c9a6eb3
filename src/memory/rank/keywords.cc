#include "memory/rank/keywords.h"

#include "memory/text/postings.h"

namespace asahi::memory::rank {

Keywords::Reading Keywords::read(std::string_view text, const Placement& placement) {
  Reading out;
  text::Index::read(text, out.words);
  out.talk = Conversations::read(placement, text);
  return out;
}

Result<void> Keywords::put(std::uint32_t document, Reading reading) {
  if (auto done = index_.put(document, reading.words); !done) return done;
  conversations_.put(document, std::move(reading.talk), index_.length(document));
  return {};
}

Result<void> Keywords::put(std::uint32_t document, std::string_view text,
                           const Placement& placement) {
  if (auto done = index_.put(document, text); !done) return done;
  conversations_.put(document, placement, text, index_.length(document));
  return {};
}

bool Keywords::erase(std::uint32_t document) {
  conversations_.erase(document);
  return index_.erase(document);
}

std::vector<Ranked> Keywords::search(const Question& question, const text::SearchOptions& search,
                                     std::size_t limit, const EvidenceOptions& options) const {
  return rank_conversation(question, index_, conversations_, search, limit, options);
}

std::string Keywords::snapshot() const {
  const std::string words = index_.snapshot();
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += static_cast<char>(static_cast<std::uint64_t>(words.size()) >> (8 * i));
  return out + words + conversations_.snapshot();
}

Result<Keywords> Keywords::restore(std::string_view bytes, text::IndexOptions options) {
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < 8 && i < bytes.size(); ++i)
    size |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  if (bytes.size() < 8 || size > bytes.size() - 8)
    return fail(Errc::kCorrupt, "the snapshot of the keyword index is cut: build it again");
  Keywords out(options);
  ASAHI_TRY(out.index_, text::Index::restore(bytes.substr(8, size), options));
  ASAHI_TRY(out.conversations_,
            Conversations::restore(bytes.substr(8 + size), options.max_documents));
  return out;
}

std::vector<std::string> matched_terms(const Question& question, const Ranked& ranked,
                                       Which which) {
  const std::uint64_t bits = which == Which::kOwn ? ranked.own_terms : ranked.nearby_terms;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < question.terms.size(); ++i) {
    if (bits >> i & 1) out.push_back(question.terms[i].text);
  }
  return out;
}

}  // namespace asahi::memory::rank
