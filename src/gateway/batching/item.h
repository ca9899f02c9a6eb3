#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/money.h"
#include "base/result.h"
#include "llm/message.h"

namespace asahi::gateway {

/// One request that waits to share a vendor call, with all that whoever makes that call needs.
/// Holds no keys: they are looked up by organisation where the call is made.
struct BatchItem {
  std::string id;      ///< of this one wait; never used twice
  std::string origin;  ///< the worker that holds the caller
  std::string group;   ///< only items of one group share a call
  std::string org;
  std::string owner;  ///< whose request it is: key and user; empty where nobody is told apart
  std::string model;  ///< registry name
  std::string system;
  std::string prompt;
  std::optional<double> temperature, top_p;
  std::int64_t max_tokens = 0;
  std::string request_id, traceparent;
  std::chrono::milliseconds wait{0};  ///< how long it may wait for others
  /// Time since it was put in, by the buffer's clock; set by `BatchBuffer::take`.
  std::chrono::milliseconds age{0};
};

/// What came of an item.
struct BatchReply {
  std::string id;
  bool answered = false;  ///< false: its caller goes alone
  std::string text;       ///< the answer, or why it goes alone
  std::size_t size = 0;   ///< requests in the shared call; 0: there was none
  bool mixed_owners = false;
  /// The item's part of what the shared call used and cost, also when it got no answer from it. The
  /// parts of all items add up to the whole exactly.
  llm::Usage usage;
  NanoUsd cost;
  double vendor_ms = 0;
};

/// The forms that travel between workers. Errors: corrupt.
std::string to_json(const BatchItem& item);
Result<BatchItem> batch_item_from_json(std::string_view text);
std::string to_json(const BatchReply& reply);
Result<BatchReply> batch_reply_from_json(std::string_view text);

}  // namespace asahi::gateway
