#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "memory/cold/tier.h"

namespace asahi::memory::cold {

/// Equal searches are one scan: those that come while it is under way wait for its answer, and
/// those that come later get it as long as nothing has changed. Bounded; any loop.
class SharedSearches {
 public:
  using Answer = std::shared_ptr<const Result<ColdPage>>;
  /// `most_bytes`: of answers that are kept.
  explicit SharedSearches(std::uint64_t most_bytes) : most_(most_bytes) {}

  /// The answer to what `key` names (search_key), or what `search` gives. One that is not complete
  /// is nobody else's: its time was another's, or something was away.
  Aw<Answer> ask(std::string key, std::function<Task<ColdPage>()> search);

 private:
  struct Flight {
    Answer answer;  ///< null: under way
    std::vector<std::move_only_function<void()>> waiters;
  };
  struct Kept {
    std::string key;
    Answer answer;
    std::uint64_t bytes = 0;
  };
  Aw<void> landed(std::shared_ptr<Flight> flight);
  void keep(const std::string& key, const Answer& answer);

  const std::uint64_t most_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  std::list<Kept> kept_;  ///< asked for last first
  std::unordered_map<std::string, std::list<Kept>::iterator> index_;
  std::uint64_t bytes_ = 0;
};

/// What was asked, of what: two searches have one key exactly if they have one answer. `version`:
/// that of the tenant's files (ColdTier::version).
std::string search_key(const StoreQuery& query, std::uint64_t version);

}  // namespace asahi::memory::cold
