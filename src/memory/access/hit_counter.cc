#include "memory/access/hit_counter.h"

#include <functional>

namespace asahi::memory {

std::size_t HitCounter::Hash::operator()(const Key& key) const {
  const std::hash<std::string_view> hash;
  std::size_t out = hash(key.conversation_id);
  for (const std::string* part : {&key.system_id, &key.tenant})
    out = out * 0x9E3779B97F4A7C15ULL + hash(*part);
  return out;
}

void HitCounter::add(const Key& key, std::uint64_t hits) {
  if (const auto known = hits_.find(key); known != hits_.end()) {
    known->second += hits;
  } else if (hits_.size() < limits_.memories) {
    hits_.emplace(key, hits);
  } else {
    lost_ += hits;
  }
}

void HitCounter::count(const std::vector<Key>& keys) {
  for (const Key& key : keys) add(key, 1);
}

void HitCounter::returned(const std::string& answer, std::vector<Key> keys) {
  const auto shared = std::make_shared<const std::vector<Key>>(std::move(keys));
  const std::scoped_lock lock(mutex_);
  count(*shared);
  if (answer.empty() || limits_.answers == 0) return;
  if (!answers_.insert_or_assign(answer, shared).second) return;
  oldest_.push_back(answer);
  if (oldest_.size() <= limits_.answers) return;
  answers_.erase(oldest_.front());
  oldest_.pop_front();
}

void HitCounter::returned_again(const std::string& answer) {
  const std::scoped_lock lock(mutex_);
  if (const auto known = answers_.find(answer); known != answers_.end()) count(*known->second);
}

HitCounter::Taken HitCounter::take() {
  const std::scoped_lock lock(mutex_);
  Taken out;
  out.lost = std::exchange(lost_, 0);
  out.hits.assign(hits_.begin(), hits_.end());
  hits_.clear();
  return out;
}

void HitCounter::put_back(Taken taken) {
  const std::scoped_lock lock(mutex_);
  lost_ += taken.lost;
  for (const auto& [key, hits] : taken.hits) add(key, hits);
}

}  // namespace asahi::memory
