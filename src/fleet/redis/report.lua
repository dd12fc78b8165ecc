-- KEYS: the hash with what hosts say. ARGV: the host, what it says, and for how many milliseconds.
-- A value is the millisecond of the server's clock until which it counts, a space, and the report.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function at(moment) return string.format('%.0f', moment) end
redis.call('HSET', KEYS[1], ARGV[1], at(now + ARGV[3]) .. ' ' .. ARGV[2])
-- Once a minute whoever comes first removes what is over. The field without a name keeps when.
local swept = tonumber(redis.call('HGET', KEYS[1], '') or 0)
if math.abs(now - swept) >= 60000 then
  redis.call('HSET', KEYS[1], '', at(now))
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local till = tonumber(string.match(all[i + 1], '^%d+'))
    if all[i] ~= '' and (not till or till < now) then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return 1
