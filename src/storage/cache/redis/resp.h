#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::cache {

/// One value of the Redis protocol, RESP2 or RESP3.
struct Reply {
  enum class Type {
    kNull,
    kBoolean,    ///< `integer` is 0 or 1
    kInteger,    ///< `integer`
    kDouble,     ///< `number`
    kBigNumber,  ///< decimal digits in `text`
    kSimple,     ///< `text`
    kBulk,       ///< `text`, any bytes
    kVerbatim,   ///< `text` without its three-letter format
    kError,      ///< `text`: "WRONGTYPE Operation against …"
    kArray,      ///< `items`
    kSet,        ///< `items`
    kMap,        ///< `items`: key, value, key, value, …
    kPush,       ///< `items`; out of band, answers no command
  };
  Type type = Type::kNull;
  std::string text;
  std::int64_t integer = 0;
  double number = 0;
  std::vector<Reply> items;

  bool is_null() const { return type == Type::kNull; }
  bool is_error() const { return type == Type::kError; }
  /// The value beside `key` in a map, or in a RESP2 array that stands for one; null when absent.
  const Reply* find(std::string_view key) const;
};

/// Bounds on one reply: a peer that breaks them is cut off rather than served with memory.
struct RespLimits {
  std::size_t max_bytes = 64 << 20;  ///< text of one reply, all its items together
  std::size_t max_items = 1 << 20;   ///< items of one reply, all levels together
  std::size_t max_depth = 32;        ///< aggregates within aggregates
  std::size_t max_line = 64 << 10;   ///< length lines, numbers, simple strings and errors
};

/// Reads replies from bytes that arrive in any portions. Knows all types of RESP2 and RESP3,
/// streamed strings and aggregates included; attributes are read and dropped, as nothing here uses
/// them. No sockets, not thread-safe. Source: the RESP3 specification (redis-specifications,
/// RESP3.md).
class RespParser {
 public:
  explicit RespParser(RespLimits limits = {}) : limits_(limits) {}

  /// Takes bytes off the front of `input`. A value: one whole reply (call again while `input` is
  /// not empty); empty: all was taken and more is needed. Errors: upstream (not RESP, or beyond the
  /// limits) — the stream is then out of step for good and every later call fails too.
  Result<std::optional<Reply>> parse(std::string_view& input);

 private:
  enum class State { kLine, kBulk, kBulkEnd, kFailed };
  struct Frame {
    Reply value;
    std::uint64_t left = 0;  ///< items still to come; unused when streamed
    bool streamed = false;
    bool attribute = false;
  };

  Result<void> take_line(std::string_view line);
  Result<void> open_aggregate(Reply::Type type, std::string_view count_text, bool pairs,
                              bool attribute);
  Result<void> open_bulk(Reply::Type type, std::string_view length_text);
  Result<void> close_streamed();
  Result<void> count_bytes(std::uint64_t size);
  Result<void> complete(Reply value);
  Result<void> finish_bulk();

  RespLimits limits_;
  State state_ = State::kLine;
  std::string line_;              ///< the part of a line that has arrived
  Reply bulk_;                    ///< the string being read
  std::uint64_t bulk_left_ = 0;   ///< bytes it still lacks
  std::size_t bulk_end_ = 0;      ///< bytes of its CR LF already seen
  bool streamed_string_ = false;  ///< `bulk_` comes in chunks
  std::vector<Frame> frames_;
  std::size_t bytes_used_ = 0;
  std::size_t items_used_ = 0;
  std::optional<Reply> done_;
};

/// Appends one command (an array of bulk strings) as it goes over the wire.
void append_command(std::string& out, std::span<const std::string_view> args);

}  // namespace asahi::cache
