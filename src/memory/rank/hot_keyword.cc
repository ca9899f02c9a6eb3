#include "memory/rank/hot_keyword.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "memory/rank/keywords.h"

namespace asahi::memory::rank {
namespace {

constexpr text::IndexOptions kOptions{.max_bytes = std::size_t{8} << 30,
                                      .max_documents = std::uint32_t{1} << 28};
/// Work on dead postings with each removal; a pass is over long before as many are dead again.
constexpr std::size_t kVacuumStep = 4'096;

class HotKeyword final : public hot::KeywordIndex {
 public:
  explicit HotKeyword(const Clock& clock) : clock_(clock), keywords_(kOptions) {}

  using KeywordIndex::add;

  std::unique_ptr<Reading> read(std::string_view text,
                                const hot::KeywordContext& context) const override {
    const MetadataPlacement said = context.fields != nullptr ? read_placement(*context.fields)
                                                             : read_placement(context.metadata);
    Placement placement;
    placement.scope = context.system_id;
    placement.session = said.session;
    placement.speaker = said.speaker;
    placement.turn = said.turn;
    placement.timestamp = context.timestamp;
    placement.id = context.conversation_id;
    auto out = std::make_unique<Read>();
    out->reading = Keywords::read(text, placement);
    return out;
  }

  void add(std::uint32_t document, std::unique_ptr<Reading> reading) override {
    const std::unique_lock lock(mutex_);
    // Refused only beyond the bounds above; the memory can still be found by its vector.
    (void)keywords_.put(document, std::move(static_cast<Read&>(*reading).reading));
  }

  void remove(std::uint32_t document) override {
    const std::unique_lock lock(mutex_);
    keywords_.erase(document);
    keywords_.vacuum(kVacuumStep);
  }

  std::size_t search(std::string_view query, std::size_t limit, const std::uint8_t* allowed,
                     std::size_t documents, std::vector<Hit>& hits) const override {
    hits.clear();
    const Question question = read_question(query, clock_.now());
    text::SearchOptions options;
    if (allowed != nullptr) {
      options.admits = [allowed, documents](std::uint32_t document) {
        return document < documents && allowed[document] != 0;
      };
    }
    const std::shared_lock lock(mutex_);
    for (const Ranked& ranked : keywords_.search(question, options, limit))
      hits.push_back({ranked.document, static_cast<float>(ranked.score)});
    std::size_t matching = hits.size();
    for (const text::QueryTerm& term : question.terms) {
      if (allowed == nullptr && term.weight >= 1)
        matching = std::max<std::size_t>(matching, keywords_.index().documents_with(term.text));
    }
    return matching;
  }

  std::vector<std::string> matched_terms(std::string_view query,
                                         std::string_view text) const override {
    text::Tokens tokens;
    text::tokenise(text, text::Side::kDocument, tokens);
    std::vector<std::string_view> held;
    for (const text::Token& token : tokens.tokens) held.push_back(tokens.of(token));
    std::ranges::sort(held);
    std::vector<std::string> out;
    for (std::string& word : text::plain_words(query)) {
      if (text::is_grammar(word) || std::ranges::find(out, word) != out.end()) continue;
      const auto terms = text::query_terms(word);
      const bool held_too = std::ranges::any_of(terms, [&](const text::QueryTerm& term) {
        return std::ranges::binary_search(held, std::string_view(term.text));
      });
      if (held_too) out.push_back(std::move(word));
    }
    return out;
  }

  std::size_t bytes() const override {
    const std::shared_lock lock(mutex_);
    return keywords_.bytes();
  }

  bool contains(std::uint32_t document) const override {
    const std::shared_lock lock(mutex_);
    return keywords_.index().contains(document);
  }

  std::string snapshot() const override {
    const std::shared_lock lock(mutex_);
    return keywords_.snapshot();
  }

  Result<void> restore(std::string_view bytes) override {
    ASAHI_TRY(auto whole, Keywords::restore(bytes, kOptions));
    const std::unique_lock lock(mutex_);
    keywords_ = std::move(whole);
    return {};
  }

 private:
  struct Read final : Reading {
    Keywords::Reading reading;
  };

  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  Keywords keywords_;
};

}  // namespace

std::unique_ptr<hot::KeywordIndex> make_keyword_index(const Clock& clock) {
  return std::make_unique<HotKeyword>(clock);
}

}  // namespace asahi::memory::rank
