#include "memory/cold/shared_searches.h"

#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "net/event.h"

namespace asahi::memory::cold {
namespace {

/// Searches that end when the test says so.
class SharedSearchesTest : public ::testing::Test {
 protected:
  /// Asks so many times at once, and lets the searches go when all have asked.
  std::vector<SharedSearches::Answer> ask(int times, const ColdPage& page) {
    return on_
        .wait<std::vector<SharedSearches::Answer>>(
            [&]() -> Task<std::vector<SharedSearches::Answer>> {
              std::vector<SharedSearches::Answer> answers;
              net::Event all(on_.loop()), released(on_.loop());
              std::vector<std::unique_ptr<net::Event>> held;
              for (int i = 0; i < times; ++i) {
                on_.loop().spawn("asker", [&]() -> Aw<void> {
                  auto answer = co_await shared_.ask("key", [&]() -> Task<ColdPage> {
                    ++scans_;
                    if (!wait_) co_return page;
                    held.push_back(std::make_unique<net::Event>(on_.loop()));
                    co_await held.back()->wait();
                    co_return page;
                  });
                  answers.push_back(std::move(answer));
                  if (answers.size() == static_cast<std::size_t>(times)) all.set();
                });
              }
              on_.loop().post([&] {
                wait_ = false;
                for (auto& event : held) event->set();
                released.set();
              });
              co_await all.wait();
              co_await released.wait();  // what was posted looks at this frame
              co_return answers;
            })
        .value();
  }

  testing::OnLoop on_;
  SharedSearches shared_{1 << 20};
  bool wait_ = true;
  int scans_ = 0;
};

TEST_F(SharedSearchesTest, EqualSearchesAtATimeAreOneScanAndItsAnswerIsKept) {
  ColdPage page;
  page.page.total = 7;
  for (const auto& answer : ask(20, page)) EXPECT_EQ((*answer)->page.total, 7U);
  EXPECT_EQ(scans_, 1);
  ask(3, page);
  EXPECT_EQ(scans_, 1);
}

TEST_F(SharedSearchesTest, AnIncompleteAnswerIsNobodyElses) {
  ColdPage page;
  page.complete = false;
  ask(3, page);
  EXPECT_EQ(scans_, 3);
  ask(1, page);
  EXPECT_EQ(scans_, 4) << "nor is it kept";
}

TEST(SearchKey, IsOfEverythingThatDecidesTheAnswer) {
  StoreQuery query;
  query.tenant = "org";
  query.text = "a";
  query.embedding = {1, 2};
  std::vector<std::string> keys = {search_key(query, 1), search_key(query, 2)};
  const auto with = [&](auto change) {
    StoreQuery other = query;
    change(other);
    keys.push_back(search_key(other, 1));
  };
  with([](StoreQuery& q) { q.tenant = "other"; });
  with([](StoreQuery& q) { q.text = "b"; });
  with([](StoreQuery& q) { q.mode = SearchMode::kKeyword; });
  with([](StoreQuery& q) { q.embedding = {1, 3}; });
  with([](StoreQuery& q) { q.embedding_model = "m"; });
  with([](StoreQuery& q) { q.limit = 11; });
  with([](StoreQuery& q) { q.threshold = 0; });
  with([](StoreQuery& q) { q.include_content = false; });
  with([](StoreQuery& q) { q.facets = {"tier"}; });
  with([](StoreQuery& q) { q.filter.system_ids = {"a"}; });
  with([](StoreQuery& q) { q.filter.systems_allowed = {{"a"}}; });
  with([](StoreQuery& q) { q.filter.systems_allowed.emplace(); });
  with([](StoreQuery& q) { q.filter.start = Clock::Time{}; });
  with([](StoreQuery& q) { q.filter.end = Clock::Time{}; });
  with([](StoreQuery& q) { q.filter.metadata = {{"a", "b"}}; });
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
  query.patience = std::chrono::milliseconds(5);
  EXPECT_EQ(search_key(query, 1), keys[0]) << "who waits longer gets the same";
}

}  // namespace
}  // namespace asahi::memory::cold
