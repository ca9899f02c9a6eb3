#include "gateway/traces/trace_store.h"

#include <algorithm>
#include <ranges>

namespace asahi::gateway {

bool TraceStore::Filter::takes(const TraceRecord& record) const {
  if (failed && record.failed() != *failed) return false;
  if (!model.empty() && record.event.model_selected != model) return false;
  return record.duration_ms() >= min_latency_ms;
}

void TraceStore::drop_oldest(Org& org) {
  const std::size_t bytes = org.records.front()->bytes();
  org.records.pop_front();
  org.bytes -= bytes;
  bytes_ -= bytes;
}

void TraceStore::add(std::shared_ptr<TraceRecord> record) {
  const std::size_t bytes = record->bytes();
  const std::scoped_lock lock(mutex_);
  Org& org = orgs_[record->event.org_id];
  record->position = ++org.last;
  org.records.push_back(std::move(record));
  org.bytes += bytes;
  bytes_ += bytes;
  if (org.records.size() > options_.kept_per_org) drop_oldest(org);
  while (bytes_ > options_.max_bytes) {
    const auto largest =
        std::ranges::max_element(orgs_, {}, [](const auto& entry) { return entry.second.bytes; });
    drop_oldest(largest->second);
    if (largest->second.records.empty()) orgs_.erase(largest);
  }
}

void TraceStore::drop_before(Clock::Time time) {
  const std::scoped_lock lock(mutex_);
  for (auto entry = orgs_.begin(); entry != orgs_.end();) {
    Org& org = entry->second;
    while (!org.records.empty() && org.records.front()->started < time) drop_oldest(org);
    entry = org.records.empty() ? orgs_.erase(entry) : std::next(entry);
  }
}

void TraceStore::forget_user(const std::string& org, std::string_view user) {
  const std::scoped_lock lock(mutex_);
  const auto found = orgs_.find(org);
  if (found == orgs_.end()) return;
  Org& theirs = found->second;
  std::erase_if(theirs.records, [&](const Record& record) {
    if (record->event.user_id != user) return false;
    theirs.bytes -= record->bytes();
    bytes_ -= record->bytes();
    return true;
  });
  if (theirs.records.empty()) orgs_.erase(found);
}

TraceStore::Page TraceStore::newest(const std::string& org, const Filter& filter, std::size_t limit,
                                    std::uint64_t before) const {
  Page page;
  const std::scoped_lock lock(mutex_);
  const auto found = orgs_.find(org);
  if (found == orgs_.end()) return page;
  page.kept = found->second.records.size();
  for (const Record& record : found->second.records | std::views::reverse) {
    if (record->position >= before || !filter.takes(*record)) continue;
    if (page.records.size() == limit) {
      page.more = true;
      break;
    }
    page.records.push_back(record);
  }
  return page;
}

TraceStore::News TraceStore::after(const std::string& org, const Filter& filter, std::size_t limit,
                                   std::uint64_t after) const {
  News news;
  const std::scoped_lock lock(mutex_);
  const auto found = orgs_.find(org);
  if (found == orgs_.end()) return news;
  const std::deque<Record>& records = found->second.records;
  news.last = found->second.last;
  // Its list was given up in between and begun anew.
  if (after > news.last) after = 0;
  if (records.front()->position > after + 1) news.missed = records.front()->position - after - 1;
  for (const Record& record : records | std::views::reverse) {
    if (record->position <= after) break;
    if (!filter.takes(*record)) continue;
    if (news.records.size() == limit) {
      ++news.missed;
    } else {
      news.records.push_back(record);
    }
  }
  std::ranges::reverse(news.records);
  return news;
}

std::uint64_t TraceStore::last(const std::string& org) const {
  const std::scoped_lock lock(mutex_);
  const auto found = orgs_.find(org);
  return found == orgs_.end() ? 0 : found->second.last;
}

std::vector<TraceStore::Record> TraceStore::find(const std::string& org,
                                                 std::string_view id) const {
  std::vector<Record> matches;
  const auto trace = telemetry::parse_trace_id(id);
  const std::scoped_lock lock(mutex_);
  const auto found = orgs_.find(org);
  if (found == orgs_.end()) return matches;
  for (const Record& record : found->second.records | std::views::reverse) {
    const telemetry::TraceContext& context = record->trace().context;
    if (record->event.request_id == id ||
        (trace && context.trace_high == trace->trace_high && context.trace_low == trace->trace_low))
      matches.push_back(record);
  }
  return matches;
}

}  // namespace asahi::gateway
