// What analytics read: lines of the event log, which hold what clients sent; query strings of the
// dashboard's questions; words to search for; pages that a damaged database gives back. A line that
// is taken is written as it would be read again, a window that is made is whole and not endless,
// every word of an event finds it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "gateway/analytics/compute/trends.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/search_pages.h"
#include "gateway/analytics/search_words.h"
#include "gateway/events/event.h"

namespace {

using namespace asahi;
using namespace asahi::gateway;

constexpr Clock::Time kNow{std::chrono::seconds{1'795'003'200}};

void require(bool holds) {
  if (!holds) std::abort();
}

void read_line(std::string_view bytes) {
  const auto event = event_from_json(bytes);
  if (!event) {
    require(event.error().code == Errc::kCorrupt);
    return;
  }
  std::string line, again;
  append_json(line, *event);
  require(line.find('\n') == std::string::npos);
  const auto same = event_from_json(line);
  require(same.has_value());
  append_json(again, *same);
  require(again == line);
  std::string row;
  append_csv(row, *same);
  require(row.ends_with("\r\n") || row.ends_with('\n'));
  for (const std::string& word : analytics::words_of(*event))
    require(analytics::matches(*event, {word}));
  analytics::Sums sums;
  sums.add(*same);
  require(sums.requests == 1);
}

void read_question(std::string_view bytes) {
  http::Request request;
  request.query = bytes;
  const analytics::Params params(request);
  if (const auto count = params.integer("intervals", 30, 1, 1'000)) {
    require(*count >= 1 && *count <= 1'000);
  }
  if (const auto text = params.text("q", 200)) {
    require(text->size() <= 200);
  }
  const auto wish = params.window("day");
  if (!wish) {
    require(!wish.error().field.empty());
    return;
  }
  for (const int times_back : {1, 2}) {
    const auto window = analytics::make_window(*wish, kNow, times_back);
    if (!window) {
      require(!window.error().field.empty());
      continue;
    }
    const std::chrono::seconds unit = analytics::length(window->unit);
    require(window->from < window->to && window->length() % unit == std::chrono::seconds(0));
    require(analytics::before(*window).to == window->from);
    require(analytics::equal_intervals({}, *window, 7).size() == 7);
  }
}

void read_pages(std::string_view bytes) {
  std::vector<NanoUsd> costs;
  std::vector<bool> seen;
  if (const auto page = analytics::parse_page(bytes, 0)) {
    (void)analytics::merge_page(bytes, {}, 0, analytics::Latencies::kKept);
    for (const auto& [number, sums] : *page) (void)sums.latency.percentile(99);
  }
  (void)analytics::add_costs(bytes, 0, costs, seen);
  require(costs.size() == seen.size());
  analytics::Events events;
  analytics::Terms terms;
  (void)analytics::find_terms(bytes, "u", "v", events);
  (void)analytics::parse_terms(bytes, terms);
  (void)analytics::parse_times(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_line(bytes);
  read_question(bytes);
  read_pages(bytes);
  std::vector<std::string> words;
  analytics::append_words(words, bytes);
  require(std::ranges::none_of(words, &std::string::empty));
  return 0;
}
