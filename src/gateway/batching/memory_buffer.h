#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "gateway/batching/buffer.h"

namespace asahi::gateway {

/// Items of this process. Thread-safe.
class MemoryBatchBuffer final : public BatchBuffer {
 public:
  /// `clock` outlives the buffer.
  MemoryBatchBuffer(std::size_t max_items, const Clock& clock);

  std::string_view backend() const override { return "memory"; }
  Task<void> push(BatchItem item) override;
  Task<bool> remove(std::string group, std::string id) override;
  Task<std::vector<GroupState>> groups() override;
  Task<std::vector<BatchItem>> take(std::string group, std::size_t most) override;
  Task<std::vector<BatchReply>> finish(std::vector<Finished> finished) override;
  Task<std::vector<BatchReply>> collect() override;
  Task<std::size_t> maintain() override;

 private:
  struct Waiting {
    BatchItem item;
    Clock::Steady since;
  };
  std::chrono::milliseconds age(const Waiting& waiting) const;

  const std::size_t max_items_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::deque<Waiting>> groups_;
  std::unordered_set<std::string> ids_;  ///< waiting or taken
};

}  // namespace asahi::gateway
