#include "memory/events/hub.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::memory {
namespace {

constexpr std::size_t kMostChannels = 100;
constexpr std::string_view kPatterns = "patterns:";

bool is_category(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
}

bool may_hear(const Reach& reach, const HubEvent& event) {
  if (reach.is_whole()) return true;
  return !event.systems.empty() &&
         std::ranges::all_of(event.systems,
                             [&](const std::string& system) { return reach.has(system); });
}

}  // namespace

Result<void> check_channel(std::string_view channel) {
  if (channel == "anomalies" || channel == "insights" || channel == "metrics") return {};
  if (channel.starts_with(kPatterns) && is_category(channel.substr(kPatterns.size()))) return {};
  return fail_field("channel",
                    fmt::format("'{}' is no channel; there are anomalies, insights, metrics and "
                                "patterns:{{category}} (1 to 64 of A-Z a-z 0-9 _ - .)",
                                channel.substr(0, 80)));
}

Hub::Subscriber::~Subscriber() { hub_.leave(*this); }

Result<bool> Hub::Subscriber::subscribe(std::string channel) {
  if (auto ok = check_channel(channel); !ok) return std::unexpected(ok.error());
  const std::scoped_lock lock(hub_.mutex_);
  if (channels_.contains(channel)) return false;
  if (channels_.size() >= kMostChannels)
    return fail(Errc::kTooLarge,
                fmt::format("a connection has {} channels at most", kMostChannels));
  channels_.insert(std::move(channel));
  return true;
}

bool Hub::Subscriber::unsubscribe(std::string_view channel) {
  const std::scoped_lock lock(hub_.mutex_);
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return false;
  channels_.erase(found);
  return true;
}

std::vector<HubEvent> Hub::Subscriber::take() {
  const std::scoped_lock lock(hub_.mutex_);
  std::vector<HubEvent> all(std::make_move_iterator(waiting_.begin()),
                            std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  return all;
}

std::uint64_t Hub::Subscriber::take_lost() {
  const std::scoped_lock lock(hub_.mutex_);
  return std::exchange(lost_, 0);
}

std::unique_ptr<Hub::Subscriber> Hub::join(Reach reach, std::function<void()> wake) {
  std::unique_ptr<Subscriber> made(new Subscriber(*this, std::move(reach), std::move(wake)));
  const std::scoped_lock lock(mutex_);
  by_tenant_.emplace(made->reach_.tenant(), made.get());
  subscribers_.fetch_add(1, std::memory_order_relaxed);
  return made;
}

void Hub::leave(Subscriber& subscriber) {
  const std::scoped_lock lock(mutex_);
  const auto [first, last] = by_tenant_.equal_range(subscriber.reach_.tenant());
  const auto found =
      std::find_if(first, last, [&](const auto& item) { return item.second == &subscriber; });
  if (found == last) return;
  by_tenant_.erase(found);
  subscribers_.fetch_sub(1, std::memory_order_relaxed);
}

bool Hub::is_heard(std::string_view tenant, std::string_view channel) const {
  if (subscribers() == 0) return false;
  const std::scoped_lock lock(mutex_);
  const auto [first, last] = by_tenant_.equal_range(tenant);
  return std::any_of(first, last,
                     [&](const auto& item) { return item.second->channels_.contains(channel); });
}

void Hub::publish(std::string_view tenant, std::string_view channel, std::string_view name,
                  json::object data, std::vector<std::string> systems) {
  const HubEvent event{.channel = std::string(channel),
                       .name = std::string(name),
                       .data = std::make_shared<const std::string>(json::serialize(data)),
                       .at = clock_.now(),
                       .systems = std::move(systems)};
  published_.fetch_add(1, std::memory_order_relaxed);
  const std::scoped_lock lock(mutex_);
  const Place place(tenant, channel);
  auto kept = recent_.find(place);
  if (kept == recent_.end()) {
    if (recent_order_.size() >= options_.recent_channels) {
      recent_.erase(recent_order_.front());
      recent_order_.pop_front();
    }
    kept = recent_.emplace(place, std::deque<HubEvent>{}).first;
    recent_order_.push_back(place);
  }
  kept->second.push_back(event);
  if (kept->second.size() > options_.recent) kept->second.pop_front();

  const auto [first, last] = by_tenant_.equal_range(tenant);
  for (auto at = first; at != last; ++at) {
    Subscriber& subscriber = *at->second;
    if (!subscriber.channels_.contains(channel) || !may_hear(subscriber.reach_, event)) continue;
    if (subscriber.waiting_.size() >= options_.queue) {
      subscriber.waiting_.pop_front();
      ++subscriber.lost_;
    }
    subscriber.waiting_.push_back(event);
    if (subscriber.waiting_.size() == 1) subscriber.wake_();
  }
}

std::vector<HubEvent> Hub::recent(const Reach& reach, std::string_view channel,
                                  std::size_t most) const {
  std::vector<HubEvent> found;
  const bool prefix = channel.ends_with(':');
  const std::scoped_lock lock(mutex_);
  for (auto at = recent_.lower_bound(Place(reach.tenant(), channel)); at != recent_.end(); ++at) {
    const auto& [of, name] = at->first;
    if (of != reach.tenant() || (prefix ? !name.starts_with(channel) : name != channel)) break;
    std::ranges::copy_if(at->second, std::back_inserter(found),
                         [&](const HubEvent& event) { return may_hear(reach, event); });
  }
  std::ranges::sort(found, std::greater{}, &HubEvent::at);
  if (found.size() > most) found.resize(most);
  return found;
}

std::vector<std::string> Hub::tenants(std::size_t most) const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> all;
  for (auto at = by_tenant_.begin(); at != by_tenant_.end() && all.size() < most;
       at = by_tenant_.upper_bound(at->first))
    all.push_back(at->first);
  return all;
}

}  // namespace asahi::memory
