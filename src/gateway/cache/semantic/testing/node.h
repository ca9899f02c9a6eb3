#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gateway/cache/semantic_cache.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/test_database.h"
#include "storage/vector/local/local_index.h"

namespace asahi::gateway::testing {

/// Both clocks in the test's hands, each by itself.
class TwoClocks final : public Clock {
 public:
  Time now() const override { return manual_.now() + std::chrono::milliseconds(jumped_ms_.load()); }
  Steady steady_now() const override { return manual_.steady_now(); }
  void advance(std::chrono::nanoseconds by) { manual_.advance(by); }
  /// Somebody sets the clock on the wall.
  void jump(std::chrono::milliseconds by) { jumped_ms_ += by.count(); }

 private:
  ManualClock manual_;
  std::atomic<std::int64_t> jumped_ms_{0};
};

/// The local embedder, or what the test makes of it.
class WilfulEmbedder final : public llm::TextEmbedder {
 public:
  enum class Mood { kFine, kDown, kSlow, kNarrow, kOtherModel };
  /// `far`: as one behind a network, it never answers at once; and its model is another.
  explicit WilfulEmbedder(bool far = false)
      : far_(far), inner_(llm::make_local_embedder(far ? 128 : 256)) {}
  std::atomic<Mood> mood{Mood::kFine};
  std::atomic<std::size_t> calls{0}, asked{0};

  const llm::EmbedderTraits& traits() const override { return inner_->traits(); }
  std::optional<llm::Embedded> try_embed(std::string_view text) override {
    ++calls;
    return mood == Mood::kFine && !far_ ? inner_->try_embed(text) : std::nullopt;
  }
  Task<std::vector<llm::Embedded>> embed(std::vector<std::string> texts, llm::EmbedPurpose,
                                         llm::CallContext context) override {
    std::vector<llm::Embedded> out;
    ++asked;
    switch (mood.load()) {
      case Mood::kDown:
        co_return fail(Errc::kUnavailable, "nobody is there");
      case Mood::kSlow:
        // Ends as every adapter does: at the deadline it was given.
        if (context.deadline == std::chrono::steady_clock::time_point::max())
          co_return fail(Errc::kInternal, "no deadline");
        co_await net::Loop::current()->sleep_for(context.deadline -
                                                 std::chrono::steady_clock::now());
        co_return fail(Errc::kTimeout, "too late");
      case Mood::kNarrow:
        for (const std::string& text : texts) {
          auto made = *inner_->try_embed(text);
          std::vector<float> half(made.vector->begin(), made.vector->begin() + 8);
          made.vector = std::make_shared<const std::vector<float>>(std::move(half));
          out.push_back(std::move(made));
        }
        co_return out;
      case Mood::kOtherModel:
        for (const std::string& text : texts) out.push_back(*other_->try_embed(text));
        co_return out;
      case Mood::kFine:
        break;
    }
    for (const std::string& text : texts) out.push_back(*inner_->try_embed(text));
    co_return out;
  }

 private:
  const bool far_;
  std::unique_ptr<llm::TextEmbedder> inner_;
  std::unique_ptr<llm::TextEmbedder> other_ = llm::make_mock_text_embedder(1, 256);
};

/// A database that can go away.
class FragileDatabase final : public sql::Database {
 public:
  explicit FragileDatabase(sql::Database& inner) : inner_(inner) {}
  std::atomic<bool> away{false};

  sql::Dialect dialect() const override { return inner_.dialect(); }
  Task<sql::Rows> query(sql::Statement statement) override {
    if (away) co_return gone();
    co_return co_await inner_.query(std::move(statement));
  }
  Task<std::vector<sql::Rows>> batch(std::vector<sql::Statement> statements) override {
    if (away) co_return gone();
    co_return co_await inner_.batch(std::move(statements));
  }
  Task<void> transaction(std::function<Result<void>(sql::Session&)> body) override {
    if (away) co_return gone();
    co_return co_await inner_.transaction(std::move(body));
  }
  Result<sql::Rows> query_blocking(sql::Statement statement) override {
    if (away) return gone();
    return inner_.query_blocking(std::move(statement));
  }
  Result<void> transaction_blocking(std::function<Result<void>(sql::Session&)> body) override {
    if (away) return gone();
    return inner_.transaction_blocking(std::move(body));
  }
  Task<void> ping() override { co_return Result<void>{}; }

 private:
  static std::unexpected<Error> gone() { return fail(Errc::kUnavailable, "the server is away"); }
  sql::Database& inner_;
};

/// A vector database that can go away, and can answer what was not asked.
class FragileIndex final : public vector::Index {
 public:
  explicit FragileIndex(vector::Index& inner) : inner_(inner) {}
  std::atomic<bool> away{false};
  std::string answers_for;  ///< queries see this tenant's items, whoever asks

  std::string_view backend() const override { return inner_.backend(); }
  const vector::Space& space() const override { return inner_.space(); }
  Task<void> upsert(std::string tenant, std::vector<vector::Item> items) override {
    if (away) co_return gone();
    co_return co_await inner_.upsert(std::move(tenant), std::move(items));
  }
  Task<std::vector<vector::Hit>> query(std::string tenant, vector::Query query) override {
    if (away) co_return gone();
    if (!answers_for.empty()) {
      tenant = answers_for;
      query.filter.clear();
    }
    co_return co_await inner_.query(std::move(tenant), std::move(query));
  }
  Task<void> erase(std::string tenant, std::vector<std::string> ids) override {
    if (away) co_return gone();
    co_return co_await inner_.erase(std::move(tenant), std::move(ids));
  }
  Task<void> erase_where(std::string tenant, vector::Metadata filter) override {
    co_return co_await inner_.erase_where(std::move(tenant), std::move(filter));
  }
  Task<void> erase_all(std::string tenant) override {
    if (away) co_return gone();
    co_return co_await inner_.erase_all(std::move(tenant));
  }
  Task<std::uint64_t> count(std::string tenant) override {
    co_return co_await inner_.count(std::move(tenant));
  }
  Task<void> ping() override { co_return Result<void>{}; }

 private:
  static std::unexpected<Error> gone() { return fail(Errc::kUnavailable, "the index is away"); }
  vector::Index& inner_;
};

/// One database with the tables of the gateway.
class SemanticDatabase {
 public:
  SemanticDatabase() {
    auto engine = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory);
    if (!engine) std::abort();
    engine_ = std::move(*engine);
    database_ = *sql::open_database(engine_->options());
    sql::Migrator migrator(*database_, semantic::entries_migrations());
    EXPECT_TRUE(migrator.upgrade());
  }
  sql::Database& operator*() { return *database_; }

 private:
  std::unique_ptr<sql::testing::TestDatabase> engine_;
  std::unique_ptr<sql::Database> database_;
};

struct NodeOptions {
  SemanticCache::Options cache;
  vector::LocalOptions index;
  bool remote = false;    ///< the index is asked as one in another process
  bool far = false;       ///< the embedder answers as one in another process
  bool stand_in = false;  ///< the local embedder stands in for one that is away
};

inline SemanticCache::Options quick_cache() {
  SemanticCache::Options options;
  options.refresh = std::chrono::milliseconds(0);  // with each round
  options.writing_share = 1;
  options.max_wait = std::chrono::milliseconds(50);
  return options;
}

/// A semantic cache as one process has it: embedder, index, and the database of all.
class Node {
 public:
  Node(Loops& loops, sql::Database& database, const Clock& clock,
       NodeOptions options = {.cache = quick_cache(), .index = {}})
      : loops_(loops),
        database_(database),
        embedder_(options.far),
        index_(local_options(options)),
        remote_(index_) {
    if (options.stand_in)
      stand_in_ = std::make_unique<StandIn>(StandIn::Options{}, llm::make_local_embedder(), clock);
    if (index_.has_file()) loaded_ = index_.load();
    cache_.emplace(options.cache, SemanticCache::Parts{.embedder = embedder_,
                                                       .index = remote_,
                                                       .local = options.remote ? nullptr : &index_,
                                                       .database = database_,
                                                       .tuner = tuner_,
                                                       .clock = clock,
                                                       .home = loops.loop(),
                                                       .stand_in = stand_in_.get()});
    loops_.on([this] { cache_->start(); });
  }
  ~Node() { stop(); }

  void stop() {
    if (!cache_) return;
    loops_.wait_for([this]() -> Aw<bool> {
      co_await cache_->stop();
      co_return true;
    });
    cache_.reset();
  }

  SemanticCache& cache() { return *cache_; }
  vector::LocalIndex& index() { return index_; }
  FragileIndex& remote() { return remote_; }
  FragileDatabase& database() { return database_; }
  WilfulEmbedder& embedder() { return embedder_; }
  StandIn& stand_in() { return *stand_in_; }
  const std::optional<Result<void>>& loaded() const { return loaded_; }

  static SemanticCache::Question question(std::string text, std::string org = "acme",
                                          std::uint64_t context = 1) {
    return {.org = std::move(org),
            .query = std::move(text),
            .task = "faq",
            .sensitivity = semantic::Sensitivity::kHigh,
            .context_digest = context};
  }
  /// `draw` 0.9: no audit.
  std::shared_ptr<SemanticCache::Lookup> find(SemanticCache::Question question, double draw = 0.9) {
    return loops_.wait_for([&]() -> Aw<std::shared_ptr<SemanticCache::Lookup>> {
      co_return co_await cache_->find(question, {}, draw);
    });
  }
  std::shared_ptr<SemanticCache::Lookup> find(std::string text, double draw = 0.9) {
    return find(question(std::move(text)), draw);
  }
  static std::shared_ptr<const Answer> answer(std::string text) {
    auto out = std::make_shared<Answer>();
    out->response.parts.emplace_back(llm::TextPart{std::move(text)});
    out->model = "mock";
    return out;
  }
  /// Asks, and answers what was no hit; returns what was found.
  std::shared_ptr<SemanticCache::Lookup> ask(
      SemanticCache::Question question, std::string truth, double draw = 0.9,
      std::chrono::milliseconds ttl = std::chrono::hours(1)) {
    auto lookup = find(std::move(question), draw);
    if (lookup != nullptr && !lookup->hit()) cache_->keep(lookup, answer(std::move(truth)), ttl);
    return lookup;
  }
  /// The same, and returns when the organisation has `entries`.
  void teach(SemanticCache::Question question, std::string truth, std::size_t entries,
             std::chrono::milliseconds ttl = std::chrono::hours(1)) {
    const std::string org = question.org;
    ask(std::move(question), std::move(truth), 0.9, ttl);
    EXPECT_TRUE(has(entries, org));
  }
  bool has(std::size_t entries, std::string org = "acme") {
    return loops_.until([this, entries, org] {
      return cache_->stats(org).entries == entries && index_.size(org) == entries;
    });
  }
  template <class Body>
  auto call(Body body) {
    return loops_.wait_for([&] { return body(*cache_); });
  }

 private:
  vector::LocalOptions local_options(NodeOptions& options) {
    vector::LocalOptions out = std::move(options.index);
    const llm::EmbedderTraits& traits = embedder_.traits();
    out.space = {
        SemanticCache::space_of(traits, options.cache.contextual), traits.width, {"context"}};
    return out;
  }

  Loops& loops_;
  FragileDatabase database_;
  WilfulEmbedder embedder_;
  vector::LocalIndex index_;
  FragileIndex remote_;
  std::unique_ptr<StandIn> stand_in_;
  semantic::ThresholdTuner tuner_;
  std::optional<Result<void>> loaded_;
  std::optional<SemanticCache> cache_;
};

}  // namespace asahi::gateway::testing
