#pragma once

#include <chrono>
#include <string_view>

namespace asahi::stream {

/// Where a process publishes messages for others to read. Thread-safe.
class MessageStream {
 public:
  virtual ~MessageStream() = default;
  /// Takes a copy into a bounded buffer and returns at once. False: the buffer is full and the
  /// message is lost (and counted). Messages of one key arrive in the order they were offered.
  virtual bool offer(std::string_view key, std::string_view value) = 0;
  /// Waits until everything offered has arrived, at most `limit`; ordinary thread.
  virtual bool flush(std::chrono::milliseconds limit) = 0;
};

}  // namespace asahi::stream
