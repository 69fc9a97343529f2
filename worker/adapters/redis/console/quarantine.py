"""Moves a key that is not as the table says aside, with a record, and deletes nothing."""

from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError

from tasks.operations.changes.dials import AuditRefused
from worker.adapters.redis.console.kill_switch_lever import WORDS_BYTES
from worker.adapters.redis.cut import cut
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import AUDIT, AUDIT_SEEN, BUDGET_CAP, QUARANTINE
from worker.adapters.redis.scripts import LuaScript
from worker.adapters.redis.wrong_keys import WrongKey, raw_name

# KEYS: the key, its place aside, the audit, its account of values. Recorded before it is done, but where the
# audit itself is in the way. ARGV[8] is what stays in the key's place: an absent cap is none. Then the fields
# of a hash that go alone: the holds and sums beside them are still true.
_PUT_ASIDE = LuaScript(f"""
local id
local function note()
  local fields = {{'dial', ARGV[1], 'before', ARGV[2], 'actor', ARGV[3], 'command', ARGV[4]}}
  fields[9], fields[10] = 'reason', ARGV[5]
  if ARGV[8] ~= '' then fields[#fields + 1] = 'after'; fields[#fields + 1] = ARGV[8] end
  id = redis.call('XADD', KEYS[3], 'MAXLEN', '~', {AUDIT.kept}, '*', unpack(fields))
end
if redis.call('TYPE', KEYS[1]).ok ~= ARGV[6] then return false end
if ARGV[9] ~= '' and redis.sha1hex(redis.call('GET', KEYS[1])) ~= ARGV[9] then return false end
if KEYS[1] ~= KEYS[3] then note() end
if #ARGV == 9 then
  redis.call('RENAME', KEYS[1], KEYS[2])
else
  for n = 10, #ARGV do
    redis.call('HSET', KEYS[2], ARGV[n], redis.call('HGET', KEYS[1], ARGV[n]) or '')
    redis.call('HDEL', KEYS[1], ARGV[n])
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[7])
if KEYS[1] == KEYS[3] then note() end
if ARGV[8] ~= '' then
  redis.call('SET', KEYS[1], ARGV[8])
  redis.pcall('HSET', KEYS[4], ARGV[1], ARGV[8])
else
  redis.pcall('HDEL', KEYS[4], ARGV[1])
end
return id
""")


@dataclass(frozen=True, slots=True)
class RedisQuarantine:
    """The quarantine of one namespace."""

    client: redis.Redis
    namespace: str

    def put_aside(self, wrong: WrongKey, actor: str, command: str, reason: str) -> tuple[str, str] | None:
        """Rename the key, or move its wrong fields, for 30 days.

        Return where it is now and the record's id; None where the key has changed.

        A dial counts as absent from then on, and the spend cap as 0.

        Raises:
            AuditRefused: it could not be recorded, so nothing was done.
            StoreUnavailable: Redis did not answer.

        """
        ns = self.namespace
        name = wrong.key.removeprefix(ns).removeprefix(":") or wrong.key
        instead = "0" if wrong.key == BUDGET_CAP(ns) else ""
        with unavailable(self.client):
            seconds, micros = self.client.time()
            kind: Any = self.client.type(raw_name(wrong.key))
            aside = QUARANTINE(ns, seconds * 1000 + micros // 1000, wrong.key)
            keys: list[str | bytes] = [*map(raw_name, (wrong.key, aside)), AUDIT(ns), AUDIT_SEEN(ns)]
            words = [cut(each, WORDS_BYTES) for each in (actor, command, reason)]
            arguments = [
                raw_name(name),
                wrong.found,
                *map(raw_name, words),
                kind,
                QUARANTINE.seconds,
                instead,
            ]
            # What a worker has put in its place in the meantime stays there.
            arguments += [wrong.sha1, *wrong.fields]
            try:
                audit_id = _PUT_ASIDE.run(self.client, keys, *arguments)
            except ResponseError as error:
                raise AuditRefused(str(error)) from None
        return None if audit_id is None else (aside, audit_id.decode())
