#include "memory/search/search.h"

#include <gtest/gtest.h>

#include "llm/embed/text_embedder.h"
#include "memory/embedding/choice.h"
#include "memory/model/forwarding_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "storage/cache/memory_store.h"

namespace asahi::memory {
namespace {

/// A tier that can look at a part of its rows only.
class PartOfAStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Task<StorePage> search(StoreQuery query) override {
    ASAHI_CO_TRY(StorePage page, co_await ForwardingStore::search(std::move(query)));
    page.partial = partial;
    co_return page;
  }
  bool partial = true;
};

/// A tier into which something comes right after it was asked.
class AskedTooSoon final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Task<StorePage> search(StoreQuery query) override {
    auto page = co_await ForwardingStore::search(std::move(query));
    for (Memory& memory : std::exchange(coming, {}))
      (void)co_await inner().upsert_batch({std::move(memory)}, {.deduplicate = false});
    co_return page;
  }
  std::vector<Memory> coming;
};

class SearchTest : public ::testing::Test {
 protected:
  void put(const std::string& content, const std::string& metadata) {
    Memory memory;
    memory.key = {"acme", "desk", content};
    memory.content = content;
    memory.content_hash = sha256(content);
    memory.metadata = metadata;
    memory.timestamp = memory.uploaded_at = clock_.now();
    ASSERT_TRUE(loop_.wait<std::vector<UpsertOutcome>>(
        [&] { return rows_.upsert_batch({memory}, {.deduplicate = false}); }));
  }
  json::object ask(const std::string& words) { return ask(search_, words); }
  json::object ask(Search& search, const std::string& words, const std::string& tenant = "acme") {
    SearchRequest request;
    request.mode = SearchMode::kKeyword;
    request.text = words;
    const auto reply =
        loop_.wait<std::string>([&] { return search.search(Reach::whole(tenant), request); });
    EXPECT_TRUE(reply) << reply.error().message;
    return parse_json(reply.value_or("{}")).value().as_object();
  }
  Result<std::string> once_more(Search& search, const json::object& reply,
                                const std::string& tenant = "acme") {
    const std::string id(reply.at("query_id").as_string());
    return loop_.wait<std::string>([&] { return search.reply(Reach::whole(tenant), id); });
  }
  /// A process with its own memory that shares what `l2_` has.
  struct Process {
    explicit Process(SearchTest& of)
        : l1({.max_entries = 100}, of.clock_),
          replies({.max_entries = 100}, of.clock_),
          epochs(&of.l2_),
          search({.hot = &of.store_,
                  .embedder = *of.embedder_,
                  .l1 = l1,
                  .l2 = &of.l2_,
                  .replies = replies,
                  .epochs = epochs,
                  .clock = of.clock_},
                 SearchOptions{}) {}
    cache::MemoryStore l1, replies;
    Epochs epochs;
    Search search;
  };

  testing::OnLoop loop_;
  ManualClock clock_;
  testing::MemoryStore rows_;
  PartOfAStore store_{rows_};
  std::unique_ptr<llm::TextEmbedder> embedder_ = choose_embedder(MemoryConfig{}).embedder;
  cache::MemoryStore l1_{{.max_entries = 100}, clock_};
  cache::MemoryStore l2_{{.max_entries = 100}, clock_};
  cache::MemoryStore replies_{{.max_entries = 100}, clock_};
  Epochs epochs_{nullptr};
  Search search_{{.hot = &store_,
                  .embedder = *embedder_,
                  .l1 = l1_,
                  .replies = replies_,
                  .epochs = epochs_,
                  .clock = clock_},
                 SearchOptions{}};
};

TEST_F(SearchTest, AnAnswerThatIsWholeIsKept) {
  put("The lamp is blue.", "{}");
  store_.partial = false;
  EXPECT_EQ(ask("lamp").at("partial"), false);
  EXPECT_EQ(ask("lamp").at("cache"), "l1");
}

TEST_F(SearchTest, AnAnswerOfAPartIsNotKeptWhateverMemoriesSayOfThemselves) {
  put("The lamp is blue.", R"({"partial":false})");
  EXPECT_EQ(ask("lamp").at("partial"), true);
  store_.partial = false;
  const json::object again = ask("lamp");
  EXPECT_EQ(again.at("cache"), "miss");
  EXPECT_EQ(again.at("partial"), false);
}

TEST_F(SearchTest, AMemoryThatComesUpMeanwhileIsFoundAndOneThatWasChangedMeanwhileIsNot) {
  put("The lamp is blue.", "{}");
  put("The lamp is green.", "{}");
  testing::MemoryStore above;
  AskedTooSoon hot(above);
  testing::MemoryStore warm(Tier::kWarm);
  hot.coming = rows_.all();
  for (const Memory& memory : hot.coming) {
    ASSERT_TRUE(loop_.wait<std::vector<UpsertOutcome>>(
        [&] { return warm.upsert_batch({memory}, {.deduplicate = false}); }));
  }
  hot.coming[1].content = "It is dark.";
  hot.coming[1].content_hash = sha256(hot.coming[1].content);
  hot.coming[1].timestamp += std::chrono::seconds(1);
  Search search({.hot = &hot,
                 .warm = &warm,
                 .embedder = *embedder_,
                 .l1 = l1_,
                 .replies = replies_,
                 .epochs = epochs_,
                 .clock = clock_},
                SearchOptions{});
  const json::object reply = ask(search, "lamp");
  ASSERT_EQ(reply.at("results").as_array().size(), 1U);
  EXPECT_EQ(reply.at("results").as_array()[0].at("conversation_id"), "The lamp is blue.");
}

TEST_F(SearchTest, AReplyOfBeforeAnErasureIsNotGivenAgain) {
  put("The lamp is blue.", "{}");
  const json::object before = ask("lamp");
  EXPECT_EQ(parse_json(once_more(search_, before).value()).value().at("query_id"),
            before.at("query_id"));
  const json::object theirs = ask(search_, "lamp", "other");
  ASSERT_TRUE(loop_.wait<std::uint64_t>(
      [&] { return rows_.delete_batch({{"acme", "desk", "The lamp is blue."}}); }));
  loop_.wait<void>([&]() -> Task<void> {
    co_await search_.erased("acme");
    co_return Result<void>{};
  });
  EXPECT_EQ(once_more(search_, before).error().code, Errc::kNotFound);
  EXPECT_TRUE(once_more(search_, theirs, "other")) << "another organisation's stay";
  clock_.advance(std::chrono::milliseconds(1));
  const json::object after = ask("lamp");
  EXPECT_EQ(after.at("total_results"), 0);
  EXPECT_TRUE(once_more(search_, after));
}

TEST_F(SearchTest, OfSeveralProcessesNoneGivesAReplyOfBeforeAnErasure) {
  Process one(*this), other(*this);
  put("The lamp is blue.", "{}");
  const json::object before = ask(other.search, "lamp");
  ASSERT_TRUE(once_more(other.search, before));
  loop_.wait<void>([&]() -> Task<void> {
    co_await one.search.erased("acme");
    co_return Result<void>{};
  });
  for (Process* const process : {&one, &other})
    EXPECT_EQ(once_more(process->search, before).error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace asahi::memory
