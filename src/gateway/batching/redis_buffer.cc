#include "gateway/batching/redis_buffer.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

namespace asahi::gateway {
namespace {

using cache::Reply;
using std::chrono::milliseconds;

// KEYS of a group: its stream, the set of its ids. They share a hash tag, so that they share a node
// of a cluster. Scripts see the server's time only.

constexpr const char* kTouch = R"(
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], now[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now[1] - ARGV[2]))
return 1)";

/// id, item, origin, wait, most items, expiry in ms -> entry id; 0: known; -1: full.
constexpr const char* kPush = R"(
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[5]) then return -1 end
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'asahi', '0', 'MKSTREAM')
local entry = redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'item', ARGV[2], 'origin', ARGV[3],
                         'wait', ARGV[4])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return entry)";

/// entry, id -> 1: it waited and is gone.
constexpr const char* kRemove = R"(
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
if #redis.call('XPENDING', KEYS[1], 'asahi', ARGV[1], ARGV[1], 1) > 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[2], ARGV[2])
return 1)";

/// most entries to look at -> size, age of the oldest, least time left; nothing: no such group.
constexpr const char* kState = R"(
local found = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if found.err or #found == 0 then return {} end
local last = '0-0'
for i = 1, #found[1], 2 do
  if found[1][i] == 'last-delivered-id' then last = found[1][i + 1] end
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest, left = 0, 2147483647
for i = 1, #entries do
  local age = now - tonumber(string.match(entries[i][1], '^%d+'))
  if age > oldest then oldest = age end
  local fields = entries[i][2]
  for j = 1, #fields, 2 do
    if fields[j] == 'wait' then left = math.min(left, tonumber(fields[j + 1]) - age) end
  end
end
return {#entries, oldest, left})";

/// consumer, most -> entry, age, item, entry, age, item …
constexpr const char* kTake = R"(
local read = redis.pcall('XREADGROUP', 'GROUP', 'asahi', ARGV[1], 'COUNT', ARGV[2], 'STREAMS',
                         KEYS[1], '>')
if not read or read.err then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local out = {}
for _, entry in ipairs(read[1][2]) do
  for j = 1, #entry[2], 2 do
    if entry[2][j] == 'item' then
      out[#out + 1] = entry[1]
      out[#out + 1] = now - tonumber(string.match(entry[1], '^%d+'))
      out[#out + 1] = entry[2][j + 1]
    end
  end
end
return out)";

/// consumer, entry, id -> 1: it was this consumer's and is ended.
constexpr const char* kFinish = R"(
local pending = redis.pcall('XPENDING', KEYS[1], 'asahi', ARGV[2], ARGV[2], 1)
if pending.err or #pending == 0 or pending[1][2] ~= ARGV[1] then return 0 end
redis.call('XACK', KEYS[1], 'asahi', ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('SREM', KEYS[2], ARGV[3])
return 1)";

/// consumer, entry -> 1: still this consumer's, and not idle any more.
constexpr const char* kRenew = R"(
local pending = redis.pcall('XPENDING', KEYS[1], 'asahi', ARGV[2], ARGV[2], 1)
if pending.err or #pending == 0 or pending[1][2] ~= ARGV[1] then return 0 end
redis.call('XCLAIM', KEYS[1], 'asahi', ARGV[1], 0, ARGV[2], 'JUSTID')
return 1)";

/// consumer, idle ms -> id, origin, id, origin …: claimed from whoever let them lie, and ended.
constexpr const char* kReclaim = R"(
local claimed = redis.pcall('XAUTOCLAIM', KEYS[1], 'asahi', ARGV[1], ARGV[2], '0-0', 'COUNT', 100)
if claimed.err then return {} end
local out = {}
for _, entry in ipairs(claimed[2]) do
  local id, origin = '', ''
  for j = 1, #entry[2], 2 do
    if entry[2][j] == 'id' then id = entry[2][j + 1] end
    if entry[2][j] == 'origin' then origin = entry[2][j + 1] end
  end
  redis.call('XACK', KEYS[1], 'asahi', entry[1])
  redis.call('XDEL', KEYS[1], entry[1])
  redis.call('SREM', KEYS[2], id)
  out[#out + 1] = id
  out[#out + 1] = origin
end
return out)";

/// Groups that a worker looks at; more have to wait until others fall silent.
constexpr const char* kMostGroups = "999";

milliseconds ms(std::int64_t count) { return milliseconds(count); }

}  // namespace

RedisBatchBuffer::RedisBatchBuffer(Options options, std::shared_ptr<cache::RedisClients> clients)
    : options_(std::move(options)),
      clients_(std::move(clients)),
      touch_(kTouch),
      push_(kPush),
      remove_(kRemove),
      state_(kState),
      take_(kTake),
      finish_(kFinish),
      renew_(kRenew),
      reclaim_(kReclaim) {}

std::vector<std::string> RedisBatchBuffer::keys(const std::string& group) const {
  const std::string stream = fmt::format("{}:{{{}}}", options_.prefix, group);
  return {stream, stream + ":ids"};
}

std::string RedisBatchBuffer::replies_key(const std::string& worker) const {
  return fmt::format("{}:replies:{}", options_.prefix, worker);
}

std::optional<RedisBatchBuffer::Place> RedisBatchBuffer::place_of(
    const std::unordered_map<std::string, Place>& places, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const auto found = places.find(id);
  if (found == places.end()) return std::nullopt;
  return found->second;
}

Task<void> RedisBatchBuffer::push(BatchItem item) {
  const auto expiry = std::chrono::duration_cast<milliseconds>(options_.expiry).count();
  // Known before it holds anything: nobody waits in a group that no worker looks at.
  ASAHI_CO_TRY(const Reply touched,
               co_await client().eval(touch_, {options_.prefix + ":groups"},
                                      {item.group, fmt::to_string(options_.expiry.count())}));
  (void)touched;
  ASAHI_CO_TRY(const Reply pushed,
               co_await client().eval(
                   push_, keys(item.group),
                   {item.id, to_json(item), item.origin, fmt::to_string(item.wait.count()),
                    fmt::to_string(options_.max_items), fmt::to_string(expiry)}));
  if (pushed.type == Reply::Type::kInteger) {
    if (pushed.integer == 0) {
      co_return fail(Errc::kConflict,
                     fmt::format("an item '{}' is being batched already", item.id));
    }
    co_return fail(Errc::kTooLarge, fmt::format("{} items are being batched in this group already",
                                                options_.max_items));
  }
  const std::scoped_lock lock(mutex_);
  pushed_[item.id] = {item.group, pushed.text};
  co_return Result<void>{};
}

Task<bool> RedisBatchBuffer::remove(std::string group, std::string id) {
  const auto place = place_of(pushed_, id);
  if (!place) co_return false;
  ASAHI_CO_TRY(const Reply removed,
               co_await client().eval(remove_, keys(group), {place->entry, id}));
  {
    const std::scoped_lock lock(mutex_);
    pushed_.erase(id);
  }
  co_return removed.integer == 1;
}

Task<std::vector<std::string>> RedisBatchBuffer::known_groups() {
  ASAHI_CO_TRY(const Reply reply,
               co_await client().run(
                   cache::Command({"ZREVRANGE", options_.prefix + ":groups", "0", kMostGroups})));
  std::vector<std::string> groups;
  for (const Reply& item : reply.items) groups.push_back(item.text);
  co_return groups;
}

Task<std::vector<GroupState>> RedisBatchBuffer::groups() {
  ASAHI_CO_TRY(const std::vector<std::string> known, co_await known_groups());
  std::vector<GroupState> states;
  for (const std::string& group : known) {
    ASAHI_CO_TRY(const Reply reply,
                 co_await client().eval(state_, keys(group), {fmt::to_string(options_.max_items)}));
    if (reply.items.size() != 3 || reply.items[0].integer == 0) continue;
    states.push_back({.group = group,
                      .size = static_cast<std::size_t>(reply.items[0].integer),
                      .oldest = ms(reply.items[1].integer),
                      .left = ms(reply.items[2].integer)});
  }
  co_return states;
}

Task<std::vector<BatchItem>> RedisBatchBuffer::take(std::string group, std::size_t most) {
  ASAHI_CO_TRY(const Reply reply,
               co_await client().eval(take_, keys(group), {options_.worker, fmt::to_string(most)}));
  std::vector<BatchItem> items;
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i + 2 < reply.items.size(); i += 3) {
    auto item = batch_item_from_json(reply.items[i + 2].text);
    if (!item) {
      // It lies until it is reclaimed, and its caller then goes alone.
      logger_.warning("a batched item cannot be read", {{"error", item.error().message}});
      continue;
    }
    item->age = ms(reply.items[i + 1].integer);
    held_[item->id] = {group, reply.items[i].text};
    items.push_back(*std::move(item));
  }
  co_return items;
}

Task<void> RedisBatchBuffer::send(std::string worker, std::vector<std::string> replies) {
  const std::string key = replies_key(worker);
  std::vector<std::string> push{"RPUSH", key};
  push.insert(push.end(), std::make_move_iterator(replies.begin()),
              std::make_move_iterator(replies.end()));
  const std::string seconds = fmt::to_string(options_.expiry.count());
  std::vector<cache::Command> commands;
  commands.emplace_back(push);
  commands.push_back(cache::Command({"EXPIRE", key, seconds}));
  for (auto& done : co_await client().batch(std::move(commands))) {
    if (!done) co_return std::unexpected(std::move(done.error()));
  }
  co_return Result<void>{};
}

Task<std::vector<BatchReply>> RedisBatchBuffer::finish(std::vector<Finished> finished) {
  std::vector<BatchReply> own;
  std::map<std::string, std::vector<std::string>> others;
  for (Finished& one : finished) {
    const auto place = place_of(held_, one.item.id);
    bool ended = true;
    if (place) {
      auto reply = co_await client().eval(finish_, keys(place->group),
                                          {options_.worker, place->entry, one.item.id});
      // Where Redis is away nobody else can have told the caller: his answer is there and paid for.
      ended = !reply || reply->integer == 1;
    }
    {
      const std::scoped_lock lock(mutex_);
      held_.erase(one.item.id);
      if (one.item.origin == options_.worker) pushed_.erase(one.item.id);
    }
    if (!ended) {
      logger_.warning("a batched item was given up before its answer came",
                      {{"request_id", one.item.request_id}});
    } else if (one.item.origin == options_.worker) {
      own.push_back(std::move(one.reply));
    } else {
      others[one.item.origin].push_back(to_json(one.reply));
    }
  }
  for (auto& [worker, replies] : others) {
    const std::size_t count = replies.size();
    if (auto sent = co_await send(worker, std::move(replies)); !sent) {
      logger_.error("batched answers cannot be sent to the worker that waits for them",
                    {{"worker", worker}, {"answers", count}, {"error", sent.error().message}});
    }
  }
  co_return own;
}

Task<std::vector<BatchReply>> RedisBatchBuffer::collect() {
  ASAHI_CO_TRY(
      const Reply reply,
      co_await client().run(cache::Command({"LPOP", replies_key(options_.worker), "1000"})));
  std::vector<BatchReply> replies;
  for (const Reply& item : reply.items) {
    auto read = batch_reply_from_json(item.text);
    if (!read) {
      logger_.warning("a batched answer cannot be read", {{"error", read.error().message}});
      continue;
    }
    {
      const std::scoped_lock lock(mutex_);
      pushed_.erase(read->id);
    }
    replies.push_back(*std::move(read));
  }
  co_return replies;
}

Task<std::size_t> RedisBatchBuffer::maintain() {
  std::unordered_map<std::string, Place> held;
  {
    const std::scoped_lock lock(mutex_);
    held = held_;
  }
  for (const auto& [id, place] : held) {
    ASAHI_CO_TRY(const Reply kept,
                 co_await client().eval(renew_, keys(place.group), {options_.worker, place.entry}));
    (void)kept;
  }
  ASAHI_CO_TRY(const std::vector<std::string> known, co_await known_groups());
  std::map<std::string, std::vector<std::string>> told;
  std::size_t given_up = 0;
  for (const std::string& group : known) {
    ASAHI_CO_TRY(const Reply reply,
                 co_await client().eval(
                     reclaim_, keys(group),
                     {options_.worker, fmt::to_string(options_.abandoned_after.count())}));
    for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) {
      BatchReply alone;
      alone.id = reply.items[i].text;
      alone.text = "the worker that had taken it fell silent";
      told[reply.items[i + 1].text].push_back(to_json(alone));
      ++given_up;
    }
  }
  for (auto& [worker, replies] : told) {
    auto sent = co_await send(worker, std::move(replies));
    if (!sent) co_return std::unexpected(std::move(sent.error()));
  }
  if (given_up > 0)
    logger_.warning("a worker fell silent; the callers of its batches go alone",
                    {{"items", given_up}});
  co_return given_up;
}

}  // namespace asahi::gateway
