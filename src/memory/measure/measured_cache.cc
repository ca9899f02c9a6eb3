#include "memory/measure/measured_cache.h"

namespace asahi::memory {

template <class T>
Task<T> MeasuredCache::watched(Task<T> call) const {
  auto done = co_await std::move(call);
  if (!done) count_error(metrics_, clock_, Part::kCacheLayer, done.error());
  co_return done;
}

Task<std::optional<cache::Bytes>> MeasuredCache::get(std::string key) {
  return watched(store_.get(std::move(key)));
}
Task<void> MeasuredCache::set(std::string key, cache::Bytes value, std::chrono::milliseconds ttl) {
  return watched(store_.set(std::move(key), std::move(value), ttl));
}
Task<bool> MeasuredCache::set_if_absent(std::string key, cache::Bytes value,
                                        std::chrono::milliseconds ttl) {
  return watched(store_.set_if_absent(std::move(key), std::move(value), ttl));
}
Task<std::uint64_t> MeasuredCache::erase(std::vector<std::string> keys) {
  return watched(store_.erase(std::move(keys)));
}
Task<std::int64_t> MeasuredCache::add(std::string key, std::int64_t by,
                                      std::chrono::milliseconds ttl) {
  return watched(store_.add(std::move(key), by, ttl));
}
Task<void> MeasuredCache::scan(std::string prefix,
                               std::function<bool(std::vector<cache::Entry>)> visit) {
  return watched(store_.scan(std::move(prefix), std::move(visit)));
}
Task<std::uint64_t> MeasuredCache::erase_prefix(std::string prefix) {
  return watched(store_.erase_prefix(std::move(prefix)));
}

}  // namespace asahi::memory
