"""Halts by whatever Redis still takes; alone in its file, so that nothing waits or fails first."""

import contextlib

import redis
from redis.exceptions import ResponseError

from tasks.operations.changes.dials import Engaged
from worker.adapters.redis.errors import REDIS_ERRORS, Cause, cause_of, unavailable
from worker.adapters.redis.keys import AUDIT, AUDIT_SEEN, KILL
from worker.adapters.redis.scripts import LuaScript

# The brake comes first: whatever goes wrong with the record, the fleet is halted.
_ENGAGE = LuaScript("""
local before = redis.call('MGET', KEYS[1])[1]
redis.call('SET', KEYS[1], ARGV[4])
local fields = {'dial', 'kill', 'after', ARGV[4], 'actor', ARGV[1], 'command', ARGV[2], 'reason', ARGV[3]}
if before then fields[#fields + 1] = 'before'; fields[#fields + 1] = before end
redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('HSET', KEYS[3], 'kill', ARGV[4])
""")


def pull(
    client: redis.Redis, namespace: str, *, actor: str, command: str, reason: str, value: bytes = b"true"
) -> Engaged:
    """Set the kill switch by SET with its record, by plain SET, or by DEL; return by which.

    `value` is any spelling of true.

    Raises:
        StoreUnavailable: Redis did not answer at all.

    """
    kill, audit, seen = keys = [KILL(namespace), AUDIT(namespace), AUDIT_SEEN(namespace)]
    with unavailable(client):
        with contextlib.suppress(ResponseError):
            _ENGAGE.run(client, keys, actor, command, reason, value)
            return Engaged(by="SET", recorded=True)
        try:
            client.set(kill, value)
        except ResponseError as refusal:
            if cause_of(refusal) not in {Cause.FULL, Cause.FORBIDDEN}:
                raise
        else:
            return Engaged(by="SET", recorded=False)
        # An absent key halts as well. DEL works when nothing else does, and is all that some roles have.
        client.delete(kill)
    try:
        client.xadd(audit, {"dial": "kill", "actor": actor, "command": command, "reason": reason})
        client.hdel(seen, "kill")
    except REDIS_ERRORS:
        return Engaged(by="DEL", recorded=False)
    return Engaged(by="DEL", recorded=True)
