#include "gateway/cache/exact_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/loop.h"
#include "storage/cache/memory_store.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::StartsWith;

// ---- the key (decision 3)

std::string canonical(std::string_view body) {
  auto value = parse_json(body);
  EXPECT_TRUE(value && value->is_object()) << body;
  return canonical_request(value->get_object());
}

TEST(CacheKey, DoesNotSeeHowTheJsonWasWritten) {
  EXPECT_EQ(
      canonical(R"({"model":"a","messages":[{"role":"user","content":"h\u00e9"}],"top_p":1.0})"),
      canonical(R"({ "top_p": 1, "messages": [ {"content":"hé", "role":"user"} ], "model":"a" })"));
}

TEST(CacheKey, DoesNotSeeWhatLeavesTheAnswerAsItIs) {
  const std::string plain = canonical(R"({"prompt":"x"})");
  for (const char* member : {"allow_batching",
                             "allow_fallback",
                             "asahi",
                             "bypass_cache",
                             "chain_id",
                             "cost_budget",
                             "cost_sensitivity",
                             "enrich_with_features",
                             "fallback_models",
                             "latency_budget_ms",
                             "latency_preference",
                             "metadata",
                             "optimize_tokens",
                             "organization_id",
                             "prompt_cache_key",
                             "prompt_cache_retention",
                             "provider_api_key",
                             "request_id",
                             "safety_identifier",
                             "service_tier",
                             "session_id",
                             "store",
                             "stream",
                             "stream_options",
                             "task_id",
                             "user",
                             "user_id"}) {
    EXPECT_EQ(canonical(std::string(R"({"prompt":"x",")") + member + R"(":"other"})"), plain)
        << member;
  }
}

TEST(CacheKey, SeesEverythingElse) {
  const std::string plain = canonical(R"({"prompt":"x"})");
  for (const char* member : {"model",
                             "routing_mode",
                             "quality_preference",
                             "quality_threshold",
                             "task_type",
                             "temperature",
                             "top_p",
                             "seed",
                             "max_tokens",
                             "stop",
                             "tools",
                             "tool_choice",
                             "response_format",
                             "system",
                             "system_prompt",
                             "history",
                             "examples",
                             "document_id",
                             "reasoning_effort",
                             "logprobs",
                             "a_field_of_tomorrow"}) {
    EXPECT_NE(canonical(std::string(R"({"prompt":"x",")") + member + R"(":"other"})"), plain)
        << member;
  }
  EXPECT_NE(canonical(R"({"prompt":"X"})"), plain) << "case matters";
  EXPECT_NE(canonical(R"({"prompt":"x "})"), plain) << "blanks matter";
  EXPECT_NE(
      canonical(R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})"),
      canonical(R"({"messages":[{"role":"user","content":"b"},{"role":"user","content":"a"}]})"));
}

TEST(CacheKey, LeavesNestedMembersOfThoseNamesIn) {
  EXPECT_NE(canonical(R"({"messages":[{"role":"user","content":"a","user":"ann"}]})"),
            canonical(R"({"messages":[{"role":"user","content":"a","user":"bob"}]})"))
      << "only the request's own fields are left out";
}

Answer answer(std::string text, std::string query = "q") {
  Answer made;
  made.model = "gpt-4o";
  made.query = std::move(query);
  made.cost = {1'000};
  made.response.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  return made;
}

/// A store that can be away.
class FlakyStore final : public cache::Store {
 public:
  explicit FlakyStore(cache::Store& inner) : inner_(inner) {}
  bool away = false;

  std::string_view backend() const override { return "redis"; }
  std::optional<std::optional<cache::Bytes>> try_get(std::string_view) override {
    return std::nullopt;
  }
  Task<std::optional<cache::Bytes>> get(std::string key) override {
    if (away) co_return gone();
    co_return co_await inner_.get(std::move(key));
  }
  Task<void> set(std::string key, cache::Bytes value, std::chrono::milliseconds ttl) override {
    if (away) co_return gone();
    co_return co_await inner_.set(std::move(key), std::move(value), ttl);
  }
  Task<bool> set_if_absent(std::string key, cache::Bytes value,
                           std::chrono::milliseconds ttl) override {
    co_return co_await inner_.set_if_absent(std::move(key), std::move(value), ttl);
  }
  Task<std::uint64_t> erase(std::vector<std::string> keys) override {
    if (away) co_return gone();
    co_return co_await inner_.erase(std::move(keys));
  }
  Task<std::int64_t> add(std::string key, std::int64_t by, std::chrono::milliseconds ttl) override {
    co_return co_await inner_.add(std::move(key), by, ttl);
  }
  Task<void> scan(std::string prefix,
                  std::function<bool(std::vector<cache::Entry>)> visit) override {
    if (away) co_return gone();
    co_return co_await inner_.scan(std::move(prefix), std::move(visit));
  }
  Task<std::uint64_t> erase_prefix(std::string prefix) override {
    if (away) co_return gone();
    co_return co_await inner_.erase_prefix(std::move(prefix));
  }
  Task<std::uint64_t> sweep() override { co_return 0U; }
  Task<cache::Stats> stats() override {
    if (away) co_return gone();
    co_return co_await inner_.stats();
  }
  Task<void> ping() override {
    if (away) co_return gone();
    co_return Result<void>();
  }

 private:
  static std::unexpected<Error> gone() { return fail(Errc::kUnavailable, "connection refused"); }
  cache::Store& inner_;
};

class ExactCacheTest : public ::testing::Test {
 protected:
  ExactCache& only_local() {
    if (cache_ == nullptr) cache_ = std::make_unique<ExactCache>(options_, local_, local_, clock_);
    return *cache_;
  }
  ExactCache& over_redis() {
    if (cache_ == nullptr) cache_ = std::make_unique<ExactCache>(options_, shared_, local_, clock_);
    return *cache_;
  }
  std::string key(std::string_view org, std::string_view canonical = "{}") const {
    return cache_->key(org, "openai_chat", canonical);
  }
  void put(std::string key, Answer value, std::chrono::milliseconds ttl = 1h) {
    loops_.wait_for([&]() -> Aw<int> {
      co_await cache_->put(key, std::make_shared<const Answer>(value), ttl);
      co_return 0;
    });
  }
  std::optional<std::string> text_at(std::string key) {
    const auto hit = loops_.wait_for([&] { return cache_->get(key); });
    if (!hit) return std::nullopt;
    return hit->answer->response.text();
  }
  void probe() {
    loops_.wait_for([&]() -> Aw<int> {
      co_await cache_->probe();
      co_return 0;
    });
  }
  std::vector<std::string> queries(std::string org, std::size_t most = 100) {
    std::vector<std::string> found;
    const auto listed = loops_.wait_for([&] {
      return cache_->each(org, [&](const cache::Entry&, const Answer& entry) {
        found.push_back(entry.query);
        return found.size() < most;
      });
    });
    EXPECT_TRUE(listed);
    std::ranges::sort(found);
    return found;
  }

  testing::Loops loops_;
  ManualClock clock_;
  cache::MemoryStore local_{{}, clock_};
  cache::MemoryStore remote_{{}, clock_};
  FlakyStore shared_{remote_};
  ExactCache::Options options_;
  std::unique_ptr<ExactCache> cache_;
};

TEST_F(ExactCacheTest, NamesKeysByPrefixAndOrganisationAndShowsNothingOfThePrompt) {
  only_local();
  const std::string made = key("acme", R"({"prompt":"my secret"})");
  EXPECT_THAT(made, StartsWith("asahi:cache:t1:acme:"));
  EXPECT_EQ(made.size(), std::string("asahi:cache:t1:acme:").size() + 32) << "128 bits in hex";
  EXPECT_EQ(made.find("secret"), std::string::npos);
  EXPECT_THAT(key(""), StartsWith("asahi:cache:t1:-:"));
}

TEST_F(ExactCacheTest, TellsOrganisationsShapesAndRequestsApartInTheDigestItself) {
  only_local();
  const auto digest = [](const std::string& made) { return made.substr(made.size() - 32); };
  const std::string one = digest(cache_->key("a", "openai_chat", "{}"));
  EXPECT_EQ(digest(cache_->key("a", "openai_chat", "{}")), one);
  EXPECT_NE(digest(cache_->key("b", "openai_chat", "{}")), one);
  EXPECT_NE(digest(cache_->key("a", "anthropic", "{}")), one);
  EXPECT_NE(digest(cache_->key("a", "openai_chat", "{ }")), one);
  EXPECT_NE(digest(cache_->key("ab", "c", "{}")), digest(cache_->key("a", "bc", "{}")))
      << "parts are length-prefixed";
  options_.digest_key[0] ^= 1;
  const ExactCache other(options_, local_, local_, clock_);
  EXPECT_NE(digest(other.key("a", "openai_chat", "{}")), one)
      << "nobody guesses keys without the key";
}

// ---- sealed entries

KeyRing keys_of(std::string_view digits) {
  std::vector<Secret> keys;
  for (const char digit : digits) keys.emplace_back(std::string(64, digit));
  return KeyRing::make(keys, {.pbkdf2_iterations = 1'000}).value();
}

class SealedCacheTest : public ExactCacheTest {
 protected:
  SealedCacheTest() { options_.ring = &ring_; }
  void put_sealed(const std::string& key, Answer value) {
    loops_.wait_for([&]() -> Aw<int> {
      co_await cache_->put(key, std::make_shared<const Answer>(value), 1h, true);
      co_return 0;
    });
  }
  std::string stored_at(const std::string& key) {
    const auto bytes = cache_->peek(key);
    return bytes && *bytes ? ***bytes : "";
  }
  identity::Live<KeyRing> ring_;
};

TEST_F(SealedCacheTest, AreUnreadableWhereTheyLieAndHitsForWhoHasTheKey) {
  ring_.set(keys_of("1"));
  only_local();
  put_sealed(key("acme"), answer("a private answer"));
  EXPECT_THAT(stored_at(key("acme")), StartsWith("sealed:"));
  EXPECT_EQ(stored_at(key("acme")).find("private"), std::string::npos);
  EXPECT_EQ(text_at(key("acme")), "a private answer");
  EXPECT_THAT(queries("acme"), ::testing::SizeIs(1)) << "and are listed and erased like others";
}

TEST_F(SealedCacheTest, StayReadableWhenTheKeyIsReplaced) {
  ring_.set(keys_of("1"));
  only_local();
  put_sealed(key("acme"), answer("hello"));
  ring_.set(keys_of("21"));
  EXPECT_EQ(text_at(key("acme")), "hello");
}

TEST_F(SealedCacheTest, AreAMissWithoutTheRightKeyAndStayForWhoHasIt) {
  ring_.set(keys_of("1"));
  only_local();
  put_sealed(key("acme"), answer("hello"));
  ring_.set(keys_of("3"));
  EXPECT_FALSE(text_at(key("acme")));
  EXPECT_THAT(queries("acme"), ::testing::IsEmpty());
  ring_.set(keys_of("1"));
  EXPECT_EQ(text_at(key("acme")), "hello");
}

TEST_F(SealedCacheTest, AreAMissUnderAnotherKeyOfTheCache) {
  ring_.set(keys_of("1"));
  only_local();
  put_sealed(key("acme"), answer("hello"));
  const std::string moved = key("globex");
  loops_.wait_for([&]() -> Aw<int> {
    (void)co_await local_.set(moved, **cache_->peek(key("acme")), 1h);
    co_return 0;
  });
  EXPECT_FALSE(text_at(moved));
}

TEST_F(SealedCacheTest, AreNotStoredWithoutAKey) {
  only_local();
  put_sealed(key("acme"), answer("hello"));
  EXPECT_FALSE(cache_->seal().ready());
  EXPECT_EQ(stored_at(key("acme")), "");
}

TEST_F(ExactCacheTest, GivesBackWhatWasPutUntilItsTimeIsOver) {
  only_local();
  const std::string at = key("acme");
  EXPECT_FALSE(text_at(at));
  put(at, answer("hello"), 10min);
  EXPECT_EQ(text_at(at), "hello");
  clock_.advance(9min);
  EXPECT_EQ(text_at(at), "hello");
  clock_.advance(59s);
  EXPECT_EQ(text_at(at), "hello") << "and a hit does not make it live longer";
  clock_.advance(2s);
  EXPECT_FALSE(text_at(at));
}

TEST_F(ExactCacheTest, StampsEntriesWithTheirTime) {
  only_local();
  put(key("acme"), answer("hello"), 10min);
  const auto hit = loops_.wait_for([&] { return cache_->get(key("acme")); });
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->answer->created, clock_.now());
  EXPECT_EQ(hit->answer->expires, clock_.now() + 10min);
}

TEST_F(ExactCacheTest, AnswersAPeekFromMemoryWithTheSameBytes) {
  only_local();
  put(key("acme"), answer("hello"));
  const auto seen = loops_.on([&] { return cache_->peek(key("acme")); });
  ASSERT_TRUE(seen && *seen);
  const auto hit = loops_.wait_for([&] { return cache_->get(key("acme")); });
  EXPECT_EQ(hit->bytes, **seen) << "the identity that the request memo relies on";
  const auto miss = loops_.on([&] { return cache_->peek(key("other")); });
  ASSERT_TRUE(miss);
  EXPECT_FALSE(*miss);
}

TEST_F(ExactCacheTest, DoesNothingWhenSwitchedOff) {
  options_.enabled = false;
  only_local();
  put(key("acme"), answer("hello"));
  EXPECT_FALSE(text_at(key("acme")));
  EXPECT_EQ(loops_.wait_for([&] { return local_.stats(); })->entries, 0U);
}

TEST_F(ExactCacheTest, DropsAnEntryItCannotRead) {
  only_local();
  const std::string at = key("acme");
  ASSERT_TRUE(loops_.wait_for(
      [&] { return local_.set(at, std::make_shared<const std::string>("{\"v\":99}\n"), 1h); }));
  EXPECT_FALSE(text_at(at));
  EXPECT_EQ(loops_.wait_for([&] { return local_.stats(); })->entries, 0U);
}

TEST_F(ExactCacheTest, ClearsOneOrganisationOnly) {
  only_local();
  put(key("acme", "1"), answer("one", "acme 1"));
  put(key("acme", "2"), answer("two", "acme 2"));
  put(key("acme-2", "1"), answer("three", "other"));
  EXPECT_EQ(queries("acme"), (std::vector<std::string>{"acme 1", "acme 2"}));
  EXPECT_EQ(loops_.wait_for([&] { return cache_->clear("acme"); })->tier_1, 2U);
  EXPECT_TRUE(queries("acme").empty());
  EXPECT_EQ(queries("acme-2"), std::vector<std::string>{"other"});
}

TEST_F(ExactCacheTest, ClearsExpiredEntriesOnly) {
  only_local();
  put(key("acme", "1"), answer("one"), 1min);
  put(key("acme", "2"), answer("two"), 1h);
  clock_.advance(2min);
  EXPECT_EQ(loops_.wait_for([&] { return cache_->clear_expired(); })->tier_1, 1U);
  EXPECT_EQ(text_at(key("acme", "2")), "two");
}

TEST_F(ExactCacheTest, ListsUntilTheVisitorHasEnough) {
  only_local();
  for (int i = 0; i < 20; ++i) put(key("acme", std::to_string(i)), answer("x"));
  EXPECT_EQ(queries("acme", 5).size(), 5U);
}

// ---- over a store that can be away

TEST_F(ExactCacheTest, KeepsAnswersInTheSharedStoreWhileItIsThere) {
  over_redis();
  put(key("acme"), answer("hello"));
  EXPECT_EQ(loops_.wait_for([&] { return remote_.stats(); })->entries, 1U);
  EXPECT_EQ(loops_.wait_for([&] { return local_.stats(); })->entries, 0U);
  EXPECT_EQ(text_at(key("acme")), "hello");
  EXPECT_FALSE(loops_.on([&] { return cache_->peek(key("acme")).has_value(); }))
      << "Redis cannot be asked without waiting";
  EXPECT_FALSE(cache_->degraded());
}

TEST_F(ExactCacheTest, GoesOnInProcessWhileTheSharedStoreIsAway) {
  over_redis();
  shared_.away = true;
  EXPECT_FALSE(text_at(key("acme"))) << "a miss, not an error";
  EXPECT_TRUE(cache_->degraded());
  put(key("acme"), answer("local"));
  EXPECT_EQ(text_at(key("acme")), "local");
  EXPECT_EQ(loops_.wait_for([&] { return cache_->stats(); })->entries, 1U);
  EXPECT_EQ(queries("acme").size(), 1U);
}

TEST_F(ExactCacheTest, KeepsAWriteThatTheSharedStoreRefused) {
  over_redis();
  shared_.away = true;
  put(key("acme"), answer("local"));
  EXPECT_TRUE(cache_->degraded());
  EXPECT_EQ(text_at(key("acme")), "local");
}

TEST_F(ExactCacheTest, ReturnsToTheSharedStoreWhenAProbeFindsItBack) {
  over_redis();
  put(key("acme"), answer("shared"));
  shared_.away = true;
  probe();
  EXPECT_TRUE(cache_->degraded());
  EXPECT_FALSE(text_at(key("acme")));
  shared_.away = false;
  EXPECT_TRUE(cache_->degraded()) << "until it is asked";
  probe();
  EXPECT_FALSE(cache_->degraded());
  EXPECT_EQ(text_at(key("acme")), "shared");
}

TEST_F(ExactCacheTest, ClearsBothStores) {
  over_redis();
  put(key("acme", "1"), answer("shared"));
  shared_.away = true;
  put(key("acme", "2"), answer("local"));
  shared_.away = false;
  EXPECT_EQ(loops_.wait_for([&] { return cache_->clear("acme"); })->tier_1, 2U);
}

TEST_F(ExactCacheTest, SaysSoWhenTheSharedStoreCannotBeCleared) {
  over_redis();
  shared_.away = true;
  const auto cleared = loops_.wait_for([&] { return cache_->clear("acme"); });
  ASSERT_FALSE(cleared);
  EXPECT_EQ(cleared.error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::gateway
