-- KEYS: the stream with the document, the hash beside it.
-- ARGV: the id that is expected or '', the document, how many to put, their names and bytes,
-- and the names to remove.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local id = ''
if last[1] then id = last[1][1] end
if id ~= ARGV[1] then return false end
-- What is put comes first and what is removed last: if the server refuses halfway, a document
-- never lacks what it names.
local rest = 4
for _ = 1, ARGV[3] do
  redis.call('HSET', KEYS[2], ARGV[rest], ARGV[rest + 1])
  rest = rest + 2
end
id = redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'd', ARGV[2])
-- From here on the document is in force, whatever becomes of what nobody needs any more.
for at = rest, #ARGV do redis.pcall('HDEL', KEYS[2], ARGV[at]) end
return id
