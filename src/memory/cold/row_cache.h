#pragma once

#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "memory/cold/search_rows.h"

namespace asahi::memory::cold {

/// Rows of cold files, ready for searches, in bounded memory. What is not there is read on `work`;
/// of several searches that want the same rows one reads them. A search over more files than fit
/// would push out each of them before it comes again, so what was used in the last `kFresh` stays
/// and the rest of such a search is read and forgotten. Thread-safe.
class RowCache {
 public:
  using Rows = std::shared_ptr<const SearchRows>;
  using Loading = std::shared_future<Result<Rows>>;
  static constexpr std::chrono::seconds kFresh{30};

  /// `clock`, `work` outlive it; `work` is joined before it goes.
  RowCache(std::uint64_t most_bytes, const Clock& clock, boost::asio::thread_pool& work)
      : most_(most_bytes), clock_(clock), work_(work) {}

  /// The rows called `name`, or what `load` makes of them on another thread. Errors: those of
  /// `load`, which are not kept.
  Loading get(const std::string& name, std::function<Result<Rows>()> load);

  std::uint64_t bytes() const;

 private:
  struct Kept {
    std::string name;
    Loading rows;
    std::uint64_t bytes = 0;
    Clock::Steady used;
  };
  void keep(const std::string& name, const Result<Rows>& rows);

  const std::uint64_t most_;
  const Clock& clock_;
  boost::asio::thread_pool& work_;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;  ///< used last first
  std::unordered_map<std::string, std::list<Kept>::iterator> index_;
  std::unordered_map<std::string, Loading> loading_;
  std::uint64_t bytes_ = 0;
};

}  // namespace asahi::memory::cold
