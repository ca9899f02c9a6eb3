// Any bytes as a text, and any bytes as a snapshot of the keyword index. Terms are well-formed and
// short, a document is found by each of its terms; a snapshot is taken over whole or refused, and
// what was taken over can be searched, changed and written again. The first byte says which, and
// whether a snapshot's digest is made right, so that mutations reach what it guards.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/utf8.h"
#include "memory/rank/conversations.h"
#include "memory/rank/question.h"
#include "memory/text/index.h"

namespace {

using namespace asahi::memory;

void check(bool holds) {
  if (!holds) std::abort();
}

void as_text(std::string_view text) {
  text::Tokens tokens;
  text::tokenise(text, text::Side::kDocument, tokens);
  for (const text::Token& token : tokens.tokens) {
    check(token.length > 0 && token.length <= text::kLongestToken);
    check(token.position < tokens.words && asahi::is_utf8(tokens.of(token)));
  }
  text::Index index;
  check(index.put(0, text).has_value() && index.put(1, "another").has_value());
  for (std::size_t i = 0; i < tokens.tokens.size(); i += 1 + i / 4) {
    const text::QueryTerm term[] = {{std::string(tokens.of(tokens.tokens[i])), 1}};
    const text::Hits hits = index.search(term, {});
    check(!hits.hits.empty() && (hits.hits.front().document == 0 || hits.hits.size() == 2));
  }
  check(text::Index::restore(index.snapshot()).has_value());
  rank::read_question(text, {});
  rank::read_placement(text);
  rank::Conversations conversations;
  conversations.put(0, {.scope = text, .id = text}, text, index.length(0));
  check(conversations.erase(0));
}

void as_snapshot(std::string_view rest, bool mend) {
  std::string bytes(rest);
  constexpr std::string_view kMagic = "asahi words 1\n";
  constexpr std::size_t kHead = kMagic.size() + 16;
  if (mend) {
    if (bytes.size() < kHead) bytes.resize(kHead);
    bytes.replace(0, kMagic.size(), kMagic);
    const auto digest = asahi::sha256(std::string_view(bytes).substr(kHead));
    std::memcpy(bytes.data() + kMagic.size(), digest.data(), 16);
  }
  text::IndexOptions options;
  options.max_documents = 1000;
  auto index = text::Index::restore(bytes, options);
  if (!index) return;
  index->search("a b the word", {});
  for (std::uint32_t document = 0; document < 4; ++document)
    check(index->put(document, "a new word").has_value());
  while (!index->vacuum(100)) {
  }
  check(!index->search("word", {}).hits.empty());
  const auto again = text::Index::restore(index->snapshot(), options);
  check(again.has_value() && again->size() == index->size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0)
    as_text(rest);
  else
    as_snapshot(rest, data[0] % 3 == 1);
  return 0;
}
