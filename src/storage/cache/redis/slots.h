#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/cache/redis/resp.h"

namespace asahi::cache {

inline constexpr std::uint16_t kSlotCount = 16'384;

/// The cluster slot of a key: CRC-16/XMODEM of its hash tag (the text between the first '{' and the
/// next '}', when not empty), else of the whole key. Source: Redis cluster specification.
std::uint16_t key_slot(std::string_view key);

/// Where a command has its (first) key; empty for commands without one, which any node may answer.
std::optional<std::size_t> key_position(std::span<const std::string_view> args);

/// True for commands that would take a shared, pipelined connection out of step or change its state
/// for the others: SUBSCRIBE and its kin, MONITOR, MULTI, WATCH, SELECT, blocking pops, …, and
/// none.
bool needs_own_connection(std::span<const std::string_view> args);

struct NodeAddress {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const NodeAddress&) const = default;
};

/// "MOVED 3999 10.0.0.1:6381" or "ASK …".
struct Redirect {
  enum class Kind { kMoved, kAsk };
  Kind kind = Kind::kMoved;
  std::uint16_t slot = 0;
  NodeAddress to;
};
/// Empty when the error is not a redirect. A redirect without a host means the host that was asked.
std::optional<Redirect> parse_redirect(std::string_view error, std::string_view asked_host);

/// Which primary serves which slot.
class SlotMap {
 public:
  SlotMap() : owner_(kSlotCount, kNobody) {}

  /// From CLUSTER SHARDS (Redis 7). Nodes that name no host are at `asked_host`. Errors: upstream.
  static Result<SlotMap> from_shards(const Reply& reply, std::string_view asked_host, bool tls);
  /// From CLUSTER SLOTS (before Redis 7).
  static Result<SlotMap> from_slots(const Reply& reply, std::string_view asked_host);

  /// Null while nobody serves the slot.
  const NodeAddress* find(std::uint16_t slot) const;
  void assign(std::uint16_t first, std::uint16_t last, const NodeAddress& node);
  /// Each primary that serves a slot, once.
  std::vector<NodeAddress> primaries() const;

 private:
  static constexpr std::uint16_t kNobody = 0xFFFF;
  std::vector<NodeAddress> nodes_;
  std::vector<std::uint16_t> owner_;  ///< index into nodes_ by slot
};

}  // namespace asahi::cache
