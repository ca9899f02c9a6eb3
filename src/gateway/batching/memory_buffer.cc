#include "gateway/batching/memory_buffer.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {

using std::chrono::milliseconds;

MemoryBatchBuffer::MemoryBatchBuffer(std::size_t max_items, const Clock& clock)
    : max_items_(max_items), clock_(clock) {}

milliseconds MemoryBatchBuffer::age(const Waiting& waiting) const {
  return std::chrono::duration_cast<milliseconds>(clock_.steady_now() - waiting.since);
}

Task<void> MemoryBatchBuffer::push(BatchItem item) {
  const std::scoped_lock lock(mutex_);
  if (ids_.size() >= max_items_)
    co_return fail(Errc::kTooLarge, fmt::format("{} items are being batched already", max_items_));
  if (!ids_.insert(item.id).second)
    co_return fail(Errc::kConflict, fmt::format("an item '{}' is being batched already", item.id));
  auto& group = groups_[item.group];
  group.push_back({std::move(item), clock_.steady_now()});
  co_return Result<void>{};
}

Task<bool> MemoryBatchBuffer::remove(std::string group, std::string id) {
  const std::scoped_lock lock(mutex_);
  const auto found = groups_.find(group);
  if (found == groups_.end()) co_return false;
  const bool removed = std::erase_if(found->second, [&](const Waiting& waiting) {
                         return waiting.item.id == id;
                       }) > 0;
  if (removed) ids_.erase(id);
  if (found->second.empty()) groups_.erase(found);
  co_return removed;
}

Task<std::vector<GroupState>> MemoryBatchBuffer::groups() {
  const std::scoped_lock lock(mutex_);
  std::vector<GroupState> states;
  for (const auto& [name, group] : groups_) {
    GroupState state{.group = name, .size = group.size(), .oldest = age(group.front())};
    state.left = milliseconds::max();
    for (const Waiting& waiting : group)
      state.left = std::min(state.left, waiting.item.wait - age(waiting));
    states.push_back(std::move(state));
  }
  co_return states;
}

Task<std::vector<BatchItem>> MemoryBatchBuffer::take(std::string group, std::size_t most) {
  const std::scoped_lock lock(mutex_);
  std::vector<BatchItem> taken;
  const auto found = groups_.find(group);
  if (found == groups_.end()) co_return taken;
  while (taken.size() < most && !found->second.empty()) {
    Waiting& first = found->second.front();
    first.item.age = age(first);
    taken.push_back(std::move(first.item));
    found->second.pop_front();
  }
  if (found->second.empty()) groups_.erase(found);
  co_return taken;
}

Task<std::vector<BatchReply>> MemoryBatchBuffer::finish(std::vector<Finished> finished) {
  const std::scoped_lock lock(mutex_);
  std::vector<BatchReply> replies;
  for (Finished& one : finished) {
    if (ids_.erase(one.item.id) > 0) replies.push_back(std::move(one.reply));
  }
  co_return replies;
}

Task<std::vector<BatchReply>> MemoryBatchBuffer::collect() {
  co_return std::vector<BatchReply>{};  // there are no other workers
}

Task<std::size_t> MemoryBatchBuffer::maintain() { co_return std::size_t{0}; }

}  // namespace asahi::gateway
