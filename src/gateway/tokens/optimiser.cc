#include "gateway/tokens/optimiser.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "gateway/config.h"
#include "gateway/tokens/few_shot.h"
#include "gateway/tokens/prompt_parts.h"
#include "gateway/tokens/trimmed_text.h"
#include "gateway/tokens/words.h"
#include "llm/vendor.h"
#include "net/blocking.h"

namespace asahi::gateway {
namespace {

/// Requests that wait for the worker; more go out as they are.
constexpr int kMostWaiting = 32;
/// Texts that are embedded for one request; more score by keyword.
constexpr std::size_t kMostEmbedded = 256;

double percent_less(std::int64_t before, std::int64_t after) {
  OptimisationReport report;
  report.original_tokens = before;
  report.optimized_tokens = after;
  return report.saved_percent();
}

/// The share that may be saved: the risk's own bound, a little less.
double most_saved(QualityRisk risk) {
  switch (risk) {
    case QualityRisk::kNone:
      return 14.5;
    case QualityRisk::kLow:
      return 29.5;
    case QualityRisk::kMedium:
      return 49.5;
    case QualityRisk::kHigh:
      return 100;
  }
  return 0;
}

const std::string& text_at(const llm::ChatRequest& request, const tokens::Part& part) {
  return std::get<llm::TextPart>(request.messages[part.message].parts[part.part]).text;
}

std::int64_t tokens_of(std::int64_t words) { return words * 13 / 10; }

std::size_t text_bytes(const llm::ChatRequest& request) {
  std::size_t bytes = 0;
  for (const llm::Message& message : request.messages) {
    for (const llm::Part& part : message.parts) {
      if (const auto* text = std::get_if<llm::TextPart>(&part)) bytes += text->text.size();
    }
  }
  return bytes;
}

}  // namespace

OptimiserOptions optimiser_options(const OptimizationConfig& config) {
  OptimiserOptions options;
  options.enabled = config.enabled;
  options.min_relevance = config.min_relevance_threshold;
  options.scoring = config.scoring_method == "embedding" ? tokens::Scoring::kEmbedding
                    : config.scoring_method == "tfidf"   ? tokens::Scoring::kTfidf
                                                         : tokens::Scoring::kKeyword;
  options.max_history_turns = static_cast<std::size_t>(config.max_history_turns);
  options.extractive_top_ratio = config.extractive_top_ratio;
  options.max_few_shot_examples = static_cast<std::size_t>(config.max_few_shot_examples);
  options.diversity_weight = config.diversity_weight;
  // One of the words that config.cc lets pass.
  options.max_quality_risk =
      parse_quality_risk(config.max_quality_risk).value_or(QualityRisk::kMedium);
  options.system_boost = config.system_boost;
  return options;
}

/// One request while it is worked on: its texts, the sentences that may go, what they score.
struct TokenOptimiser::Draft {
  struct Text {
    tokens::Part part;
    std::string body;  ///< without the white space around it
    std::string before, behind;
    std::unique_ptr<tokens::TrimmedText> trimmed;
  };
  struct Candidate {
    std::size_t text, sentence;
    double relevance;
  };

  Draft(const OptimiserOptions& given, const llm::ChatRequest& request, std::size_t examples)
      : options(given),
        found(tokens::parts_of(request, {given.max_history_turns, examples})),
        query(found.query) {
    report.original_tokens = report.optimized_tokens = llm::estimate_tokens(request);
    for (std::size_t i = 0; i < found.examples; ++i) {
      pool.push_back({request.messages[found.first_example + 2 * i].text(),
                      request.messages[found.first_example + 2 * i + 1].text()});
    }
    for (const tokens::Part& part : found.parts) {
      const std::string_view whole =
          std::string_view(text_at(request, part)).substr(part.begin, part.end - part.begin);
      std::size_t begin = 0, end = whole.size();
      while (begin < end && tokens::is_blank(whole[begin])) ++begin;
      while (end > begin && tokens::is_blank(whole[end - 1])) --end;
      if (begin == end) continue;
      texts.push_back({part, std::string(whole.substr(begin, end - begin)),
                       std::string(whole.substr(0, begin)), std::string(whole.substr(end)),
                       nullptr});
    }
  }

  void look_into_texts() {
    for (Text& text : texts)
      text.trimmed = std::make_unique<tokens::TrimmedText>(text.body, options.splitter);
  }

  /// What costs no meaning.
  void take_lossless() {
    for (Text& text : texts) {
      text.trimmed->drop_filler();
      text.trimmed->shorten();  // "I repeat, …" becomes a repeat by it
      text.trimmed->drop_repeats();
    }
    step_back();
    bool filler = false, repeats = false, shorter = false;
    for (const Text& text : texts) {
      for (const auto& sentence : text.trimmed->sentences()) {
        filler |= !sentence.kept && !sentence.said_elsewhere;
        repeats |= !sentence.kept && sentence.said_elsewhere;
        shorter |= sentence.kept && !sentence.shorter.empty();
      }
    }
    if (filler) used("filler");
    if (repeats) used("repeats");
    if (shorter) used("template");
  }

  /// Over the bound already: changes are taken back one at a time until it holds, from the end of
  /// the request on; shorter wordings first, whose steps are the smallest, then whole sentences.
  void step_back() {
    const double bound = most_saved(options.max_quality_risk);
    std::int64_t words = words_now();
    for (const bool dropped : {false, true}) {
      for (std::size_t t = texts.size(); t-- > 0;) {
        tokens::TrimmedText& trimmed = *texts[t].trimmed;
        for (std::size_t s = trimmed.sentences().size(); s-- > 0;) {
          if (percent_less(report.original_tokens, tokens_of(words)) <= bound) return;
          const auto& sentence = trimmed.sentences()[s];
          if (dropped ? sentence.kept : !sentence.kept || sentence.shorter.empty()) continue;
          words -= sentence.kept ? sentence.size : 0;
          trimmed.restore(s);
          words += sentence.size;
          stepped_back = true;
        }
      }
    }
  }

  std::vector<tokens::Example> views() const {
    std::vector<tokens::Example> all;
    for (const auto& [input, output] : pool) all.push_back({input, output});
    return all;
  }

  void select() {
    if (pool.size() <= options.max_few_shot_examples) return;
    const auto all = views();
    if (similarities.size() != pool.size() + 1)
      similarities = tokens::word_similarities(found.query, all);
    const auto chosen = tokens::select_examples(all, options.max_few_shot_examples,
                                                options.diversity_weight, similarities);
    dropped_examples.assign(pool.size(), true);
    for (const std::size_t i : chosen) dropped_examples[i] = false;
    // Back in, the most similar first, while the bound is passed.
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      if (dropped_examples[i]) order.push_back(i);
    }
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return similarities[0][a] != similarities[0][b] ? similarities[0][a] > similarities[0][b]
                                                      : a < b;
    });
    for (const std::size_t i : order) {
      if (percent_now() <= most_saved(options.max_quality_risk)) break;
      dropped_examples[i] = false;
    }
    if (std::ranges::find(dropped_examples, true) != dropped_examples.end()) used("few_shot");
  }

  /// Spare sentences of texts that may lose what is irrelevant, in order.
  std::vector<Candidate> candidates() const {
    std::vector<Candidate> spare;
    for (std::size_t t = 0; t < texts.size(); ++t) {
      const tokens::Part& part = texts[t].part;
      const bool full = part.care == tokens::Part::Care::kFull;
      if (!full && !part.moods_may_go) continue;
      const auto sentences = texts[t].trimmed->sentences();
      for (std::size_t s = 0; s < sentences.size(); ++s) {
        if ((full ? sentences[s].spare : sentences[s].mood) && sentences[s].kept)
          spare.push_back({t, s, 0});
      }
    }
    return spare;
  }

  /// The question, the candidates, and the pool's questions where there is a choice.
  std::vector<std::string> texts_to_embed() const {
    std::vector<std::string> wanted{found.query};
    for (const Candidate& one : candidates()) wanted.emplace_back(sentence(one).unit.text);
    if (pool.size() > options.max_few_shot_examples) {
      for (const auto& [input, output] : pool) wanted.push_back(input);
    }
    return wanted;
  }

  /// One per text of `texts_to_embed`; another number is as good as none.
  void take_vectors(std::vector<llm::Embedded> all) {
    const bool chooses = pool.size() > options.max_few_shot_examples;
    const std::size_t scored = candidates().size() + 1;
    if (all.size() != scored + (chooses ? pool.size() : 0)) return;
    if (chooses) {
      std::vector<std::vector<float>> inputs{*all.front().vector};
      for (std::size_t i = scored; i < all.size(); ++i) inputs.push_back(*all[i].vector);
      similarities = tokens::vector_similarities(inputs, pool.size());
    }
    all.resize(scored);
    vectors = std::move(all);
  }

  void score(std::vector<Candidate>& spare) const {
    std::vector<std::uint32_t> counts;
    if (options.scoring == tokens::Scoring::kTfidf) {
      for (const Candidate& one : spare) query.count_document(sentence(one).words, counts);
    }
    for (std::size_t i = 0; i < spare.size(); ++i) {
      Candidate& one = spare[i];
      if (vectors.size() == spare.size() + 1) {
        one.relevance =
            vectors[0].traits->similarity(llm::cosine(*vectors[0].vector, *vectors[i + 1].vector));
      } else if (options.scoring == tokens::Scoring::kTfidf) {
        one.relevance = query.tfidf(sentence(one).words, counts);
      } else {
        one.relevance = query.keyword(sentence(one).words);
      }
      if (texts[one.text].part.kind == tokens::Part::Kind::kSystem)
        one.relevance += options.system_boost;
    }
  }

  /// Drops what is irrelevant, the least relevant first, as far as the bound and the share of every
  /// text that stays allow.
  void drop_irrelevant() {
    std::vector<Candidate> spare = candidates();
    if (stepped_back || spare.empty() || query.words() == 0) return;
    score(spare);
    // A question of a word or two ("Why so?") does not tell what of the conversation it needs.
    if (query.words() < 2) {
      std::erase_if(spare, [&](const Candidate& one) {
        return texts[one.text].part.kind == tokens::Part::Kind::kHistory && !sentence(one).mood;
      });
    }
    std::erase_if(spare,
                  [&](const Candidate& one) { return one.relevance >= options.min_relevance; });
    // Later ones first among equals: what leans on a sentence goes before it.
    std::ranges::sort(spare, [](const Candidate& a, const Candidate& b) {
      if (a.relevance != b.relevance) return a.relevance < b.relevance;
      return a.text != b.text ? a.text < b.text : a.sentence > b.sentence;
    });
    std::vector<std::size_t> room;
    for (const Text& text : texts) {
      // Answers long past may lose more (abstractive: the top 30 %).
      const double ratio = text.part.old ? std::min(0.3, options.extractive_top_ratio)
                                         : options.extractive_top_ratio;
      room.push_back(static_cast<std::size_t>(
          static_cast<double>(text.trimmed->sentences().size()) * (1 - ratio)));
    }
    const double bound = most_saved(options.max_quality_risk);
    std::int64_t words = words_now();
    for (int round = 0; round < 2; ++round) {
      for (const Candidate& one : spare) {
        Text& text = texts[one.text];
        if (room[one.text] == 0 || !text.trimmed->may_drop(one.sentence)) continue;
        const std::int64_t without = words - sentence(one).size;
        if (percent_less(report.original_tokens, tokens_of(without)) > bound) return;
        text.trimmed->drop(one.sentence);
        words = without;
        --room[one.text];
        used(text.part.kind == tokens::Part::Kind::kDocument  ? "document"
             : text.part.kind == tokens::Part::Kind::kHistory ? "history"
                                                              : "extractive");
      }
    }
  }

  const tokens::TrimmedText::Sentence& sentence(const Candidate& one) const {
    return texts[one.text].trimmed->sentences()[one.sentence];
  }

  void used(std::string_view strategy) {
    if (std::ranges::find(report.strategies, strategy) == report.strategies.end())
      report.strategies.push_back(strategy);
  }

  std::int64_t words_saved() const {
    std::int64_t saved = 0;
    for (const Text& text : texts) saved += text.trimmed->original_size() - text.trimmed->size();
    for (std::size_t i = 0; i < dropped_examples.size(); ++i) {
      if (dropped_examples[i])
        saved += tokens::count_words(pool[i].first) + tokens::count_words(pool[i].second);
    }
    return saved;
  }
  /// As the estimate counts them.
  std::int64_t words_now() const { return report.original_tokens * 10 / 13 - words_saved(); }
  double percent_now() const {
    return percent_less(report.original_tokens, tokens_of(words_now()));
  }

  /// Writes the result into the request, unless it is no gain or over the bound after all.
  OptimisationReport finish(llm::ChatRequest& request) {
    std::vector<llm::Message> messages = request.messages;
    for (std::size_t i = texts.size(); i-- > 0;) {
      const Text& text = texts[i];
      std::string& whole =
          std::get<llm::TextPart>(messages[text.part.message].parts[text.part.part]).text;
      whole.replace(text.part.begin, text.part.end - text.part.begin,
                    text.before + text.trimmed->render() + text.behind);
    }
    for (std::size_t i = dropped_examples.size(); i-- > 0;) {
      if (!dropped_examples[i]) continue;
      const auto at = messages.begin() + static_cast<std::ptrdiff_t>(found.first_example + 2 * i);
      messages.erase(at, at + 2);
    }
    std::swap(messages, request.messages);
    report.optimized_tokens = llm::estimate_tokens(request);
    report.risk = risk_of(report.saved_percent());
    if (report.saved() <= 0 || report.risk > options.max_quality_risk) {
      std::swap(messages, request.messages);
      report.optimized_tokens = report.original_tokens;
      report.risk = QualityRisk::kNone;
      report.strategies.clear();
    } else {
      request.messages_changed = true;
    }
    return std::move(report);
  }

  const OptimiserOptions& options;
  tokens::RequestParts found;
  tokens::Query query;
  std::vector<Text> texts;
  std::vector<std::pair<std::string, std::string>> pool;
  std::vector<std::vector<double>> similarities;
  std::vector<bool> dropped_examples;
  std::vector<llm::Embedded> vectors;  ///< the query's, then the candidates'; or none
  OptimisationReport report;
  bool stepped_back = false;  ///< the bound was reached without dropping what is irrelevant
};

TokenOptimiser::TokenOptimiser(OptimiserOptions options,
                               std::unique_ptr<llm::TextEmbedder> embedder)
    : options_(std::move(options)), embedder_(std::move(embedder)) {}

TokenOptimiser::~TokenOptimiser() {
  if (pool_ != nullptr) pool_->join();
}

bool TokenOptimiser::is_worth_trying(const llm::ChatRequest& request) const {
  if (!options_.enabled) return false;
  return text_bytes(request) >= options_.min_bytes;
}

OptimisationReport TokenOptimiser::optimise_now(llm::ChatRequest& request,
                                                std::size_t examples) const {
  if (!is_worth_trying(request)) return {};
  Draft draft(options_, request, examples);
  if (draft.texts.empty() && draft.pool.empty()) return std::move(draft.report);
  draft.look_into_texts();
  draft.take_lossless();
  draft.select();
  draft.drop_irrelevant();
  return draft.finish(request);
}

Aw<OptimisationReport> TokenOptimiser::optimise(llm::ChatRequest& request, std::size_t examples,
                                                const llm::CallContext& context) {
  if (!is_worth_trying(request)) co_return OptimisationReport{};
  const bool by_vectors = options_.scoring == tokens::Scoring::kEmbedding && embedder_ != nullptr;
  if (!by_vectors && text_bytes(request) <= options_.inline_bytes)
    co_return optimise_now(request, examples);
  if (waiting_.fetch_add(1) >= kMostWaiting) {
    waiting_.fetch_sub(1);
    OptimisationReport report;
    report.skipped = "token optimisation is busy; the prompt was sent as it is";
    co_return report;
  }
  std::call_once(started_, [this] { pool_ = std::make_unique<boost::asio::thread_pool>(1); });
  // A copy: the caller's frame may go while the thread works.
  auto work = std::make_shared<llm::ChatRequest>(request);
  OptimisationReport report;
  if (by_vectors) {
    report = co_await optimise_by_vectors(work, examples, context);
  } else {
    report = co_await net::run_blocking(
        *pool_, [this, work, examples] { return optimise_now(*work, examples); });
  }
  waiting_.fetch_sub(1);
  if (report.changed()) {
    request.messages = std::move(work->messages);
    request.messages_changed = true;
  }
  co_return report;
}

Aw<OptimisationReport> TokenOptimiser::optimise_by_vectors(std::shared_ptr<llm::ChatRequest> work,
                                                           std::size_t examples,
                                                           llm::CallContext context) {
  const auto draft = std::make_shared<std::optional<Draft>>();
  const auto texts = std::make_shared<std::vector<std::string>>();
  // An embedder that computes on this machine does so here, away from the loop.
  const bool waits = co_await net::run_blocking(*pool_, [this, draft, texts, work, examples] {
    Draft& it = draft->emplace(options_, *work, examples);
    it.look_into_texts();
    it.take_lossless();
    *texts = it.texts_to_embed();
    if (texts->size() < 2 || texts->size() > kMostEmbedded) return false;
    std::vector<llm::Embedded> vectors;
    for (const std::string& text : *texts) {
      auto embedded = embedder_->try_embed(text);
      if (!embedded) return true;
      vectors.push_back(std::move(*embedded));
    }
    it.take_vectors(std::move(vectors));
    return false;
  });
  if (waits) {
    context.deadline =
        std::min(context.deadline, std::chrono::steady_clock::now() + options_.embedding_timeout);
    context.idle_timeout = options_.embedding_timeout;
    auto vectors = co_await embedder_->embed(std::move(*texts), llm::EmbedPurpose::kQuery, context);
    if (vectors) {
      (*draft)->take_vectors(std::move(*vectors));
    } else {
      logger_.debug("sentences are scored by keyword: the embedder gave no vectors",
                    {{"error", vectors.error().message}});
    }
  }
  co_return co_await net::run_blocking(*pool_, [draft, work] {
    (*draft)->select();
    (*draft)->drop_irrelevant();
    return (*draft)->finish(*work);
  });
}

}  // namespace asahi::gateway
