#include "identity/secrets/secret_source.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/hash.h"

namespace asahi::identity {

SecretSource::SecretSource(const Clock& clock, std::chrono::seconds overlap, Values initial)
    : clock_(clock), overlap_(overlap) {
  for (auto& [name, value] : initial) {
    if (!value.empty()) entries_[name].current = std::move(value);
  }
}

Secret SecretSource::get(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = entries_.find(name);
  return at == entries_.end() ? Secret() : at->second.current;
}

std::vector<Secret> SecretSource::accepted(std::string_view name) const {
  const auto now = clock_.steady_now();
  std::vector<Secret> all;
  const std::shared_lock lock(mutex_);
  const auto at = entries_.find(name);
  if (at == entries_.end()) return all;
  all.push_back(at->second.current);
  for (const Replaced& old : at->second.replaced) {
    if (now < old.until) all.push_back(old.value);
  }
  return all;
}

bool SecretSource::matches(std::string_view name, std::string_view candidate) const {
  // Digests are compared, so that not even the length of the secret shows.
  const Digest256 given = sha256(candidate);
  const auto view = [](const Digest256& digest) {
    return std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  bool any = false;
  for (const Secret& value : accepted(name)) {
    const Digest256 wanted = sha256(value.reveal());
    any |= equal_constant_time(view(given), view(wanted));
  }
  return any;
}

SecretSource::Names SecretSource::update(const Values& values) {
  const auto now = clock_.steady_now();
  Names changed;
  std::vector<Listener> listeners;
  {
    const std::unique_lock lock(mutex_);
    for (const auto& [name, value] : values) {
      const auto at = entries_.find(name);
      if (value.empty()) {
        if (at == entries_.end()) continue;
        entries_.erase(at);
      } else if (at == entries_.end()) {
        entries_[name].current = value;
      } else {
        Entry& entry = at->second;
        if (entry.current == value) continue;
        entry.replaced.push_front({std::exchange(entry.current, value), now + overlap_});
        std::erase_if(entry.replaced,
                      [&](const Replaced& old) { return old.until <= now || old.value == value; });
        if (entry.replaced.size() >= kMaxAccepted) entry.replaced.resize(kMaxAccepted - 1);
      }
      changed.push_back(name);
    }
    listeners = listeners_;
  }
  if (!changed.empty()) {
    for (const Listener& listener : listeners) listener(changed);
  }
  return changed;
}

void SecretSource::on_change(Listener listener) {
  const std::unique_lock lock(mutex_);
  listeners_.push_back(std::move(listener));
}

std::vector<Secret> secret_list(std::string_view text) {
  std::vector<Secret> items;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(std::string(item));
  }
  return items;
}

Result<KeyRing> encryption_ring(const SecretSource& secrets, KeyRing::Options options) {
  const auto keys = secrets.accepted("ASAHI_ENCRYPTION_KEY");
  std::string previous;
  for (std::size_t i = 1; i < keys.size(); ++i) previous += keys[i].reveal() + ",";
  previous += secrets.get("ASAHI_ENCRYPTION_KEY_PREVIOUS").reveal();
  return KeyRing::parse(keys.empty() ? Secret() : keys.front(), Secret(std::move(previous)),
                        options);
}

}  // namespace asahi::identity
