"""Changes the dials in Redis and keeps the record of who changed what, raw commands included.

`<namespace>:audit` is a stream of changes, the newest of them. `…:audit:seen` has the values that the record
accounts for: a dial that holds something else was changed by a raw command, and is recorded as such by
whoever looks next. `…:audit:live` has the dials as they were when the kill switch was last off.
"""

from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.exceptions import ResponseError

from tasks.operations.changes.dials import (
    OPERATED,
    RAW_ACTOR,
    RAW_COMMAND,
    AuditRefused,
    Change,
    DialsMoved,
    DialValues,
    Engaged,
    RecordedChange,
)
from worker.adapters.redis.console.kill_switch_lever import WORDS_BYTES, pull
from worker.adapters.redis.cut import cut
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.dial_lua import RELEASES
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import AUDIT, AUDIT_LIVE, AUDIT_SEEN
from worker.adapters.redis.scripts import LuaScript

_NAMES = [dial.name for dial in OPERATED]
# KEYS: audit, seen, live, then the dials. MGET reads a key of another type as absent, as the gates do.
# A value above 64 KiB is recorded by its digest: the record must stay small beside a policy of megabytes.
_LOOK = f"""{RELEASES}
local NAMES = {{{", ".join(f"'{name}'" for name in _NAMES)}}}
local function brief(value)
  if #value <= 65536 then return value end
  return 'sha1 ' .. redis.sha1hex(value) .. ', ' .. #value .. ' bytes'
end
local function note(dial, before, after, actor, command, reason, widened, override)
  local fields = {{'dial', dial, 'actor', actor, 'command', command, 'reason', reason,
                  'widened', widened, 'override', override}}
  if before then fields[#fields + 1] = 'before'; fields[#fields + 1] = before end
  if after then fields[#fields + 1] = 'after'; fields[#fields + 1] = brief(after) end
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', {AUDIT.kept}, '*', unpack(fields))
  if after then redis.call('HSET', KEYS[2], dial, brief(after)) else redis.call('HDEL', KEYS[2], dial) end
  return id
end
local now = redis.call('MGET', unpack(KEYS, 4))
for i, dial in ipairs(NAMES) do
  local seen = redis.call('HGET', KEYS[2], dial)
  if (now[i] and brief(now[i])) ~= seen then
    note(dial, seen, now[i], '{RAW_ACTOR}', '{RAW_COMMAND}', '', '', '')
  end
end
local function keep_live()
  if not releases(now[1]) then return end
  for i = 2, #NAMES do
    local kept = redis.call('HGET', KEYS[3], NAMES[i])
    if now[i] and kept ~= now[i] then redis.call('HSET', KEYS[3], NAMES[i], now[i]) end
    if kept and not now[i] then redis.call('HDEL', KEYS[3], NAMES[i]) end
  end
  redis.call('HSETNX', KEYS[3], 'kill', 'false')
end
keep_live()
local function version()
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
"""
_READ = LuaScript(
    f"""{_LOOK}
local live = redis.call('HMGET', KEYS[3], unpack(NAMES))
return {{version(), now, live}}
""",
    declares_keys=False,
)
# Recorded before it is made: what cannot be recorded (out of memory) fails here, and is not made. HLEN fails
# where `live` could not be kept afterwards, with the change made and refused at once.
_CHANGE = LuaScript(
    f"""{_LOOK}
if version() ~= ARGV[1] then return false end
redis.call('HLEN', KEYS[3])
local n = tonumber(ARGV[2])
local after = ARGV[3] == '1' and ARGV[4] or false
local before = now[n] and brief(now[n]) or false
local id = note(NAMES[n], before, after, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
if after then redis.call('SET', KEYS[n + 3], after) else redis.call('DEL', KEYS[n + 3]) end
now[n] = after
keep_live()
return id
""",
    declares_keys=False,
)


@dataclass(frozen=True, slots=True)
class RedisDials:
    """The dials of one namespace, as an operator handles them."""

    client: redis.Redis
    namespace: str

    def read(self) -> DialValues:
        """Return the dials, after recording what raw commands have changed. Raises StoreUnavailable.

        Where nothing can be recorded (Redis out of memory), it still reads.
        """
        with unavailable(self.client):
            try:
                version, now, live = self._eval(_READ)
            except ResponseError:
                return DialValues(_named(self.client.mget(self._dials)), self._version())
        return DialValues(_named(now), version.decode(), _named(live))

    def change(self, change: Change, version: str) -> RecordedChange:
        """Set one dial and record it, both or neither, if nothing has changed since `version`.

        Raises:
            DialsMoved: something has.
            AuditRefused: it could not be recorded.
            StoreUnavailable: Redis did not answer.

        """
        given = (b"0", b"") if change.after is None else (b"1", change.after)
        number = OPERATED.index(change.dial) + 1
        widened = ",".join(change.widened)
        said = (change.actor, change.command, change.reason, widened, change.override)
        words = [cut(each, WORDS_BYTES) for each in said]
        with unavailable(self.client):
            try:
                audit_id = self._eval(_CHANGE, version, number, *given, *words)
            except ResponseError as error:
                raise AuditRefused(str(error)) from None
            if audit_id is None:
                raise DialsMoved
            (entry,) = cast("list[Any]", self.client.xrange(self._audit, audit_id, audit_id))
        return _recorded(entry)

    def engage(self, actor: str, command: str, reason: str, value: bytes = b"true") -> Engaged:
        """Halt by whatever Redis still takes. Raises StoreUnavailable."""
        return pull(self.client, self.namespace, actor=actor, command=command, reason=reason, value=value)

    def audit(self, limit: int) -> list[RecordedChange]:
        """Return the newest `limit` changes, newest first. Raises StoreUnavailable."""
        with unavailable(self.client):
            entries = cast("list[Any]", self.client.xrevrange(self._audit, count=limit))
        return [_recorded(each) for each in entries]

    def _eval(self, script: LuaScript, *arguments: Any) -> Any:
        keys = [self._audit, AUDIT_SEEN(self.namespace), AUDIT_LIVE(self.namespace), *self._dials]
        return script.run(self.client, keys, *arguments)

    def _version(self) -> str:
        entries = cast("list[Any]", self.client.xrevrange(self._audit, count=1))
        return entries[0][0].decode() if entries else "0-0"

    @property
    def _dials(self) -> list[str]:
        return [key(self.namespace) for key in DIAL_KEYS.values()]

    @property
    def _audit(self) -> str:
        return AUDIT(self.namespace)


def _named(values: Any) -> dict[str, bytes | None]:
    return dict(zip(_NAMES, values, strict=True))


def _recorded(entry: tuple[bytes, dict[bytes, bytes]]) -> RecordedChange:
    audit_id, fields = entry[0].decode(), entry[1]
    words = {name: fields.get(name.encode(), b"").decode(errors="backslashreplace") for name in _WORDS}
    return RecordedChange(
        audit_id=audit_id,
        # A stream id begins with Redis's own clock.
        wall_ms=int(audit_id.partition("-")[0]),
        before=fields.get(b"before"),
        after=fields.get(b"after"),
        widened=tuple(each for each in words.pop("widened").split(",") if each),
        **words,
    )


_WORDS = ("dial", "actor", "command", "reason", "override", "widened")
