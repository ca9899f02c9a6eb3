#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "memory/search/request.h"

namespace asahi::memory {

/// A search, whose it is and how often it was asked of late. The request has with it what its
/// caller could see (`filter.systems_allowed`): asked again, it sees just that.
struct FrequentSearch {
  std::string tenant;
  std::string id;  ///< the same for requests that must have the same answer
  SearchRequest request;
  std::uint64_t asks = 0;
};

/// What is asked most, tenant by tenant, within the last day: counted by periods of six hours, of
/// which the last four count. Bounded: a tenant that asks much pushes out its own searches only,
/// the tenant that has not asked for longest goes when there are too many. Thread-safe; one look-up
/// under a lock per search.
class FrequentSearches {
 public:
  static constexpr std::chrono::hours kPeriod{6};
  static constexpr std::size_t kPeriods = 4;
  struct Limits {
    std::size_t tenants = 200;
    std::size_t of_tenant = 200;
  };
  FrequentSearches() = default;
  explicit FrequentSearches(Limits limits) : limits_(limits) {}

  void note(std::string_view tenant, std::string_view id, const SearchRequest& request,
            Clock::Time now);
  /// Asked most first, at most `most` of each tenant; of this tenant, or of all.
  std::vector<FrequentSearch> top(const std::optional<std::string>& tenant, std::size_t most,
                                  Clock::Time now) const;
  /// The same with what was asked since the last call instead of all: for who keeps it. Searches
  /// that were asked once wait until they are asked again.
  std::vector<FrequentSearch> take_unsaved(std::size_t most, Clock::Time now);
  /// What was kept, as if it had been asked now.
  void restore(std::vector<FrequentSearch> kept, Clock::Time now);

  /// The number of a time's period.
  static std::int64_t period_of(Clock::Time time);

 private:
  struct Entry {
    SearchRequest request;
    std::array<std::uint32_t, kPeriods> asks{};  ///< of period `last`, of the one before, …
    std::int64_t last = 0;
    std::uint64_t unsaved = 0;

    void turn_to(std::int64_t period);
    std::uint64_t asks_at(std::int64_t period) const;
  };
  struct Tenant {
    std::unordered_map<std::string, Entry> searches;
    std::int64_t turn = 0;  ///< of its last search, among all
  };
  Tenant& tenant_of(std::string_view name);
  void make_room(Tenant& tenant, std::int64_t period) const;

  const Limits limits_;
  mutable std::mutex mutex_;
  std::map<std::string, Tenant, std::less<>> tenants_;
  std::int64_t turns_ = 0;
};

}  // namespace asahi::memory
