"""Keeps completed answers in Redis, under the hash of the job that they answer; a claim finds them."""

# Needs `answer`, the key of this one, and `answers`, the index of all. Beyond the bound the oldest go, some
# at a time, however many there are; only the index knows which, so that their keys are built here.
PUT = """
local function put(job, text, seconds, most)
  local now, prefix = redis.call('TIME')[1], string.sub(answer, 1, #answer - #job)
  redis.call('SET', answer, text, 'EX', seconds)
  redis.call('ZADD', answers, now, job)
  redis.call('ZREMRANGEBYSCORE', answers, '-inf', now - tonumber(seconds))
  local over = redis.call('ZCARD', answers) - tonumber(most)
  if over > 0 then
    local oldest = redis.call('ZPOPMIN', answers, math.min(over, 10))
    for i = 1, #oldest, 2 do redis.call('DEL', prefix .. oldest[i]) end
  end
end
"""
