#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memory/measure/errors.h"
#include "storage/cache/store.h"

namespace asahi::memory {

/// A shared cache whose errors are counted (component cache_layer): whoever asks it takes them for
/// misses. Any loop.
class MeasuredCache final : public cache::Store {
 public:
  /// All outlive it.
  MeasuredCache(cache::Store& store, telemetry::Registry& metrics, const Clock& clock)
      : store_(store), metrics_(metrics), clock_(clock) {}

  std::string_view backend() const override { return store_.backend(); }
  std::optional<std::optional<cache::Bytes>> try_get(std::string_view key) override {
    return store_.try_get(key);
  }
  Task<std::optional<cache::Bytes>> get(std::string key) override;
  Task<void> set(std::string key, cache::Bytes value, std::chrono::milliseconds ttl) override;
  Task<bool> set_if_absent(std::string key, cache::Bytes value,
                           std::chrono::milliseconds ttl) override;
  Task<std::uint64_t> erase(std::vector<std::string> keys) override;
  Task<std::int64_t> add(std::string key, std::int64_t by, std::chrono::milliseconds ttl) override;
  Task<void> scan(std::string prefix,
                  std::function<bool(std::vector<cache::Entry>)> visit) override;
  Task<std::uint64_t> erase_prefix(std::string prefix) override;
  Task<std::uint64_t> sweep() override { return store_.sweep(); }
  Task<cache::Stats> stats() override { return store_.stats(); }
  Task<void> ping() override { return store_.ping(); }

 private:
  template <class T>
  Task<T> watched(Task<T> call) const;

  cache::Store& store_;
  telemetry::Registry& metrics_;
  const Clock& clock_;
};

}  // namespace asahi::memory
