"""Changes the dials in Redis and keeps the record of who changed what, raw commands included.

`<namespace>:audit` is a stream of the changes that commands made, the newest of them; none but the operator's
role can write it. `…:audit:seen` has the values that are accounted for: a dial that holds something else was
changed by a raw command, and whoever looks next, workers too, notes that in `…:audit:noticed`, where workers
and the webhook also say when they have halted. `…:audit:live` has the dials as they were when the kill switch
was last off. Each entry has the user of Redis that wrote it.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.exceptions import NoPermissionError, ResponseError

from tasks.operations.changes.dials import (
    NOTICED,
    OPERATED,
    RAW_ACTOR,
    RAW_COMMAND,
    AuditRefused,
    Change,
    DialsMoved,
    DialValues,
    Engaged,
    RecordedChange,
    last_of_each,
)
from worker.adapters.redis.clients import user_of
from worker.adapters.redis.console.kill_switch_lever import WORDS_BYTES, pull
from worker.adapters.redis.cut import cut
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.dial_lua import RELEASES
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import AUDIT, AUDIT_LIVE, AUDIT_NOTICED, AUDIT_SEEN, Key
from worker.adapters.redis.scripts import LuaScript

# From each record: enough to find who halted, whatever was changed since.
_LAST = 50
# Of a record: what a value's own bound leaves room for, and all that is read for one command.
_LONGEST_BYTES = 1 << 17
_MOST_BYTES = 1 << 26
_NAMES = [dial.name for dial in OPERATED]
# KEYS: audit, noticed, seen, live, then the dials. MGET reads a key of another type as absent, as gates do.
# ARGV[1] is the user of Redis.
# A value above 64 KiB is recorded by its digest: the record must stay small beside a policy of megabytes.
# What cannot be noticed hinders nothing, since weaker roles may write there, and is noticed once it can be.
_LOOK = f"""{RELEASES}
local NAMES = {{{", ".join(f"'{name}'" for name in _NAMES)}}}
local function brief(value)
  if #value <= 65536 then return value end
  return 'sha1 ' .. redis.sha1hex(value) .. ', ' .. #value .. ' bytes'
end
local function note(record, dial, before, after, actor, command, reason, widened, override)
  local fields = {{'dial', dial, 'actor', actor, 'command', command, 'reason', reason,
                  'widened', widened, 'override', override, 'redis_user', ARGV[1]}}
  if before then fields[#fields + 1] = 'before'; fields[#fields + 1] = before end
  if after then fields[#fields + 1] = 'after'; fields[#fields + 1] = brief(after) end
  local id = redis.call('XADD', record, 'MAXLEN', '~', {AUDIT.kept}, '*', unpack(fields))
  if after then redis.call('HSET', KEYS[3], dial, brief(after)) else redis.call('HDEL', KEYS[3], dial) end
  return id
end
local now = redis.call('MGET', unpack(KEYS, 5, #NAMES + 4))
for i, dial in ipairs(NAMES) do
  local seen = redis.call('HGET', KEYS[3], dial)
  if (now[i] and brief(now[i])) ~= seen then
    pcall(note, KEYS[2], dial, seen, now[i], '{RAW_ACTOR}', '{RAW_COMMAND}', '', '', '')
  end
end
local function keep_live()
  if not releases(now[1]) then return end
  for i = 2, #NAMES do
    local kept = redis.call('HGET', KEYS[4], NAMES[i])
    if now[i] and kept ~= now[i] then redis.call('HSET', KEYS[4], NAMES[i], now[i]) end
    if kept and not now[i] then redis.call('HDEL', KEYS[4], NAMES[i]) end
  end
  redis.call('HSETNX', KEYS[4], 'kill', 'false')
end
keep_live()
"""
_NOTICE = LuaScript(_LOOK)
# The newest entry of each record, for what is noticed is a change as well.
_VERSION = """
local function last(record)
  local entry = redis.call('XREVRANGE', record, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end
local function version() return last(KEYS[1]) .. ' ' .. last(KEYS[2]) end
"""
_READ = LuaScript(f"""{_LOOK}{_VERSION}
local live = redis.call('HMGET', KEYS[4], unpack(NAMES))
return {{version(), now, live}}
""")
# The change is recorded before it is made: if it cannot be recorded (out of memory), it fails here and is not
# made. HLEN fails if `live` could not be kept afterwards, when the change would be both made and refused.
# ARGV[11] is when nobody waits for it any more: a frozen Redis still finds it in its socket when it thaws.
_CHANGE = LuaScript(f"""{_LOOK}{_VERSION}
local clock = redis.call('TIME')
if clock[1] * 1000 + clock[2] / 1000 > tonumber(ARGV[11]) then return 0 end
if version() ~= ARGV[2] then return false end
redis.call('HLEN', KEYS[4])
local n = tonumber(ARGV[3])
local after = ARGV[4] == '1' and ARGV[5] or false
local before = now[n] and brief(now[n]) or false
local id = note(KEYS[1], NAMES[n], before, after, ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
if after then redis.call('SET', KEYS[n + 4], after) else redis.call('DEL', KEYS[n + 4]) end
now[n] = after
keep_live()
return id
""")
# KEYS: audit, noticed. ARGV: how many entries of each are read, how many bytes of each word are returned (a
# metric needs less than policies have), and after how many bytes no other entry is read: weaker roles may
# write what is noticed, and a few hundred megabytes of it would keep Redis from answering anybody.
_NEWEST = LuaScript("""
local found = {}
for record, key in ipairs(KEYS) do
  local before, read = '+', 0
  for _ = 1, tonumber(ARGV[1]) do
    local entry = redis.call('XREVRANGE', key, before, '-', 'COUNT', 1)[1]
    if not entry or read > tonumber(ARGV[3]) then break end
    local words = {}
    for i, word in ipairs(entry[2]) do
      read = read + #word
      if i <= 32 then words[i] = string.sub(word, 1, ARGV[2]) end
    end
    found[#found + 1] = {record, entry[1], words}
    before = '(' .. entry[1]
  end
end
return found
""")
# KEYS: those of `_LOOK`, and what is deleted.
_CLEAR = LuaScript(f"""{_LOOK}
local key = KEYS[#KEYS]
if redis.call('EXISTS', key) == 0 then return 0 end
note(KEYS[1], ARGV[2], false, false, ARGV[3], ARGV[4], ARGV[5], '', '')
return redis.call('DEL', key)
""")


@dataclass(frozen=True, slots=True)
class RedisDials:
    """The dials of one namespace, as an operator handles them."""

    client: redis.Redis
    namespace: str

    def notice(self) -> None:
        """Record what raw commands have changed, if Redis takes it; a worker may. Raises StoreUnavailable."""
        with unavailable(self.client), contextlib.suppress(ResponseError):
            self._eval(_NOTICE)

    def read(self) -> DialValues:
        """Return the dials, after recording what raw commands have changed. Raises StoreUnavailable.

        Where nothing can be recorded (Redis out of memory), it still reads.
        """
        with unavailable(self.client):
            try:
                version, now, live = self._eval(_READ)
            except ResponseError:
                return self.look()
        return DialValues(_named(now), version.decode(), _named(live))

    def look(self) -> DialValues:
        """Return the dials, and record nothing. Raises StoreUnavailable."""
        with unavailable(self.client):
            return DialValues(_named(self.client.mget(self._dials)), self._version())

    def change(self, change: Change, version: str) -> RecordedChange:
        """Set one dial and record that, both or neither, if nothing has changed since `version`.

        Raises:
            DialsMoved: something has.
            AuditRefused: it could not be recorded.
            StoreUnavailable: Redis did not answer in time, and will not make the change later either.

        """
        given = (b"0", b"") if change.after is None else (b"1", change.after)
        number = OPERATED.index(change.dial) + 1
        widened = ",".join(change.widened)
        said = (change.actor, change.command, change.reason, widened, change.override)
        words = [cut(each, WORDS_BYTES) for each in said]
        with unavailable(self.client):
            try:
                audit_id = self._eval(_CHANGE, version, number, *given, *words, self._given_up_ms())
            except ResponseError as error:
                raise AuditRefused(str(error)) from None
            if audit_id is None:
                raise DialsMoved
            if audit_id == 0:
                raise redis.TimeoutError
            key = AUDIT(self.namespace)
            (entry,) = cast("list[Any]", self.client.xrange(key, audit_id, audit_id))
        return _recorded(entry)

    def clear(self, key: str, name: str, *, actor: str, command: str, reason: str) -> bool:
        """Delete `key` and record that under `name`, both or neither; False when there is no such key.

        Raises AuditRefused, StoreUnavailable.
        """
        words = [cut(each, WORDS_BYTES) for each in (name, actor, command, reason)]
        with unavailable(self.client):
            try:
                return bool(self._eval(_CLEAR, *words, more=[key]))
            except ResponseError as error:
                raise AuditRefused(str(error)) from None

    def engage(self, actor: str, command: str, reason: str, value: bytes = b"true") -> Engaged:
        """Halt by whatever means Redis still accepts. Raises StoreUnavailable."""
        return pull(self.client, self.namespace, actor=actor, command=command, reason=reason, value=value)

    def audit(self, limit: int) -> list[RecordedChange]:
        """Return the newest `limit` changes, newest first. Raises StoreUnavailable."""
        return self.audit_of_each(limit)[:limit]

    def last_changes(self) -> dict[str, RecordedChange]:
        """Return the last change of each dial, as `last_of_each` of the newest on record; a worker may.

        Their values are cut. Nothing where the record cannot be read. Raises StoreUnavailable.
        """
        with unavailable(self.client), contextlib.suppress(ResponseError):
            return last_of_each(_newest_first(self._newest_of_each(_LAST, 128, 1 << 22)))
        return {}

    def audit_of_each(self, limit: int) -> list[RecordedChange]:
        """Return the newest `limit` changes of each record, newest first: none hides behind the other's.

        Raises StoreUnavailable.
        """
        with unavailable(self.client):
            try:
                found = self._newest_of_each(limit, _LONGEST_BYTES, _MOST_BYTES)
            except NoPermissionError:
                # A role that runs no scripts.
                found = [_recorded(each) for each in self._newest(AUDIT, limit)]
                found += [_noticed(each) for each in self._newest(AUDIT_NOTICED, limit)]
        return _newest_first(found)

    def _newest_of_each(self, limit: int, word_bytes: int, most_bytes: int) -> list[RecordedChange]:
        keys = [AUDIT(self.namespace), AUDIT_NOTICED(self.namespace)]
        return [
            (_recorded, _noticed)[record - 1]((audit_id, dict(zip(words[::2], words[1::2], strict=False))))
            for record, audit_id, words in _NEWEST.run(self.client, keys, limit, word_bytes, most_bytes)
        ]

    def _eval(self, script: LuaScript, *arguments: Any, more: Sequence[str] = ()) -> Any:
        records = [key(self.namespace) for key in (AUDIT, AUDIT_NOTICED, AUDIT_SEEN, AUDIT_LIVE)]
        return script.run(self.client, [*records, *self._dials, *more], user_of(self.client), *arguments)

    def _given_up_ms(self) -> int:
        """Return when, by Redis's clock, this client soon gives up on a command that it sends now."""
        seconds, micros = self.client.time()
        timeout_seconds = self.client.connection_pool.connection_kwargs["socket_timeout"]
        # The reply needs a moment to get here.
        return int(seconds * 1000 + micros / 1000 + timeout_seconds * 800)

    def _version(self) -> str:
        last = []
        for key in (AUDIT, AUDIT_NOTICED):
            try:
                last += [self._newest(key, 1)]
            except ResponseError:
                last += [[]]  # no change can be recorded, and so none is made
        return " ".join(each[0][0].decode() if each else "0-0" for each in last)

    def _newest(self, key: Key, limit: int) -> list[Any]:
        return cast("list[Any]", self.client.xrevrange(key(self.namespace), count=limit))

    @property
    def _dials(self) -> list[str]:
        return [key(self.namespace) for key in DIAL_KEYS.values()]


def _newest_first(changes: list[RecordedChange]) -> list[RecordedChange]:
    """Return both records as one. Within a millisecond, what began with a value came after what left it."""
    found = sorted(changes, key=lambda each: each.wall_ms, reverse=True)
    for n, (newer, older) in enumerate(itertools.pairwise(found)):
        at_once = newer.wall_ms == older.wall_ms and newer.dial == older.dial
        if at_once and older.before == newer.after and newer.before != older.after:
            found[n], found[n + 1] = older, newer
    return found


def _named(values: Any) -> dict[str, bytes | None]:
    return dict(zip(_NAMES, values, strict=True))


def _noticed(entry: tuple[bytes, dict[bytes, bytes]]) -> RecordedChange:
    # Only commands may say this; from anyone else it is not believed.
    found = _recorded(entry)
    return dataclasses.replace(
        found, audit_id=f"{NOTICED}{found.audit_id}", noticed=True, widened=(), override=""
    )


def _recorded(entry: tuple[bytes, dict[bytes, bytes]]) -> RecordedChange:
    audit_id, fields = entry[0].decode(), entry[1]
    words: dict[str, Any] = {
        name: fields.get(name.encode(), b"").decode(errors="backslashreplace") for name in _WORDS
    }
    return RecordedChange(
        audit_id=audit_id,
        # A stream id begins with Redis's own clock.
        wall_ms=int(audit_id.partition("-")[0]),
        before=fields.get(b"before"),
        after=fields.get(b"after"),
        widened=tuple(each for each in words.pop("widened").split(",") if each),
        **words,
    )


_WORDS = ("dial", "actor", "command", "reason", "override", "widened", "redis_user")
