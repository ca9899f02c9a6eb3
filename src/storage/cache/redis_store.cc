#include "storage/cache/redis_store.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <utility>

#include "storage/cache/rules.h"

namespace asahi::cache {
namespace {

/// Keys looked at in one SCAN step: well under a millisecond of the server.
constexpr std::string_view kScanCount = "500";
/// Keys in one UNLINK.
constexpr std::size_t kEraseBatch = 500;

/// One step, so that a counter cannot expire between its creation and the sum and live on without
/// an end. The sum is read back as text: Lua's numbers lose precision beyond 2^53.
constexpr const char* kAddScript = R"(if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], '0', 'PX', ARGV[2], 'NX')
end
redis.call('INCRBY', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1]))";

std::unexpected<Error> unexpected_reply(std::string_view command) {
  return fail(Errc::kUpstream,
              fmt::format("Redis answered {} with a reply of the wrong type", command));
}

Result<std::uint64_t> count_of(const Reply& reply, std::string_view command) {
  if (reply.type != Reply::Type::kInteger || reply.integer < 0) return unexpected_reply(command);
  return static_cast<std::uint64_t>(reply.integer);
}

Bytes bytes_of(Reply reply) { return std::make_shared<const std::string>(std::move(reply.text)); }

/// "evicted_keys:12" of INFO stats; 0 when absent.
std::uint64_t info_number(std::string_view info, std::string_view name) {
  const std::string key = fmt::format("\n{}:", name);
  const std::size_t at = info.find(key);
  std::uint64_t value = 0;
  if (at != std::string_view::npos) {
    std::from_chars(info.data() + at + key.size(), info.data() + info.size(), value);
  }
  return value;
}

}  // namespace

std::string glob_of_prefix(std::string_view prefix) {
  std::string out;
  for (const char c : prefix) {
    if (std::string_view("*?[]\\").contains(c)) out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('*');
  return out;
}

RedisStore::RedisStore(std::shared_ptr<RedisClients> clients)
    : clients_(std::move(clients)), add_script_(kAddScript) {}

std::optional<std::optional<Bytes>> RedisStore::try_get(std::string_view) { return std::nullopt; }

Task<std::optional<Bytes>> RedisStore::get(std::string key) {
  ASAHI_CO_TRY(Reply reply, co_await client().run(Command{"GET", key}));
  if (reply.is_null()) co_return std::nullopt;
  if (reply.type != Reply::Type::kBulk) co_return unexpected_reply("GET");
  co_return bytes_of(std::move(reply));
}

Task<void> RedisStore::set(std::string key, Bytes value, std::chrono::milliseconds ttl) {
  if (auto ok = check_entry(value, ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  const std::string ttl_ms = std::to_string(ttl.count());
  Command command =
      ttl.count() > 0 ? Command{"SET", key, *value, "PX", ttl_ms} : Command{"SET", key, *value};
  ASAHI_CO_TRY(const Reply reply, co_await client().run(std::move(command)));
  if (reply.text != "OK") co_return unexpected_reply("SET");
  co_return Result<void>{};
}

Task<bool> RedisStore::set_if_absent(std::string key, Bytes value, std::chrono::milliseconds ttl) {
  if (auto ok = check_entry(value, ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  const std::string ttl_ms = std::to_string(ttl.count());
  Command command = ttl.count() > 0 ? Command{"SET", key, *value, "NX", "PX", ttl_ms}
                                    : Command{"SET", key, *value, "NX"};
  ASAHI_CO_TRY(const Reply reply, co_await client().run(std::move(command)));
  co_return !reply.is_null();
}

Task<std::uint64_t> RedisStore::erase(std::vector<std::string> keys) {
  // A cluster refuses keys of two slots in one command.
  std::map<std::uint16_t, std::vector<std::string>> groups;
  if (keys.size() > 1) {
    if (auto known = co_await client().primaries(); !known) {
      co_return std::unexpected(std::move(known.error()));
    }
    for (std::string& key : keys) {
      const std::uint16_t slot = client().cluster() ? key_slot(key) : 0;
      groups[slot].push_back(std::move(key));
    }
  } else if (!keys.empty()) {
    groups[0] = std::move(keys);
  }
  std::vector<Command> commands;
  for (auto& [slot, group] : groups) {
    for (std::size_t at = 0; at < group.size(); at += kEraseBatch) {
      std::vector<std::string> args{"UNLINK"};
      for (std::size_t i = at; i < std::min(at + kEraseBatch, group.size()); ++i) {
        args.push_back(std::move(group[i]));
      }
      commands.emplace_back(args);
    }
  }
  const auto replies = co_await client().batch(std::move(commands));
  std::uint64_t erased = 0;
  for (const auto& reply : replies) {
    if (!reply) co_return std::unexpected(reply.error());
    ASAHI_CO_TRY(const std::uint64_t count, count_of(*reply, "UNLINK"));
    erased += count;
  }
  co_return erased;
}

Task<std::int64_t> RedisStore::add(std::string key, std::int64_t by,
                                   std::chrono::milliseconds ttl) {
  if (auto ok = check_ttl(ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  std::vector<std::string> keys{std::move(key)};
  std::vector<std::string> args{std::to_string(by), std::to_string(ttl.count())};
  auto reply = co_await client().eval(add_script_, std::move(keys), std::move(args));
  if (!reply) {
    if (reply.error().message.contains("not an integer")) co_return not_a_counter();
    if (reply.error().message.contains("overflow")) co_return counter_overflow();
    co_return std::unexpected(std::move(reply.error()));
  }
  std::int64_t sum = 0;
  const std::string& text = reply->text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sum);
  if (error != std::errc{} || end != text.data() + text.size()) co_return unexpected_reply("EVAL");
  co_return sum;
}

Task<RedisStore::Page> RedisStore::scan_page(NodeAddress node, std::string cursor,
                                             std::string pattern) {
  Command command{"SCAN", cursor, "MATCH", pattern, "COUNT", kScanCount};
  ASAHI_CO_TRY(Reply reply, co_await client().run_at(std::move(node), std::move(command)));
  if (reply.items.size() != 2) co_return unexpected_reply("SCAN");
  Page page;
  page.cursor = std::move(reply.items[0].text);
  for (Reply& key : reply.items[1].items) page.keys.push_back(std::move(key.text));
  co_return page;
}

Task<std::vector<Entry>> RedisStore::read_entries(std::vector<std::string> keys) {
  std::vector<Command> commands;
  commands.reserve(2 * keys.size());
  for (const std::string& key : keys) {
    commands.push_back(Command{"GET", key});
    commands.push_back(Command{"PTTL", key});
  }
  auto replies = co_await client().batch(std::move(commands));
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& value = replies[2 * i];
    const auto& left = replies[2 * i + 1];
    if (!value && value.error().reason == "WRONGTYPE") continue;  // a list or the like: not ours
    if (!value) co_return std::unexpected(std::move(value.error()));
    if (!left) co_return std::unexpected(left.error());
    if (value->is_null()) continue;  // gone since the scan saw it
    Entry entry{std::move(keys[i]), bytes_of(std::move(*value)), std::nullopt};
    if (left->integer >= 0) entry.ttl_left = std::chrono::milliseconds(left->integer);
    entries.push_back(std::move(entry));
  }
  co_return entries;
}

Task<void> RedisStore::scan(std::string prefix, std::function<bool(std::vector<Entry>)> visit) {
  const std::string pattern = glob_of_prefix(prefix);
  ASAHI_CO_TRY(const auto nodes, co_await client().primaries());
  for (const NodeAddress& node : nodes) {
    std::string cursor = "0";
    do {
      ASAHI_CO_TRY(Page page, co_await scan_page(node, std::move(cursor), pattern));
      cursor = std::move(page.cursor);
      if (page.keys.empty()) continue;
      ASAHI_CO_TRY(auto entries, co_await read_entries(std::move(page.keys)));
      if (!entries.empty() && !visit(std::move(entries))) co_return Result<void>{};
    } while (cursor != "0");
  }
  co_return Result<void>{};
}

Task<std::uint64_t> RedisStore::erase_prefix(std::string prefix) {
  const std::string pattern = glob_of_prefix(prefix);
  ASAHI_CO_TRY(const auto nodes, co_await client().primaries());
  std::uint64_t erased = 0;
  for (const NodeAddress& node : nodes) {
    std::string cursor = "0";
    do {
      ASAHI_CO_TRY(Page page, co_await scan_page(node, std::move(cursor), pattern));
      cursor = std::move(page.cursor);
      ASAHI_CO_TRY(const std::uint64_t count, co_await erase(std::move(page.keys)));
      erased += count;
    } while (cursor != "0");
  }
  co_return erased;
}

Task<std::uint64_t> RedisStore::sweep() { co_return std::uint64_t{0}; }

Task<Stats> RedisStore::stats() {
  ASAHI_CO_TRY(const auto nodes, co_await client().primaries());
  Stats stats;
  for (const NodeAddress& node : nodes) {
    ASAHI_CO_TRY(const Reply size, co_await client().run_at(node, Command{"DBSIZE"}));
    ASAHI_CO_TRY(const Reply info, co_await client().run_at(node, Command{"INFO", "stats"}));
    ASAHI_CO_TRY(const std::uint64_t entries, count_of(size, "DBSIZE"));
    stats.entries += entries;
    stats.evictions += info_number(info.text, "evicted_keys");
  }
  co_return stats;
}

Task<void> RedisStore::ping() {
  ASAHI_CO_TRY(const Reply reply, co_await client().run(Command{"PING"}));
  if (reply.text != "PONG") co_return unexpected_reply("PING");
  co_return Result<void>{};
}

}  // namespace asahi::cache
