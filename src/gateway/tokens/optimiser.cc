#include "gateway/tokens/optimiser.h"

#include <algorithm>
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
    bool reverted = false;
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
      if (text.trimmed->drop_filler()) used("filler");
      if (text.trimmed->drop_repeats()) used("repeats");
      if (text.trimmed->shorten()) used("template");
    }
    // Over the bound already: texts go back to what they were, the last first.
    for (std::size_t i = texts.size();
         i-- > 0 && percent_now() > most_saved(options.max_quality_risk);)
      revert(texts[i]);
  }

  void revert(Text& text) {
    text.trimmed = std::make_unique<tokens::TrimmedText>(text.body, options.splitter);
    text.reverted = true;
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
      if (texts[t].reverted || (!full && !part.moods_may_go)) continue;
      const auto sentences = texts[t].trimmed->sentences();
      for (std::size_t s = 0; s < sentences.size(); ++s) {
        if ((full ? sentences[s].spare : sentences[s].mood) && sentences[s].kept)
          spare.push_back({t, s, 0});
      }
    }
    return spare;
  }

  void score(std::vector<Candidate>& spare) const {
    std::vector<std::uint32_t> counts;
    if (options.scoring == tokens::Scoring::kTfidf) {
      for (const Candidate& one : spare) query.count_document(sentence(one).words, counts);
    }
    for (std::size_t i = 0; i < spare.size(); ++i) {
      Candidate& one = spare[i];
      if (vectors.size() == spare.size() + 1) {
        one.relevance = tokens::similarity(vectors[0], vectors[i + 1]);
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
    if (spare.empty() || query.words() == 0) return;
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
  std::vector<std::vector<float>> vectors;  ///< the query's, then the candidates'; or none
  OptimisationReport report;
};

TokenOptimiser::TokenOptimiser(OptimiserOptions options, llm::Embedder* embedder)
    : options_(std::move(options)), embedder_(embedder) {}

TokenOptimiser::~TokenOptimiser() {
  if (pool_ != nullptr) pool_->join();
}

bool TokenOptimiser::is_worth_trying(const llm::ChatRequest& request) const {
  if (!options_.enabled) return false;
  std::size_t bytes = 0;
  for (const llm::Message& message : request.messages) {
    for (const llm::Part& part : message.parts) {
      if (const auto* text = std::get_if<llm::TextPart>(&part)) bytes += text->text.size();
    }
  }
  return bytes >= options_.min_bytes;
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
  if (options_.scoring == tokens::Scoring::kEmbedding && embedder_ != nullptr) {
    Draft draft(options_, request, examples);
    if (draft.texts.empty() && draft.pool.empty()) co_return std::move(draft.report);
    draft.look_into_texts();
    draft.take_lossless();
    if (!co_await embed(draft, context)) draft.vectors.clear();
    draft.select();
    draft.drop_irrelevant();
    co_return draft.finish(request);
  }
  std::size_t bytes = 0;
  for (const llm::Message& message : request.messages) {
    for (const llm::Part& part : message.parts) {
      if (const auto* text = std::get_if<llm::TextPart>(&part)) bytes += text->text.size();
    }
  }
  if (bytes <= options_.inline_bytes) co_return optimise_now(request, examples);
  if (waiting_.fetch_add(1) >= kMostWaiting) {
    waiting_.fetch_sub(1);
    OptimisationReport report;
    report.skipped = "token optimisation is busy; the prompt was sent as it is";
    co_return report;
  }
  std::call_once(started_, [this] { pool_ = std::make_unique<boost::asio::thread_pool>(1); });
  // A copy: the caller's frame may go while the thread works.
  auto work = std::make_shared<llm::ChatRequest>(request);
  auto report = co_await net::run_blocking(
      *pool_, [this, work, examples] { return optimise_now(*work, examples); });
  waiting_.fetch_sub(1);
  if (report.changed()) {
    request.messages = std::move(work->messages);
    request.messages_changed = true;
  }
  co_return report;
}

Aw<bool> TokenOptimiser::embed(Draft& draft, const llm::CallContext& context) {
  const std::vector<Draft::Candidate> spare = draft.candidates();
  llm::EmbeddingRequest request;
  request.input_type = "search_query";
  request.input.push_back(draft.found.query);
  for (const Draft::Candidate& one : spare)
    request.input.emplace_back(draft.sentence(one).unit.text);
  const std::size_t sentences = request.input.size();
  const bool pool = draft.pool.size() > options_.max_few_shot_examples;
  if (pool) {
    for (const auto& [input, output] : draft.pool) request.input.push_back(input);
  }
  if (request.input.size() < 2) co_return true;
  if (request.input.size() > kMostEmbedded) co_return false;
  llm::CallContext bounded;
  bounded.deadline =
      std::min(context.deadline, std::chrono::steady_clock::now() + options_.embedding_timeout);
  bounded.idle_timeout = options_.embedding_timeout;
  bounded.cancel = context.cancel;
  bounded.request_id = context.request_id;
  bounded.traceparent = context.traceparent;
  const std::size_t wanted = request.input.size();
  auto answer = co_await embedder_->embed(request, bounded);
  if (!answer || answer->vectors.size() != wanted) {
    logger_.debug("sentences are scored by keyword: the embedder gave no vectors",
                  {{"error", answer ? std::string("count") : answer.error().message}});
    co_return false;
  }
  if (pool) {
    std::vector<std::vector<float>> inputs{answer->vectors.front()};
    inputs.insert(inputs.end(), answer->vectors.begin() + static_cast<std::ptrdiff_t>(sentences),
                  answer->vectors.end());
    draft.similarities = tokens::vector_similarities(inputs, draft.pool.size());
  }
  answer->vectors.resize(sentences);
  draft.vectors = std::move(answer->vectors);
  co_return true;
}

}  // namespace asahi::gateway
