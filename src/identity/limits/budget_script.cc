#include "identity/limits/budget_script.h"

namespace asahi::identity {

cache::Script budget_script() {
  return cache::Script(R"lua(
local p = 0
local function take() p = p + 1; return ARGV[p] end
local function num() return tonumber(take()) end
local function int(n) return string.format('%.0f', n) end
local call = redis.call

local node, start, now, lease = take(), take(), num(), num()
local mode, token, estimate = take(), take(), num()
local accounts, budgets = num(), num()
local DAY, KEEP, LONG = 86700000, 87000000, 3024000000
local mine = 'n:' .. node

-- Sets what `who` used, when that is news.
local function put(daily, month, who, seq, ds, dr, ms, mr, only_new)
  local old = call('HGET', daily, who)
  local at = old and tonumber(string.match(old, '^%S+'))
  if not at or (not only_new and seq > at) then
    call('HSET', daily, who, table.concat({int(seq), ds, dr, int(now)}, ' '))
  end
  old = call('HGET', month, who)
  local was, s, r = nil, 0, 0
  if old then
    was, s, r = string.match(old, '^(%S+) (%S+) (%S+)$')
    was, s, r = tonumber(was), tonumber(s), tonumber(r)
  end
  if not was or (not only_new and seq > was) then
    call('HSET', month, who, table.concat({int(seq), int(ms), int(mr)}, ' '))
    call('HINCRBY', month, 'spent', int(ms - s))
    call('HINCRBY', month, 'requests', int(mr - r))
  end
end

local function estimate_of(member) return string.match(member, ' (%d+)$') end

local function release(daily, open, member)
  if call('ZREM', open, member) == 1 then
    call('HINCRBY', daily, 'open', int(0 - tonumber(estimate_of(member))))
    call('HINCRBY', daily, 'opens', '-1')
    return true
  end
  return false
end

-- A reservation that nobody settled in time counts as spent, for the node that made it.
local function lose(daily, month, member)
  local who = 'l:' .. string.match(member, '^[^/]+')
  local spent, s, r = tonumber(estimate_of(member)), 0, 0
  local old = call('HGET', daily, who)
  if old then s, r = string.match(old, '^%S+ (%S+) (%S+)') end
  call('HSET', daily, who, table.concat({'0', int(s + spent), int(r + 1), int(now)}, ' '))
  s, r = 0, 0
  old = call('HGET', month, who)
  if old then s, r = string.match(old, '^%S+ (%S+) (%S+)') end
  call('HSET', month, who, table.concat({'0', int(s + spent), int(r + 1)}, ' '))
  call('HINCRBY', month, 'spent', int(spent))
  call('HINCRBY', month, 'requests', '1')
end

-- What earlier runs of this node left open or lost is in its truth now: its journal counted it.
local function meet(daily, month, open)
  for _, member in ipairs(call('ZRANGE', open, 0, -1)) do
    local who, run = string.match(member, '^([^/]+)/([^/]+)/')
    if who == node and run ~= start then release(daily, open, member) end
  end
  local lost = 'l:' .. node
  call('HDEL', daily, lost)
  local old = call('HGET', month, lost)
  if old then
    local s, r = string.match(old, '^%S+ (%S+) (%S+)')
    call('HDEL', month, lost)
    call('HINCRBY', month, 'spent', int(0 - tonumber(s)))
    call('HINCRBY', month, 'requests', int(0 - tonumber(r)))
  end
end

local state = {}
for a = 1, accounts do
  local daily, month, open = KEYS[3 * a - 2], KEYS[3 * a - 1], KEYS[3 * a]
  local seq, ds, dr, ms, mr, factor, first = num(), take(), take(), num(), num(), num(), take()
  local known = call('HEXISTS', daily, mine)
  if first == '1' then meet(daily, month, open) end
  put(daily, month, mine, seq, ds, dr, ms, mr, false)
  for _ = 1, num() do release(daily, open, take()) end
  for _ = 1, num() do
    local who, ods, odr, oms, omr = take(), take(), take(), num(), num()
    put(daily, month, 'n:' .. who, 0, ods, odr, oms, omr, true)
  end
  for _, member in ipairs(call('ZRANGEBYSCORE', open, '-inf', int(now), 'LIMIT', 0, 100)) do
    if release(daily, open, member) then lose(daily, month, member) end
  end
  local sum = {daily = daily, open_key = open, factor = factor, known = known,
               ds = 0, dr = 0, open = 0, opens = 0}
  local all = call('HGETALL', daily)
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    if field == 'open' or field == 'opens' then
      sum[field] = tonumber(value)
    else
      local s, r, updated = string.match(value, '^%S+ (%S+) (%S+) (%S+)$')
      if now - tonumber(updated) < DAY then
        sum.ds = sum.ds + tonumber(s)
        sum.dr = sum.dr + tonumber(r)
      else
        call('HDEL', daily, field)
      end
    end
  end
  sum.ms = tonumber(call('HGET', month, 'spent') or '0')
  sum.mr = tonumber(call('HGET', month, 'requests') or '0')
  call('PEXPIRE', month, LONG)
  state[a] = sum
end

local code, which = 0, 0
for b = 1, budgets do
  local sum, period, cap, most = state[num()], take(), take(), take()
  local spent, requests = sum.ds, sum.dr
  if period == 'm' then spent, requests = sum.ms, sum.mr end
  if code < 2 and cap ~= '' then
    cap = tonumber(cap)
    if spent + sum.open + estimate > cap then
      code, which = 2, b
    elseif spent + sum.open * sum.factor / 16 + estimate > cap and code == 0 then
      code, which = 1, b
    end
  end
  if code < 2 and most ~= '' and requests + sum.opens >= tonumber(most) then
    code, which = 3, b
  end
end

local reply = {code, which}
for a = 1, accounts do
  local sum = state[a]
  for _, value in ipairs({sum.ds, sum.dr, sum.ms, sum.mr, sum.open, sum.opens, sum.known}) do
    reply[#reply + 1] = int(value)
  end
  if mode == 'r' and code == 0 then
    call('ZADD', sum.open_key, int(now + lease), token .. ' ' .. int(estimate))
    call('HINCRBY', sum.daily, 'open', int(estimate))
    sum.opens = call('HINCRBY', sum.daily, 'opens', '1')
  end
  -- Open reservations keep the day's hash: they must not vanish unspent.
  call('PEXPIRE', sum.daily, sum.opens > 0 and LONG or KEEP)
  call('PEXPIRE', sum.open_key, LONG)
end
return reply
)lua");
}

}  // namespace asahi::identity
