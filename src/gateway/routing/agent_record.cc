#include "gateway/routing/agent_record.h"

#include <algorithm>

#include "gateway/routing/multifactor.h"

namespace asahi::gateway {

std::string AgentRecord::key_of(std::string_view org, std::string_view agent,
                                std::string_view model) {
  std::string key;
  key.reserve(org.size() + agent.size() + model.size() + 2);
  key.append(org).append(1, '\x1f').append(agent).append(1, '\x1f').append(model);
  return key;
}

double AgentRecord::shift(std::string_view org, std::string_view agent,
                          std::string_view model) const {
  const std::string key = key_of(org, agent, model);
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(key);
  if (found == seen_.end() || found->second.count < kEnough) return 0;
  const double mean = found->second.sum / static_cast<double>(found->second.count);
  return std::clamp(mean, -kMostShift, kMostShift);
}

void AgentRecord::observe(std::string_view org, std::string_view agent, std::string_view model,
                          double found, double expected) {
  if (agent.empty()) return;
  // A model's profile has no more than 0.2 to gain or lose, so one absurd value must not outweigh
  // the others for long.
  const auto difference = static_cast<float>(std::clamp((found - expected) / 5, -1.0, 1.0));
  std::string key = key_of(org, agent, model);
  const std::scoped_lock lock(mutex_);
  auto entry = seen_.find(key);
  if (entry == seen_.end()) {
    if (seen_.size() >= most_) {
      seen_.erase(ages_.back());
      ages_.pop_back();
    }
    ages_.push_front(key);
    entry = seen_.emplace(std::move(key), Seen{}).first;
    entry->second.age = ages_.begin();
  } else {
    ages_.splice(ages_.begin(), ages_, entry->second.age);
  }
  Seen& seen = entry->second;
  if (seen.count == kKept) {
    seen.sum -= static_cast<double>(seen.differences[seen.next]);
  } else {
    ++seen.count;
  }
  seen.differences[seen.next] = difference;
  seen.sum += static_cast<double>(difference);
  seen.next = (seen.next + 1) % kKept;
}

}  // namespace asahi::gateway
