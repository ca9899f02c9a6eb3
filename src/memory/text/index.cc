#include "memory/text/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "memory/text/digest.h"
#include "memory/text/traversal.h"

namespace asahi::memory::text {
namespace {

std::uint32_t hash_of(std::string_view term) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : term) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

constexpr std::string_view kMagic = "asahi words 1\n";

void put_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value);
  out += static_cast<char>(value >> 8);
}

}  // namespace

std::vector<QueryTerm> query_terms(std::string_view question) {
  Tokens tokens;
  tokenise(question, Side::kQuestion, tokens);
  std::vector<QueryTerm> out;
  for (const Token& token : tokens.tokens) {
    const std::string_view term = tokens.of(token);
    if (std::ranges::find(out, term, &QueryTerm::text) != out.end()) continue;
    out.push_back({std::string(term), token.grammar ? kGrammarWeight : 1.0F});
    if (out.size() >= 8 * kMostQueryTerms) break;
  }
  for (std::size_t i = out.size(); i-- > 0 && out.size() > kMostQueryTerms;) {
    if (out[i].weight < 1) out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (out.size() > kMostQueryTerms) out.resize(kMostQueryTerms);
  return out;
}

Index::Index(IndexOptions options) : options_(options), slots_(1024) {}

void Index::read(std::string_view text, Words& out) {
  static_assert(kLongestToken <= 255);
  tokenise(text, Side::kDocument, out.tokens);
  out.terms.clear();
  for (const Token& token : out.tokens.tokens)
    out.terms.push_back(
        {hash_of(out.tokens.of(token)), token.begin, static_cast<std::uint8_t>(token.length), 1});
  std::ranges::sort(out.terms, [&](const Words::Term& a, const Words::Term& b) {
    return a.hash != b.hash ? a.hash < b.hash : out.of(a) < out.of(b);
  });
  std::size_t kept = 0;
  for (const Words::Term& term : out.terms) {
    Words::Term* const last = kept == 0 ? nullptr : &out.terms[kept - 1];
    if (last == nullptr || last->hash != term.hash || out.of(*last) != out.of(term)) {
      out.terms[kept++] = term;
    } else if (last->frequency < 255) {
      ++last->frequency;
    }
  }
  out.terms.resize(kept);
}

/// A large index lies in memory, not in the caches: what all terms need is asked for at once, step
/// by step as one leads to the next.
void Index::fetch(const Words& words) const {
  const std::size_t mask = slots_.size() - 1;
  for (const Words::Term& term : words.terms) __builtin_prefetch(&slots_[term.hash & mask]);
  const auto list_of = [&](const Words::Term& term) -> const List* {
    const Slot& slot = slots_[term.hash & mask];
    return slot.hash == term.hash && slot.list != kNoList ? &lists_[slot.list] : nullptr;
  };
  for (const Words::Term& term : words.terms) {
    if (const List* const list = list_of(term)) __builtin_prefetch(list);
  }
  for (const Words::Term& term : words.terms) {
    if (const List* const list = list_of(term)) __builtin_prefetch(names_.data() + list->name);
  }
}

std::uint32_t Index::find(std::string_view term) const { return find(term, hash_of(term)); }

std::uint32_t Index::find(std::string_view term, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.list == kNoList) return kNoList;
    if (slot.hash == hash && name_of(lists_[slot.list]) == term) return slot.list;
  }
}

std::uint32_t Index::find_or_add(std::string_view term, std::uint32_t hash) {
  const std::uint32_t known = find(term, hash);
  if (known != kNoList) return known;
  if ((lists_.size() + 1) * 10 > slots_.size() * 7) grow();
  List& list = lists_.emplace_back();
  list.name = static_cast<std::uint32_t>(names_.size());
  list.name_length = static_cast<std::uint8_t>(term.size());
  names_ += term;
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at].list != kNoList) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {hash, static_cast<std::uint32_t>(lists_.size() - 1)};
  return slots_[at].list;
}

void Index::grow() {
  std::vector<Slot> larger(slots_.size() * 2);
  for (const Slot& slot : slots_) {
    if (slot.list == kNoList) continue;
    std::size_t at = slot.hash & (larger.size() - 1);
    while (larger[at].list != kNoList) at = (at + 1) & (larger.size() - 1);
    larger[at] = slot;
  }
  slots_ = std::move(larger);
}

std::size_t Index::bytes() const {
  return lists_.capacity() * sizeof(List) + slots_.capacity() * sizeof(Slot) + names_.capacity() +
         lengths_.capacity() * 2 + documents_.capacity() * 4 + alive_.capacity() * 8 +
         ordinals_.capacity() * 4 + list_bytes_;
}

bool Index::contains(std::uint32_t document) const {
  return document < ordinals_.size() && ordinals_[document] != kNoOrdinal;
}

std::uint16_t Index::length(std::uint32_t document) const {
  return contains(document) ? lengths_[ordinals_[document]] : 0;
}

void Index::append(std::uint32_t list, Ordinal ordinal, std::uint8_t frequency,
                   std::uint16_t length) {
  Postings& postings = lists_[list].postings;
  const std::size_t before = postings.bytes();
  postings.append(ordinal, frequency, length);
  list_bytes_ += postings.bytes() - before;
}

Ordinal Index::add_document(std::uint32_t document, std::uint16_t length) {
  const auto ordinal = static_cast<Ordinal>(lengths_.size());
  if (document >= ordinals_.size()) ordinals_.resize(document + 1, kNoOrdinal);
  ordinals_[document] = ordinal;
  lengths_.push_back(length);
  documents_.push_back(document);
  if (ordinal / 64 >= alive_.size()) alive_.push_back(0);
  alive_[ordinal / 64] |= std::uint64_t{1} << (ordinal % 64);
  total_length_ += length;
  ++live_;
  return ordinal;
}

void Index::bury(std::uint32_t document) {
  const Ordinal ordinal = std::exchange(ordinals_[document], kNoOrdinal);
  alive_[ordinal / 64] &= ~(std::uint64_t{1} << (ordinal % 64));
  dead_.push_back(ordinal);
  --live_;
}

Result<void> Index::put(std::uint32_t document, const Words& words) {
  const Tokens& tokens = words.tokens;
  if (document >= options_.max_documents)
    return fail(Errc::kInvalidArgument, fmt::format("document number {} is not below {}", document,
                                                    options_.max_documents));
  // What it may take at most: new names, and blocks that grow.
  const std::size_t need = tokens.letters.size() + tokens.tokens.size() * (sizeof(List) + 24) + 64;
  if (bytes() + need > options_.max_bytes || lengths_.size() >= kNoOrdinal - 1)
    return fail(Errc::kTooLarge,
                fmt::format("the keyword index holds {} MB of {} allowed; raise its bound or move "
                            "memories to the next tier",
                            bytes() >> 20, options_.max_bytes >> 20));
  if (contains(document)) bury(document);
  const auto length = static_cast<std::uint16_t>(std::min(tokens.words, kMostWords));
  const Ordinal ordinal = add_document(document, length);
  fetch(words);
  for (const Words::Term& term : words.terms)
    append(find_or_add(words.of(term), term.hash), ordinal, term.frequency, length);
  return {};
}

bool Index::erase(std::uint32_t document) {
  if (!contains(document)) return false;
  bury(document);
  return true;
}

Hits Index::search(std::span<const QueryTerm> query, const SearchOptions& options) const {
  return Traversal(*this, query, options).run();
}

bool Index::vacuum(std::size_t postings) {
  if (!in_sweep_) {
    if (dead_.empty()) return true;
    sweeping_ = std::exchange(dead_, {});
    sweep_next_ = 0;
    in_sweep_ = true;
  }
  std::array<Ordinal, Postings::kBlock> ordinals;
  std::array<std::uint8_t, Postings::kBlock> frequencies;
  std::size_t worked = 0;
  while (sweep_next_ < lists_.size() && worked < std::max<std::size_t>(postings, 1)) {
    Postings& old = lists_[sweep_next_++].postings;
    worked += old.count() + 1;
    Postings fresh;
    for (std::size_t block = 0; block < old.blocks(); ++block) {
      const std::size_t count = old.decode(block, ordinals, frequencies);
      for (std::size_t i = 0; i < count; ++i) {
        if (alive(ordinals[i])) fresh.append(ordinals[i], frequencies[i], lengths_[ordinals[i]]);
      }
    }
    if (fresh.count() == old.count()) continue;
    list_bytes_ -= old.bytes();
    old = std::move(fresh);
    list_bytes_ += old.bytes();
  }
  if (sweep_next_ < lists_.size()) return false;
  for (const Ordinal ordinal : sweeping_) total_length_ -= lengths_[ordinal];
  swept_ += static_cast<std::uint32_t>(sweeping_.size());
  sweeping_ = {};
  in_sweep_ = false;
  // Ordinals of the dead are given back once they are most of all, so that many replacements of
  // few documents do not grow the index.
  if (swept_ > 1'000'000 && swept_ / 4 > live_) {
    const std::string bytes = snapshot();
    if (auto whole = restore(bytes, options_)) *this = std::move(*whole);
  }
  return true;
}

std::string Index::snapshot() const {
  std::string out;
  std::vector<Ordinal> renumbered(lengths_.size(), kNoOrdinal);
  put_varint(out, live_);
  Ordinal next = 0;
  for (Ordinal ordinal = 0; ordinal < lengths_.size(); ++ordinal) {
    if (!alive(ordinal)) continue;
    renumbered[ordinal] = next++;
    put_varint(out, documents_[ordinal]);
    put_u16(out, lengths_[ordinal]);
  }
  std::array<Ordinal, Postings::kBlock> ordinals;
  std::array<std::uint8_t, Postings::kBlock> frequencies;
  std::string body;
  for (const List& list : lists_) {
    body.clear();
    std::uint32_t count = 0;
    Ordinal before = 0;
    for (std::size_t block = 0; block < list.postings.blocks(); ++block) {
      const std::size_t held = list.postings.decode(block, ordinals, frequencies);
      for (std::size_t i = 0; i < held; ++i) {
        const Ordinal ordinal = renumbered[ordinals[i]];
        if (ordinal == kNoOrdinal) continue;
        put_varint(body, ordinal - before);
        body += static_cast<char>(frequencies[i]);
        before = ordinal;
        ++count;
      }
    }
    if (count == 0) continue;
    out += static_cast<char>(list.name_length);
    out += name_of(list);
    put_varint(out, count);
    out += body;
  }
  out += '\0';  // a name of no length: the end
  return with_digest(kMagic, out);
}

Result<Index> Index::restore(std::string_view bytes, IndexOptions options) {
  ASAHI_TRY(const std::string_view payload, checked_payload(kMagic, bytes));
  Index index(options);
  if (auto done = index.read(payload); !done) return std::unexpected(done.error());
  return index;
}

Result<void> Index::read(std::string_view payload) {
  const auto broken = [] {
    return fail(Errc::kCorrupt, "the snapshot of the keyword index contradicts itself");
  };
  std::size_t at = 0;
  std::uint32_t documents = 0;
  if (!get_varint(payload, at, documents) || documents > payload.size() / 3) return broken();
  if (documents > options_.max_documents)
    return fail(Errc::kTooLarge, fmt::format("the snapshot holds {} documents, {} are allowed",
                                             documents, options_.max_documents));
  lengths_.reserve(documents);
  documents_.reserve(documents);
  for (std::uint32_t i = 0; i < documents; ++i) {
    std::uint32_t document = 0;
    if (!get_varint(payload, at, document) || payload.size() - at < 2) return broken();
    if (document >= options_.max_documents || contains(document)) return broken();
    const auto low = static_cast<unsigned char>(payload[at]);
    const auto high = static_cast<unsigned char>(payload[at + 1]);
    at += 2;
    add_document(document, static_cast<std::uint16_t>(low | high << 8));
  }
  while (at < payload.size()) {
    const auto length = static_cast<unsigned char>(payload[at++]);
    if (length == 0) return at == payload.size() ? Result<void>() : broken();
    if (length > kLongestToken || payload.size() - at < length) return broken();
    const std::string_view name = payload.substr(at, length);
    at += length;
    std::uint32_t count = 0;
    if (!get_varint(payload, at, count) || count == 0 || count > documents) return broken();
    if (find(name) != kNoList) return broken();
    const std::uint32_t list = find_or_add(name, hash_of(name));
    Ordinal ordinal = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      std::uint32_t step = 0;
      if (!get_varint(payload, at, step) || at >= payload.size()) return broken();
      if ((i > 0 && step == 0) || step >= documents - ordinal) return broken();
      ordinal += step;
      const auto frequency = static_cast<std::uint8_t>(payload[at++]);
      if (frequency == 0) return broken();
      lists_[list].postings.append(ordinal, frequency, lengths_[ordinal]);
    }
    list_bytes_ += lists_[list].postings.bytes();
    if (bytes() > options_.max_bytes)
      return fail(Errc::kTooLarge, "the snapshot of the keyword index is beyond its memory bound");
  }
  return broken();
}

}  // namespace asahi::memory::text
