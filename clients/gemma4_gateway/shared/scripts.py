"""What Redis does by itself, so that no two gateways come between. The time is Redis's own.

Of each key there is a hash, the level of each bucket and when it had it, and a sorted set of the
requests that run, each with the time at which it is forgotten unless its gateway says it again.
Both have a time to live: a bucket that is full again needs no memory. The first write of each
script is one that a full Redis refuses, and then nothing of it is done.
"""

from __future__ import annotations

__all__ = ["ENTER", "LEAVE"]

_LEVEL = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local function level(name, rate)
  local kept = redis.call('HMGET', KEYS[1], name, name .. '_at')
  if not kept[1] then return rate end
  local passed = math.max(0, now - tonumber(kept[2]))
  return math.min(rate, tonumber(kept[1]) + passed * rate / 60)
end
local function put(name, rate, value)
  redis.call('HSET', KEYS[1], name, tostring(value), name .. '_at', string.format('%.6f', now))
  local seconds = math.ceil((rate - value) * 60 / rate) + 60
  if seconds > redis.call('TTL', KEYS[1]) then redis.call('EXPIRE', KEYS[1], seconds) end
end
"""

ENTER = f"""
{_LEVEL}
local requests, tokens, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, kept_s = ARGV[4], tonumber(ARGV[5])
if most > 0 and redis.call('ZCOUNT', KEYS[2], now, '+inf') >= most then
  return {{'max_running', '1'}}
end
local had = requests > 0 and level('requests', requests) or 1
if had < 1 then
  return {{'requests_per_minute', tostring((1 - had) * 60 / requests)}}
end
if tokens > 0 then
  local left = level('tokens', tokens)
  if left < 1 then return {{'tokens_per_minute', tostring((1 - left) * 60 / tokens)}} end
end
if requests > 0 then put('requests', requests, had - 1) end
if most > 0 then
  redis.call('ZADD', KEYS[2], now + kept_s, lease)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('EXPIRE', KEYS[2], math.ceil(kept_s) + 1)
end
return {{'', '0'}}
"""
"""KEYS: the hash, the set. ARGV: requests and tokens a minute, requests at once (0: no limit), the
name of the request, seconds that it is kept. Returns the limit that refuses it, "" for none, and
the seconds until there is room. Nothing is changed by one that is refused."""

LEAVE = f"""
{_LEVEL}
local tokens, spent = tonumber(ARGV[1]), tonumber(ARGV[2])
if tokens > 0 and spent > 0 then put('tokens', tokens, level('tokens', tokens) - spent) end
redis.call('ZREM', KEYS[2], ARGV[3])
return 0
"""
"""KEYS as in :data:`ENTER`. ARGV: tokens a minute, those that were used, the request's name."""
