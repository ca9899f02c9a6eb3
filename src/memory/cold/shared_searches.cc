#include "memory/cold/shared_searches.h"

#include <string_view>
#include <utility>

#include "base/hash.h"
#include "net/waiting.h"

namespace asahi::memory::cold {

namespace {

std::uint64_t bytes_of(const ColdPage& page) {
  std::uint64_t sum = sizeof page;
  for (const StoreHit& hit : page.page.hits)
    sum += sizeof hit + hit.text.size() + hit.metadata.size() + hit.key.conversation_id.size();
  for (const auto& [facet, values] : page.page.facets) sum += 64 * (1 + values.size());
  return sum;
}

/// Appends with its length, so that no two lists of texts look alike.
void append(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}
void append(std::string& out, const std::vector<std::string>& texts) {
  out += std::to_string(texts.size());
  out += '[';
  for (const std::string& text : texts) append(out, text);
}
void append(std::string& out, const std::optional<Clock::Time>& time) {
  out += time ? std::to_string(time->time_since_epoch().count()) : "-";
  out += ';';
}

}  // namespace

std::string search_key(const StoreQuery& query, std::uint64_t version) {
  std::string out = std::to_string(version) + ";" + std::to_string(query.limit) + ";" +
                    std::to_string(static_cast<int>(query.mode)) +
                    (query.include_content ? "+" : "-");
  append(out, query.tenant);
  append(out, query.text);
  append(out, query.embedding_model);
  append(out, std::string_view(reinterpret_cast<const char*>(query.embedding.data()),
                               query.embedding.size() * sizeof(float)));
  append(out,
         std::string_view(reinterpret_cast<const char*>(&query.threshold), sizeof query.threshold));
  append(out, query.filter.system_ids);
  if (query.filter.systems_allowed) append(out, *query.filter.systems_allowed);
  out += '/';
  append(out, query.filter.start);
  append(out, query.filter.end);
  for (const auto& [field, value] : query.filter.metadata) {
    append(out, field);
    append(out, value);
  }
  out += '/';
  append(out, query.facets);
  return to_hex(sha256(out));
}

Aw<void> SharedSearches::landed(std::shared_ptr<Flight> flight) {
  return net::suspend([this, flight = std::move(flight)](std::move_only_function<void()> resume) {
    {
      const std::lock_guard lock(mutex_);
      if (flight->answer == nullptr) {
        flight->waiters.push_back(std::move(resume));
        return;
      }
    }
    resume();
  });
}

Aw<SharedSearches::Answer> SharedSearches::ask(std::string key,
                                               std::function<Task<ColdPage>()> search) {
  std::shared_ptr<Flight> flight;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      kept_.splice(kept_.begin(), kept_, found->second);
      co_return kept_.front().answer;
    }
    auto& place = flights_[key];
    first = place == nullptr;
    if (first) place = std::make_shared<Flight>();
    flight = place;
  }
  if (!first) {
    co_await landed(flight);
    if (*flight->answer && (*flight->answer)->complete) co_return flight->answer;
    auto own = co_await search();
    co_return std::make_shared<const Result<ColdPage>>(std::move(own));
  }
  auto found = co_await search();
  auto answer = std::make_shared<const Result<ColdPage>>(std::move(found));
  std::vector<std::move_only_function<void()>> waiters;
  {
    const std::lock_guard lock(mutex_);
    flight->answer = answer;
    flights_.erase(key);
    if (*answer && (*answer)->complete) keep(key, answer);
    waiters.swap(flight->waiters);
  }
  for (auto& waiter : waiters) waiter();
  co_return answer;
}

void SharedSearches::keep(const std::string& key, const Answer& answer) {
  const std::uint64_t bytes = bytes_of(**answer);
  if (bytes > most_ || index_.contains(key)) return;
  bytes_ += bytes;
  kept_.push_front({.key = key, .answer = answer, .bytes = bytes});
  index_[key] = kept_.begin();
  while (bytes_ > most_) {
    bytes_ -= kept_.back().bytes;
    index_.erase(kept_.back().key);
    kept_.pop_back();
  }
}

}  // namespace asahi::memory::cold
