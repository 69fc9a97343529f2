"""Halts by whatever Redis still accepts; alone in its file, so that nothing else waits or fails first."""

import contextlib
from functools import partial
from typing import Any

import redis
from redis.exceptions import ResponseError

from gates import kill_switch
from tasks.operations.changes.dials import RAW_ACTOR, RAW_COMMAND, Engaged
from worker.adapters.redis.clients import database_of, user_of
from worker.adapters.redis.console.long_script import ending_long_script
from worker.adapters.redis.cut import cut
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.dial_lua import RELEASES
from worker.adapters.redis.errors import REDIS_ERRORS, unavailable, unavailable_by
from worker.adapters.redis.keys import AUDIT, AUDIT_LIVE, AUDIT_NOTICED, AUDIT_SEEN, KILL, KILL_MESSAGES
from worker.adapters.redis.scripts import LuaScript

# How much is kept of what a person wrote: an actor, a command, a reason.
WORDS_BYTES = 1024
# KEYS: the kill dial, the audit, what was noticed, the account of values, what is live, the other dials. The
# halt comes first: whatever goes wrong with the record, the fleet is halted. What was live until now is kept
# for the release. A raw command that nobody has recorded yet came before this one, and gets its own entry.
_ENGAGE = LuaScript(f"""{RELEASES}
local before = redis.call('MGET', KEYS[1])[1]
redis.call('SET', KEYS[1], ARGV[4])
local seen = redis.call('HGET', KEYS[4], 'kill')
if before ~= seen then
  local raw = {{'dial', 'kill', 'actor', '{RAW_ACTOR}', 'command', '{RAW_COMMAND}', 'redis_user', ARGV[6]}}
  if seen then raw[#raw + 1] = 'before'; raw[#raw + 1] = seen end
  if before then raw[#raw + 1] = 'after'; raw[#raw + 1] = string.sub(before, 1, 1000) end
  redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', {AUDIT_NOTICED.kept}, '*', unpack(raw))
end
redis.call('HSET', KEYS[4], 'kill', ARGV[4])
if ARGV[5] == '0' and not releases(before) then return 0 end
local fields = {{'dial', 'kill', 'after', ARGV[4], 'actor', ARGV[1], 'command', ARGV[2], 'reason', ARGV[3],
                'redis_user', ARGV[6]}}
if before then fields[#fields + 1] = 'before'; fields[#fields + 1] = string.sub(before, 1, 1024) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', {AUDIT.kept}, '*', unpack(fields))
if releases(before) then
  redis.call('HSET', KEYS[5], 'kill', before)
  for i, value in ipairs(redis.call('MGET', unpack(KEYS, 6))) do
    local dial = ARGV[i + 6]
    if value then redis.call('HSET', KEYS[5], dial, value) else redis.call('HDEL', KEYS[5], dial) end
  end
end
return 1
""")


def pull(
    client: redis.Redis,
    namespace: str,
    *,
    actor: str,
    command: str,
    reason: str,
    value: bytes = b"true",
    record: bool = True,
) -> Engaged:
    """Set the kill switch by SET with its record, by plain SET, or by DEL; else halt by a message.

    Return by which. `value` is any spelling of true. Without `record` a repetition gets no entry in the
    audit; what halts a fleet that was released always does.

    Raises:
        StoreUnavailable: Redis did not answer at all.

    """
    records = (KILL, AUDIT, AUDIT_NOTICED, AUDIT_SEEN, AUDIT_LIVE)
    kill, _, noticed, seen, _ = keys = [each(namespace) for each in records]
    actor, command, reason = (cut(each, WORDS_BYTES) for each in (actor, command, reason))
    others = {each.name: key(namespace) for each, key in DIAL_KEYS.items() if each is not kill_switch.DIAL}
    with unavailable(client):
        with contextlib.suppress(ResponseError):
            words = (actor, command, reason, value, int(record), user_of(client))
            engage = partial(_ENGAGE.run, client, [*keys, *others.values()], *words, *others)
            recorded = ending_long_script(client, engage)
            return Engaged(by="SET", recorded=bool(recorded))
        try:
            client.set(kill, value)
        except ResponseError as error:
            refusal = str(unavailable_by(error, client))
        else:
            return Engaged(by="SET", recorded=False)
        # An absent key halts as well. DEL works in a full Redis, and is all that some roles may do.
        try:
            was_there = client.delete(kill)
        except ResponseError as error:
            refusal = str(unavailable_by(error, client))
            heard = client.publish(KILL_MESSAGES(namespace, database_of(client)), value)
            return Engaged(by="PUBLISH", recorded=False, heard=heard, refusal=refusal)
    if not (record or was_there):
        return Engaged(by="DEL", recorded=False, refusal=refusal)
    try:
        # Roles that may only halt cannot write to the operators' own record.
        entry: dict[Any, Any] = {"dial": "kill", "actor": actor, "command": command, "reason": reason}
        client.xadd(noticed, entry | {"redis_user": user_of(client)}, maxlen=AUDIT_NOTICED.kept)
        client.hdel(seen, "kill")
    except REDIS_ERRORS:
        return Engaged(by="DEL", recorded=False, refusal=refusal)
    return Engaged(by="DEL", recorded=True, refusal=refusal)
