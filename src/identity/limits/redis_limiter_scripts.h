#pragma once

namespace asahi::identity {

// A counter in Redis is one sorted set, so that expiry and eviction take all of it or nothing:
//   score = microseconds of the server's clock, member = "amount:since:unique", one per entry of
//   the log (see merge_span; `since` is when a shared entry began); member "sum" with score -1 -
//   (total of the amounts): the lowest score, so always of rank 0.
// All numbers stay below 2^53, where Lua's doubles are exact. "%.0f", as tostring() rounds to 14
// digits.

/// What both scripts share. `drop` forgets what has left the window and returns what is in it.
inline constexpr const char* kLimiterScriptHead = R"(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(number) return string.format('%.0f', number) end
local function amount_of(member) return tonumber(string.match(member, '^(%d+):')) end
local function drop(key, window)
  local score = redis.call('ZSCORE', key, 'sum')
  if not score then return 0 end
  local sum = -1 - tonumber(score)
  local edge = text(now - window)
  local old = redis.call('ZRANGEBYSCORE', key, 0, edge)
  if #old > 0 then
    for _, member in ipairs(old) do sum = sum - amount_of(member) end
    redis.call('ZREMRANGEBYSCORE', key, 0, edge)
    redis.call('ZADD', key, text(-1 - sum), 'sum')
  end
  return sum
end
local function newest(key)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if #last == 0 or last[1] == 'sum' then return nil end
  return last[1], tonumber(last[2])
end
local function add(key, sum, amount, window, span, unique)
  local since = now
  if span > 0 then
    local member, at = newest(key)
    if member and at <= now then
      local began = tonumber(string.match(member, '^%d+:(%d+):'))
      if now - began < span then
        since = began
        redis.call('ZREM', key, member)
        redis.call('ZADD', key, text(now), text(amount_of(member) + amount) .. ':' .. text(since) .. ':' .. unique,
                   text(-1 - sum - amount), 'sum')
        redis.call('PEXPIRE', key, text(window / 1000 + 1000))
        return
      end
    end
  end
  redis.call('ZADD', key, text(now), text(amount) .. ':' .. text(since) .. ':' .. unique, text(-1 - sum - amount), 'sum')
  redis.call('PEXPIRE', key, text(window / 1000 + 1000))
end
)";

/// KEYS: counters. ARGV: something unique, then per counter amount, max, window and span, the times
/// in microseconds. Returns {1 or 0, now, then per counter: used before, microseconds until empty,
/// until it would be allowed or 0}.
inline constexpr const char* kTakeScript = R"(
local out = {1, now}
local sums, pending = {}, {}
for i, key in ipairs(KEYS) do
  local at = 4 * i - 2
  local amount, max, window = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local sum = drop(key, window)
  local reset, retry = 0, 0
  local also = pending[key] or 0
  local over = sum + also + amount - max
  if amount == 0 or over > 0 then
    local _, last = newest(key)
    if last and last > now + window then
      -- The server's clock was set back by more than a window: what was taken then is over.
      redis.call('DEL', key)
      sum, last = 0, nil
      over = also + amount - max
    end
    if last then reset = last + window - now end
  end
  if amount > 0 and over > 0 then
    out[1] = 0
    retry = window
    local left, from = over, 1
    while over <= sum and left > 0 do
      local some = redis.call('ZRANGE', key, from, from + 63, 'WITHSCORES')
      if #some == 0 then break end
      for j = 1, #some, 2 do
        left = left - amount_of(some[j])
        if left <= 0 then
          retry = tonumber(some[j + 1]) + window - now
          break
        end
      end
      from = from + 64
    end
  end
  pending[key] = also + amount
  sums[key] = sum
  out[3 * i] = sum
  out[3 * i + 1] = reset
  out[3 * i + 2] = retry
end
if out[1] == 1 then
  for i, key in ipairs(KEYS) do
    local at = 4 * i - 2
    local amount = tonumber(ARGV[at])
    if amount > 0 then
      add(key, sums[key], amount, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[1] .. i)
      sums[key] = sums[key] + amount
    end
  end
end
return out
)";

/// KEYS: one counter. ARGV: something unique, by, when it was taken (0: unknown), window, span.
inline constexpr const char* kAdjustScript = R"(
local key, by, taken = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local window, span = tonumber(ARGV[4]), tonumber(ARGV[5])
if taken > 0 and taken <= now - window then return 0 end
local sum = drop(key, window)
local function replace(member, score, amount)
  local old = amount_of(member)
  redis.call('ZREM', key, member)
  sum = sum - old + amount
  if amount > 0 then
    redis.call('ZADD', key, score, text(amount) .. string.match(member, '^%d+(:.*)$'), text(-1 - sum), 'sum')
  else
    redis.call('ZADD', key, text(-1 - sum), 'sum')
  end
end
if taken > 0 then
  local found = redis.call('ZRANGEBYSCORE', key, text(taken), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if #found == 0 or tonumber(found[2]) - taken > span then return 0 end
  replace(found[1], found[2], math.max(0, amount_of(found[1]) + by))
elseif by > 0 then
  add(key, sum, by, window, math.max(span, window / 1000), ARGV[1])
else
  local left = -by
  while left > 0 do
    local oldest = redis.call('ZRANGE', key, 1, 1, 'WITHSCORES')
    if #oldest == 0 then break end
    local amount = amount_of(oldest[1])
    replace(oldest[1], oldest[2], math.max(0, amount - left))
    left = left - amount
  end
end
return 1
)";

}  // namespace asahi::identity
