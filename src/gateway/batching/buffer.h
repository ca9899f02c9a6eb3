#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "gateway/batching/flush_rule.h"
#include "gateway/batching/item.h"

namespace asahi::gateway {

/// Where items wait for each other: in this process, or in Redis for several workers. An item is
/// put in, taken by one worker, and finished by it; one contract suite runs over both. Callable
/// from any loop. Errors: unavailable, timeout (Redis is away: whoever asked goes on alone).
class BatchBuffer {
 public:
  virtual ~BatchBuffer() = default;
  virtual std::string_view backend() const = 0;  ///< "memory" or "redis"

  /// Errors: conflict (an item of that id is in there already), too_large (the buffer is full).
  virtual Task<void> push(BatchItem item) = 0;
  /// True: the item was still waiting and is gone now. False: somebody has taken it. For items that
  /// this worker has put in.
  virtual Task<bool> remove(std::string group, std::string id) = 0;
  /// Every group in which items wait to be taken.
  virtual Task<std::vector<GroupState>> groups() = 0;
  /// The oldest `most` waiting items of a group, in order; no two takers get the same one.
  virtual Task<std::vector<BatchItem>> take(std::string group, std::size_t most) = 0;

  /// An item that this worker has taken, and what came of it.
  struct Finished {
    BatchItem item;
    BatchReply reply;
  };
  /// Ends the items, and sends the replies to the workers whose they are. Gives back those that are
  /// for this worker itself. An item that was given up meanwhile (see `maintain`) is left out: its
  /// caller has been told already.
  virtual Task<std::vector<BatchReply>> finish(std::vector<Finished> finished) = 0;
  /// Replies that other workers have sent to this one.
  virtual Task<std::vector<BatchReply>> collect() = 0;
  /// To be called about every 250 ms: holds on to what this worker has taken, and sends the callers
  /// of items that others took and let lie (they crashed) on their own way. How many those were.
  virtual Task<std::size_t> maintain() = 0;
};

}  // namespace asahi::gateway
