#include "storage/cache/redis/slots.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace asahi::cache {
namespace {

constexpr std::array<std::uint16_t, 256> make_crc_table() {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

bool equals(std::string_view text, std::string_view upper) {
  return std::ranges::equal(text, upper, [](char a, char b) {
    return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
  });
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view name) { return equals(text, name); });
}

bool read_port(std::string_view text, std::uint16_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::unexpected<Error> unreadable(std::string_view what) {
  return fail(Errc::kUpstream, "Redis described its cluster in an unknown form: " +
                                   std::string(what) + "; Redis 3 to 7 are supported");
}

bool read_slot(const Reply& reply, std::uint16_t& out) {
  if (reply.type != Reply::Type::kInteger || reply.integer < 0 || reply.integer >= kSlotCount) {
    return false;
  }
  out = static_cast<std::uint16_t>(reply.integer);
  return true;
}

std::string host_or(const Reply* host, std::string_view asked_host) {
  const bool named = host != nullptr && !host->text.empty() && host->text != "?";
  return named ? host->text : std::string(asked_host);
}

/// The shard's reachable primary, from its "nodes" of CLUSTER SHARDS.
std::optional<NodeAddress> primary_of(const Reply& nodes, std::string_view asked_host, bool tls) {
  for (const Reply& node : nodes.items) {
    const Reply* const role = node.find("role");
    const Reply* const health = node.find("health");
    const Reply* const port = node.find(tls ? "tls-port" : "port");
    if (role == nullptr || role->text != "master" || port == nullptr || port->integer <= 0 ||
        port->integer > 65'535 || (health != nullptr && health->text != "online")) {
      continue;
    }
    return NodeAddress{host_or(node.find("endpoint"), asked_host),
                       static_cast<std::uint16_t>(port->integer)};
  }
  return std::nullopt;
}

}  // namespace

std::uint16_t key_slot(std::string_view key) {
  if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  std::uint16_t crc = 0;
  for (const char c : key) {
    crc = static_cast<std::uint16_t>(
        (crc << 8) ^ kCrcTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xFF]);
  }
  return crc % kSlotCount;
}

std::optional<std::size_t> key_position(std::span<const std::string_view> args) {
  if (args.size() < 2) return std::nullopt;
  const std::string_view name = args[0];
  if (one_of(name, {"GET", "SET", "UNLINK", "DEL"})) return 1;  // nearly all traffic
  if (one_of(name, {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})) {
    if (args.size() < 4 || args[2] == "0") return std::nullopt;
    return 3;
  }
  if (one_of(name, {"PING",   "ECHO",     "INFO",     "DBSIZE",  "SCAN",     "TIME",
                    "SCRIPT", "CLUSTER",  "CONFIG",   "CLIENT",  "PUBLISH",  "PUBSUB",
                    "KEYS",   "FLUSHDB",  "FLUSHALL", "DEBUG",   "COMMAND",  "ACL",
                    "ROLE",   "WAIT",     "LATENCY",  "SLOWLOG", "FUNCTION", "MODULE",
                    "SWAPDB", "LASTSAVE", "SAVE",     "BGSAVE",  "LOLWUT",   "RANDOMKEY"})) {
    return std::nullopt;
  }
  if (one_of(name, {"XREAD", "XREADGROUP"})) {
    const auto streams =
        std::ranges::find_if(args, [](std::string_view arg) { return equals(arg, "STREAMS"); });
    if (streams == args.end() || streams + 1 == args.end()) return std::nullopt;
    return static_cast<std::size_t>(streams - args.begin()) + 1;
  }
  if (one_of(name, {"OBJECT", "XGROUP", "XINFO", "MEMORY", "BITOP", "ZUNION", "ZINTER", "ZDIFF",
                    "LMPOP", "ZMPOP", "SINTERCARD", "ZINTERCARD"})) {
    return args.size() > 2 ? std::optional<std::size_t>(2) : std::nullopt;
  }
  return 1;
}

bool needs_own_connection(std::span<const std::string_view> args) {
  if (args.empty()) return true;  // Redis answers an empty command with nothing at all
  if (one_of(args[0], {"GET", "SET", "UNLINK", "EVALSHA"})) return false;
  if (one_of(args[0], {"SUBSCRIBE",    "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
                       "SUNSUBSCRIBE", "MONITOR",    "SYNC",       "PSYNC",       "HELLO",
                       "AUTH",         "RESET",      "QUIT",       "SELECT",      "MULTI",
                       "EXEC",         "DISCARD",    "WATCH",      "UNWATCH",     "ASKING",
                       "READONLY",     "READWRITE",  "BLPOP",      "BRPOP",       "BLMOVE",
                       "BRPOPLPUSH",   "BLMPOP",     "BZPOPMIN",   "BZPOPMAX",    "BZMPOP"})) {
    return true;
  }
  if (equals(args[0], "CLIENT")) {
    return args.size() > 1 && one_of(args[1], {"REPLY", "TRACKING", "CACHING"});
  }
  return one_of(args[0], {"XREAD", "XREADGROUP"}) &&
         std::ranges::any_of(args, [](std::string_view arg) { return equals(arg, "BLOCK"); });
}

std::optional<Redirect> parse_redirect(std::string_view error, std::string_view asked_host) {
  Redirect redirect;
  if (error.starts_with("MOVED ")) {
    error.remove_prefix(6);
  } else if (error.starts_with("ASK ")) {
    redirect.kind = Redirect::Kind::kAsk;
    error.remove_prefix(4);
  } else {
    return std::nullopt;
  }
  const std::size_t space = error.find(' ');
  const std::size_t colon = error.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space ||
      !read_port(error.substr(0, space), redirect.slot) || redirect.slot >= kSlotCount ||
      !read_port(error.substr(colon + 1), redirect.to.port) || redirect.to.port == 0) {
    return std::nullopt;
  }
  const std::string_view host = error.substr(space + 1, colon - space - 1);
  redirect.to.host = host.empty() || host == "?" ? asked_host : host;
  return redirect;
}

Result<SlotMap> SlotMap::from_shards(const Reply& reply, std::string_view asked_host, bool tls) {
  SlotMap map;
  for (const Reply& shard : reply.items) {
    const Reply* const slots = shard.find("slots");
    const Reply* const nodes = shard.find("nodes");
    if (slots == nullptr || nodes == nullptr) return unreadable("a shard lacks slots or nodes");
    const auto primary = primary_of(*nodes, asked_host, tls);
    if (!primary) continue;
    for (std::size_t i = 0; i + 1 < slots->items.size(); i += 2) {
      std::uint16_t first = 0, last = 0;
      if (!read_slot(slots->items[i], first) || !read_slot(slots->items[i + 1], last) ||
          first > last) {
        return unreadable("a slot range is not two numbers below 16384");
      }
      map.assign(first, last, *primary);
    }
  }
  return map;
}

Result<SlotMap> SlotMap::from_slots(const Reply& reply, std::string_view asked_host) {
  SlotMap map;
  for (const Reply& range : reply.items) {
    std::uint16_t first = 0, last = 0;
    if (range.items.size() < 3 || !read_slot(range.items[0], first) ||
        !read_slot(range.items[1], last) || first > last || range.items[2].items.size() < 2) {
      return unreadable("a slot range is not first, last, primary");
    }
    const Reply& primary = range.items[2];
    const std::int64_t port = primary.items[1].integer;
    if (port <= 0 || port > 65'535) return unreadable("a port is not from 1 to 65535");
    map.assign(first, last,
               {host_or(&primary.items[0], asked_host), static_cast<std::uint16_t>(port)});
  }
  return map;
}

const NodeAddress* SlotMap::find(std::uint16_t slot) const {
  const std::uint16_t owner = owner_[slot];
  return owner == kNobody ? nullptr : &nodes_[owner];
}

void SlotMap::assign(std::uint16_t first, std::uint16_t last, const NodeAddress& node) {
  auto at = std::ranges::find(nodes_, node);
  if (at == nodes_.end()) at = nodes_.insert(nodes_.end(), node);
  std::fill(owner_.begin() + first, owner_.begin() + last + 1,
            static_cast<std::uint16_t>(at - nodes_.begin()));
}

std::vector<NodeAddress> SlotMap::primaries() const {
  std::vector<bool> serves(nodes_.size(), false);
  for (const std::uint16_t owner : owner_) {
    if (owner != kNobody) serves[owner] = true;
  }
  std::vector<NodeAddress> out;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (serves[i]) out.push_back(nodes_[i]);
  }
  return out;
}

}  // namespace asahi::cache
