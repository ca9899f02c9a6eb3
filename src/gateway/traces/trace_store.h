#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/traces/trace_record.h"

namespace asahi::gateway {

/// The last calls of every organisation, in memory. When all of them together take too much, the
/// organisation with the most loses its oldest. Thread-safe; what it gives out is never changed.
class TraceStore {
 public:
  struct Options {
    std::size_t kept_per_org = 2'000;
    std::size_t max_bytes = 32 * 1024 * 1024;
  };
  explicit TraceStore(Options options) : options_(options) {}

  using Record = std::shared_ptr<const TraceRecord>;
  /// Sets its position.
  void add(std::shared_ptr<TraceRecord> record);

  struct Filter {
    std::optional<bool> failed;
    std::string model;  ///< empty: any
    double min_latency_ms = 0;
    bool takes(const TraceRecord& record) const;
  };
  struct Page {
    std::vector<Record> records;
    bool more = false;
    std::size_t kept = 0;  ///< of the organisation, whatever the filter
  };
  /// Newest first, those before position `before`.
  Page newest(const std::string& org, const Filter& filter, std::size_t limit,
              std::uint64_t before = std::numeric_limits<std::uint64_t>::max()) const;

  struct News {
    std::vector<Record> records;  ///< oldest first
    std::uint64_t last = 0;       ///< the position to go on from
    std::uint64_t missed = 0;     ///< came and went, or were more than `limit`
  };
  /// What came after position `after`; at most the newest `limit` of it.
  News after(const std::string& org, const Filter& filter, std::size_t limit,
             std::uint64_t after) const;
  /// The position of the organisation's last call; 0: none.
  std::uint64_t last(const std::string& org) const;

  /// Forgets calls that began before `time`.
  void drop_before(Clock::Time time);
  /// Forgets a user's calls.
  void forget_user(const std::string& org, std::string_view user);

  /// The calls with this trace id or request id, newest first.
  std::vector<Record> find(const std::string& org, std::string_view id) const;

 private:
  struct Org {
    std::deque<Record> records;
    std::size_t bytes = 0;
    std::uint64_t last = 0;
  };
  void drop_oldest(Org& org);

  const Options options_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Org> orgs_;
  std::size_t bytes_ = 0;
};

}  // namespace asahi::gateway
