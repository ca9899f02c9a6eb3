// Events are found as they were, by filters and words, with the index and without, on every engine.
#include "gateway/analytics/search_index.h"
#include "gateway/analytics/search_words.h"
#include "gateway/analytics/testing/store_contract.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using testing::down;
using testing::kNow;

class StoreEvents : public testing::AnalyticsStoreContract {};

TEST_P(StoreEvents, PagesThroughEventsNewestFirst) {
  std::vector<InferenceEvent> history;
  for (int i = 0; i < 300; ++i) history.push_back(any(std::chrono::hours(i % 5 == 0 ? 1 : 50)));
  for (int i = 0; i < 20; ++i) history.push_back(made(kNow - 1h));  // one moment
  load(history);
  std::erase_if(history, [](const InferenceEvent& event) { return event.org_id != "acme"; });
  std::ranges::sort(history, [](const InferenceEvent& one, const InferenceEvent& two) {
    return one.timestamp > two.timestamp;
  });
  const auto found = all({.org_id = "acme", .limit = 7});
  ASSERT_EQ(found.size(), history.size());
  std::map<std::string, Clock::Time> times;
  for (const InferenceEvent& event : history) times[event.request_id] = event.timestamp;
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(times[found[i]], history[i].timestamp);
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), found.size());
}

TEST_P(StoreEvents, GivesEventsAsTheyWere) {
  InferenceEvent event = any(1h);
  event.org_id = "acme";
  event.trim_savings = {77};
  event.latency_ms = std::round(event.latency_ms);
  load({event});
  const auto found = loops_.wait_for([&] { return store_->event("acme", event.request_id); });
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->event_id, event.event_id);
  EXPECT_EQ(found->timestamp, event.timestamp);
  EXPECT_EQ(found->user_id, event.user_id);
  EXPECT_EQ(found->model_selected, event.model_selected);
  EXPECT_EQ(found->routing_reason, event.routing_reason);
  EXPECT_EQ(found->cost, event.cost);
  EXPECT_EQ(found->baseline_cost, event.baseline_cost);
  EXPECT_EQ(found->trim_savings, event.trim_savings);
  EXPECT_EQ(found->batching_savings, event.batching_savings);
  EXPECT_EQ(found->hallucination, event.hallucination);
  EXPECT_EQ(found->cache_hit, event.cache_hit);
  EXPECT_EQ(found->cache_tier, event.cache_tier);
  EXPECT_EQ(found->latency_ms, event.latency_ms);
  EXPECT_NEAR(found->quality_score, event.quality_score, 0.005);
  for (const auto& [org, id] : {std::pair<std::string, std::string>("other", event.request_id),
                                {"acme", "req_nosuchthing"}}) {
    const auto foreign = loops_.wait_for([&] { return store_->event(org, id); });
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Errc::kNotFound);
  }
}

TEST_P(StoreEvents, FindsEventsByFiltersAndWords) {
  std::vector<InferenceEvent> history{made(kNow - 3h)};
  for (int i = 0; i < 700; ++i) history.push_back(any(std::chrono::hours(40)));
  load(history);
  const auto expect = [&](EventsQuery query, auto wanted) {
    query.org_id = "acme";
    query.limit = 40;
    std::vector<std::string> ids;
    for (const InferenceEvent& event : history) {
      if (event.org_id == "acme" && wanted(event)) ids.push_back(event.request_id);
    }
    EXPECT_THAT(all(query), ::testing::UnorderedElementsAreArray(ids));
    EXPECT_FALSE(ids.empty()) << "the test says nothing";
  };
  using Event = InferenceEvent;
  expect({.model = "модель"}, [](const Event& e) { return e.model_selected == "модель"; });
  expect({.task_type = "要約"}, [](const Event& e) { return e.task_type == "要約"; });
  expect({.user_id = "ann"}, [](const Event& e) { return e.user_id == "ann"; });
  expect({.api_key_prefix = "ask_abcdefgh", .provider = "openai"}, [](const Event& e) {
    return e.api_key_prefix == "ask_abcdefgh" && e.provider == "openai";
  });
  expect({.error_code = "ошибка"}, [](const Event& e) { return e.error_code == "ошибка"; });
  expect({.failed = true}, [](const Event& e) { return !e.error_code.empty(); });
  expect({.cache_hit = false, .failed = false},
         [](const Event& e) { return !e.cache_hit && e.error_code.empty(); });
  expect({.cache_tier = 2}, [](const Event& e) { return e.cache_tier == 2; });
  expect({.from = kNow - 20h, .to = kNow - 3h},
         [](const Event& e) { return e.timestamp >= kNow - 20h && e.timestamp < kNow - 3h; });
  expect({.request_id = history[0].request_id, .text = ""},
         [&](const Event& e) { return e.request_id == history[0].request_id; });
  expect({.text = "MINI ann"},
         [](const Event& e) { return e.model_selected == "gpt-4o-mini" && e.user_id == "ann"; });
  expect({.text = "ёл"}, [](const Event& e) { return e.user_id == "Ёлка Иванова"; });
  expect({.text = "иванова ОШИБ"},
         [](const Event& e) { return e.user_id == "Ёлка Иванова" && e.error_code == "ошибка"; });
  expect({.text = "günst"}, [](const Event& e) { return e.routing_reason.starts_with("G"); });
  expect({.text = "it's \"q\""}, [](const Event& e) { return e.model_selected == "it's \"q\""; });
  expect({.text = "cheap good"}, [](const Event& e) { return e.routing_reason.starts_with("ch"); });
  expect({.text = history[0].request_id.substr(0, 10)}, [&](const Event& e) {
    return e.request_id.starts_with(history[0].request_id.substr(0, 10));
  });
  expect({.user_id = "ann", .text = "gpt"},
         [](const Event& e) { return e.user_id == "ann" && e.model_selected.starts_with("gpt"); });
  EXPECT_TRUE(all({.org_id = "acme", .text = "nowhere"}).empty());
  EXPECT_TRUE(all({.org_id = "acme", .model = "gpt"}).empty()) << "filters are whole values";
}

TEST_P(StoreEvents, FindsTheSameByTheIndexAsByLookingAtAllRows) {
  std::vector<InferenceEvent> history;
  const auto add = [&](int count, std::chrono::hours back, std::chrono::minutes over) {
    for (int i = 0; i < count; ++i) {
      InferenceEvent event = made(kNow - back - i * over / count);
      event.user_id = "user-" + std::to_string(i % 97);
      event.model_selected = i % 3 == 0 ? "gpt-4o" : "claude-3";
      if (i % 2'000 == 5) event.error_code = "timeout";
      history.push_back(std::move(event));
    }
  };
  add(9'000, 2h, 60min);
  history[4'000].user_id = "Ёлка";
  add(9'000, 3h, 600min);  // older than those before, so that blocks overlap
  load(history, 1 << 20);
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 2U) << "and some rows in none";
  std::ranges::sort(history, std::greater{}, &InferenceEvent::timestamp);
  const auto expect = [&](EventsQuery query, auto wanted) {
    std::vector<Clock::Time> times;
    for (const InferenceEvent& event : history) {
      if (wanted(event)) times.push_back(event.timestamp);
    }
    query.org_id = "acme";
    std::vector<Clock::Time> found;
    std::set<std::string> ids;
    do {
      EventsPage page = events(query);
      for (const InferenceEvent& event : page.events) {
        EXPECT_TRUE(wanted(event));
        found.push_back(event.timestamp);
        ids.insert(event.request_id);
      }
      query.cursor = page.next_cursor;
    } while (!query.cursor.empty() && found.size() < times.size());
    EXPECT_EQ(found, times);
    EXPECT_EQ(ids.size(), times.size());
    EXPECT_FALSE(times.empty()) << "the test says nothing";
  };
  using Event = InferenceEvent;
  expect({.error_code = "timeout", .limit = 3},
         [](const Event& e) { return e.error_code == "timeout"; });
  expect({.user_id = "user-13", .limit = 50},
         [](const Event& e) { return e.user_id == "user-13"; });
  expect({.text = "user 9 claude", .limit = 400}, [](const Event& e) {
    return matches(e, {"user", "9", "claude"});  // request ids may begin with 9
  });
  expect({.text = "ёлк"}, [](const Event& e) { return e.user_id == "Ёлка"; });
  expect({.from = kNow - 4h, .to = kNow - 150min, .model = "gpt-4o", .limit = 500},
         [](const Event& e) {
           return e.timestamp >= kNow - 4h && e.timestamp < kNow - 150min &&
                  e.model_selected == "gpt-4o";
         });
  EXPECT_TRUE(all({.org_id = "acme", .text = "gpt claude"}).empty());
  EXPECT_TRUE(all({.org_id = "other", .model = "gpt-4o"}).empty());

  // Requests and users have no index of the table.
  for (const std::size_t at : {std::size_t{3}, std::size_t{5'000}, history.size() - 2}) {
    const auto one = loops_.wait_for([&] { return store_->event("acme", history[at].request_id); });
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(one->event_id, history[at].event_id);
    expect({.request_id = history[at].request_id},
           [&](const Event& e) { return e.request_id == history[at].request_id; });
  }
  for (const std::string user : {"user-13", "Ёлка", "nobody"}) {
    const auto found = loops_.wait_for([&] { return rows_of_user(*db_, "acme", user); });
    ASSERT_TRUE(found) << found.error().message;
    std::vector<std::int64_t> expected;
    const sql::Rows stored =
        rows("SELECT id FROM inference_events WHERE user_id = '" + user + "' ORDER BY id");
    for (std::size_t row = 0; row < stored.size(); ++row)
      expected.push_back(stored.integer(row, "id"));
    EXPECT_EQ(*found, expected);
  }

  // What was gathered while rows were inserted is what reading them gives.
  const auto dump = [&] {
    std::vector<std::string> all;
    const sql::Rows terms = rows("SELECT block, first_term, page FROM event_terms ORDER BY 1, 2");
    for (std::size_t row = 0; row < terms.size(); ++row)
      all.push_back(terms.text(row, "block") + terms.text(row, "first_term") +
                    terms.text(row, "page"));
    const sql::Rows times =
        rows("SELECT first_ms, last_ms, times FROM event_blocks ORDER BY block");
    for (std::size_t row = 0; row < times.size(); ++row)
      all.push_back(times.text(row, "first_ms") + '-' + times.text(row, "last_ms") +
                    times.text(row, "times"));
    return all;
  };
  const std::vector<std::string> gathered = dump();
  rows("DELETE FROM event_terms");
  rows("DELETE FROM event_blocks");
  rows("UPDATE analytics_state SET value = 0 WHERE name = 'index_next'");
  for (const bool more : {true, true, false}) {
    const auto indexed = index_next_block(*db_);
    ASSERT_TRUE(indexed) << indexed.error().message;
    EXPECT_EQ(*indexed, more);
  }
  EXPECT_EQ(dump(), gathered);

  // Erased from the table and from the index, also the words that nobody else had.
  rows("DELETE FROM inference_events WHERE user_id = 'Ёлка'");
  const auto terms_with = [&] {
    const sql::Rows pages = rows("SELECT page FROM event_terms");
    Terms terms;
    for (std::size_t row = 0; row < pages.size(); ++row)
      EXPECT_TRUE(parse_terms(pages.text(row, "page"), terms));
    return terms.count("wёлка") + terms.count("uЁлка");
  };
  EXPECT_EQ(terms_with(), 2U);
  ASSERT_TRUE(loops_.wait_for([&] { return erase_search_of(*db_, "acme", "Ёлка", kNow); }));
  EXPECT_EQ(terms_with(), 0U);
  expect({.error_code = "timeout", .limit = 3},
         [](const Event& e) { return e.error_code == "timeout"; });
  ASSERT_TRUE(loops_.wait_for([&] { return expire_search(*db_, "acme", kNow); }));
  EXPECT_TRUE(rows("SELECT block FROM event_terms").empty());
}

TEST_P(StoreEvents, IndexesNothingThatWasDeletedMeanwhile) {
  std::vector<InferenceEvent> first, second;
  for (int i = 0; i < 16'500; ++i) {
    InferenceEvent event = made(kNow - 1h);
    event.user_id = i == 9'000 ? "erased" : "ann";
    (i < 10'000 ? first : second).push_back(std::move(event));
  }
  EventLoader loader({.dir = folder_.path(), .node_id = "node_1", .retry = 5ms, .clock = &clock_},
                     *db_);
  log(first);
  loader.start();
  ASSERT_TRUE(loader.catch_up(30s));
  rows("DELETE FROM inference_events WHERE user_id = 'erased'");
  log(second);
  ASSERT_TRUE(loader.catch_up(30s));
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 2U);
  const sql::Rows pages = rows("SELECT page FROM event_terms WHERE block = 1");
  Terms terms;
  for (std::size_t row = 0; row < pages.size(); ++row)
    ASSERT_TRUE(parse_terms(pages.text(row, "page"), terms));
  EXPECT_EQ(terms.count("uerased"), 0U);
  EXPECT_EQ(terms.at("uann").size(), static_cast<std::size_t>(kBlockEvents) - 1);
}

TEST_P(StoreEvents, NumbersNoRowAsADeletedOneInTheIndex) {
  std::vector<InferenceEvent> history;
  for (std::int64_t i = 1; i < kBlockEvents; ++i) history.push_back(made(kNow - 1h));
  load(history, 1 << 20);
  ASSERT_EQ(rows("SELECT block FROM event_blocks").size(), 1U) << "full, and nothing behind it";
  rows("DELETE FROM inference_events WHERE id > 8000");
  InferenceEvent next = made(kNow);
  next.user_id = "late";
  load({next});
  EXPECT_EQ(all({.org_id = "acme", .user_id = "late"}).size(), 1U);
  const auto found = loops_.wait_for([&] { return store_->event("acme", next.request_id); });
  EXPECT_TRUE(found);
}

TEST_P(StoreEvents, RefusesACursorThatIsNotOne) {
  for (const char* cursor : {"x", "12", "12-", "12-3x", "-", "1 - 2"}) {
    const auto refused =
        loops_.wait_for([&] { return store_->events({.org_id = "acme", .cursor = cursor}); });
    ASSERT_FALSE(refused) << cursor;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreEvents, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::gateway::analytics
