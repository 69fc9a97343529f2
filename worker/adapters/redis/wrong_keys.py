"""Finds keys of the table that hold what they should not, and says how to clear them.

The table has the type of each key and, where a reader relies on it, the form of its values. In a collection
(a stream, a list, a sorted set) readers skip entries that are not slotgen's.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import cache
from itertools import islice
from typing import Any, cast

import redis
from redis.exceptions import NoPermissionError

from gates import Trouble
from tasks.errors import StoreUnavailable
from worker.adapters.redis.dial_keys import DIAL_KEYS, TABLE
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import JSON, WORKER_INFO, WORKERS, Key
from worker.adapters.redis.scripts import LuaScript

_KEPT = [row for row in TABLE if row.type not in {"channel", "namespace", "any"}]
_DIALS = {row.pattern: dial for dial, row in DIAL_KEYS.items()}
_DIGITS = "123456789"
# How much of a value a scan looks at. A longer one is judged when it is read, or named.
_MOST_KEYS = 100_000
# Redis looks through this many names in a few milliseconds.
_AT_A_GLANCE = 10_000
_GLANCES = 10
_MOST_GLANCED = 2_000
_AT_ONCE = 500
_MOST_BYTES = 4096
_MOST_FIELDS = 1_000
# The streams of KEYS whose last id, an entry's or not, is more than a year ahead of Redis's clock: every
# later entry has that time, and after the highest id there is none. XINFO's own entries stay in Redis.
_AHEAD = LuaScript("""
local found, latest_ms = {}, (redis.call('TIME')[1] + 31536000) * 1000
for n, key in ipairs(KEYS) do
  local said = redis.pcall('XINFO', 'STREAM', key)
  for i = 1, #said, 2 do
    local id = said[i] == 'last-generated-id' and said[i + 1]
    if id and tonumber(string.match(id, '^%d+')) > latest_ms then found[#found + 1] = {n, id} end
  end
end
return found
""")


@dataclass(frozen=True, slots=True)
class WrongKey:
    """A key that is not as the table says; bytes of its name that are not UTF-8 are surrogates.

    In a hash only these `fields` are wrong, if any are named: the others stay. `sha1` is that of a string
    judged as a whole.
    """

    key: str
    found: str
    wanted: str
    fields: tuple[bytes, ...] = ()
    sha1: str = ""

    @property
    def remedy(self) -> str:
        """The command that puts it aside."""
        return f'slotgen repair {quoted(self.key)} --reason "…"'

    @property
    def what(self) -> str:
        """What is wrong, to be read after the name."""
        return f"holds {self.found}, and should hold {self.wanted}"

    def __str__(self) -> str:
        return f"{self.key} {self.what}; see what it is, then: {self.remedy}"


class KeyUnreadable(StoreUnavailable):
    """What was read from a key is not what the table says; `wrong` has which, and what to do."""

    def __init__(self, wrong: WrongKey) -> None:
        super().__init__(str(wrong))
        self.wrong = wrong


def check(row: Key, key: str, value: bytes | Mapping[bytes, bytes]) -> None:
    """Accept a string's value, or a hash's, if it has the row's form. Raises KeyUnreadable."""
    if wrong := _of_another_form(row, key, value):
        raise KeyUnreadable(wrong)


def read_json(row: Key, key: str, value: bytes) -> Any:
    """Return the document in `value`. Raises KeyUnreadable."""
    check(row, key, value)
    return json.loads(value)


def row_of(name: str, namespace: str) -> Key | None:
    """Return the row of a key; `budget:holds` has its own, and is not one of the accounts `budget:*`."""
    return next((row for form, row in _forms(namespace) if form.match(name)), None)


def judge(client: redis.Redis, namespace: str, names: Iterable[str]) -> list[WrongKey]:
    """Return which of the keys are not as the table says. Raises StoreUnavailable."""
    rows = {name: row for name in names if (row := row_of(name, namespace))}
    wrong, right, streams = [], [], []
    with unavailable(client):
        kinds = _asked(client, [("TYPE", raw_name(each)) for each in rows])
        lasting = [name for name, row in rows.items() if row.ttl_seconds]
        ends = dict(zip(lasting, _asked(client, [("TTL", raw_name(each)) for each in lasting]), strict=True))
        for (name, row), kind in zip(rows.items(), kinds, strict=True):
            if not isinstance(kind, bytes) or kind == b"none":
                continue
            if kind.decode() != row.type:
                wrong.append(WrongKey(name, f"a {kind.decode()}", f"a {row.type}"))
            elif ends.get(name) == -1:
                wrong.append(WrongKey(name, "a value that never expires", f"one for {row.lifetime}"))
            elif row.type == "stream":
                streams.append(name)
            elif row.form or row.pattern in _DIALS:
                right.append(name)
        wrong += _ahead(client, streams)
        values = _asked(client, [_glance(rows[name], raw_name(name)) for name in right])
    for name, value in zip(right, values, strict=True):
        whole = value[1] if isinstance(value, tuple) else value
        cut_off = not isinstance(whole, (bytes, dict)) or len(whole) == _MOST_BYTES
        if not cut_off and (odd := _of_another_form(rows[name], name, whole)):
            wrong.append(odd)
    return wrong


def judge_one(client: redis.Redis, namespace: str, name: str) -> WrongKey | None:
    """Return what is wrong with one key, however long its value is. Raises StoreUnavailable."""
    with unavailable(client):
        (value,) = cast("list[bytes | None]", client.mget([raw_name(name)]))
    wrong = next(iter(judge(client, namespace, [name])), None)
    row = row_of(name, namespace)
    if value is None or row is None:
        return wrong
    if wrong is None and row.type == "string":
        wrong = _of_another_form(row, name, value)
    return wrong and replace(wrong, sha1=hashlib.sha1(value, usedforsecurity=False).hexdigest())


def at_hand(client: redis.Redis, namespace: str, *, role: str = "") -> list[WrongKey]:
    """Return what is wrong among the keys whose names are known without a search. Raises StoreUnavailable.

    With `role`, among those whose type it may ask for.
    """
    rows = [row for row in _KEPT if not role or "type" in row.may.get(role, "").split()]
    names = [name for row in rows for name in _names(row, namespace)]
    with unavailable(client):
        (workers,) = _asked(client, [("ZRANGE", WORKERS(namespace), 0, 99)])
    if isinstance(workers, list):
        names += [WORKER_INFO(namespace, known_name(each)) for each in workers]
    return judge(client, namespace, names)


def glance(client: redis.Redis, namespace: str) -> list[WrongKey]:
    """Return what is wrong among what a tenth of a second finds in the namespace. Raises StoreUnavailable."""
    cursor, found = 0, list[Any]()
    with unavailable(client):
        for _ in range(_GLANCES):
            cursor, names = client.scan(cursor, match=f"{namespace}:*", count=_AT_A_GLANCE)
            found += names
            if cursor == 0:
                break
    return judge(client, namespace, map(known_name, found[:_MOST_GLANCED]))


def scan(client: redis.Redis, namespace: str) -> tuple[list[WrongKey], bool]:
    """Return what is wrong among 100,000 keys, and whether those were all. Raises StoreUnavailable."""
    globs = {row.glob(namespace) for row in _KEPT}
    # One pass for everything below the namespace, and one for each pattern of Celery's own.
    globs = {f"{namespace}:*"} | {each for each in globs if not each.startswith(namespace + ":")}
    wrong: list[WrongKey] = []
    seen = 0
    with unavailable(client):
        found = (raw for glob in sorted(globs) for raw in client.scan_iter(match=glob, count=_AT_ONCE))
        while names := list(islice(found, min(_AT_ONCE, _MOST_KEYS - seen))):
            seen += len(names)
            wrong += judge(client, namespace, map(known_name, names))
    return list(dict.fromkeys(wrong)), seen < _MOST_KEYS


def raw_name(name: str) -> bytes:
    """Return a key's name as Redis has it."""
    return name.encode(errors="surrogateescape")


def known_name(raw: bytes) -> str:
    """Return a key's name as text, from which `raw_name` makes the same bytes."""
    return raw.decode(errors="surrogateescape")


@cache
def _forms(namespace: str) -> list[tuple[re.Pattern[str], Key]]:
    """Return the pattern of each row's names, those of single keys first."""
    globs = sorted(((row.glob(namespace), row) for row in _KEPT), key=lambda each: "*" in each[0])
    return [(re.compile(translate(glob)), row) for glob, row in globs]


def _names(row: Key, namespace: str) -> list[str]:
    if "{digit}" in row.pattern:
        return [row.pattern.format(ns=namespace, digit=digit) for digit in _DIGITS]
    name = row.glob(namespace)
    return [] if "*" in name else [name]


def _asked(client: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the replies, errors among them."""
    if not commands:
        return []
    with client.pipeline(transaction=False) as pipe:
        for each in commands:
            pipe.execute_command(*each)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        return pipe.execute(raise_on_error=False)


def _ahead(client: redis.Redis, streams: Sequence[str]) -> list[WrongKey]:
    try:
        found = _AHEAD.run(client, list(map(raw_name, streams))) if streams else []
    except NoPermissionError:
        return []  # not every role may look
    wanted = "ids up to now"
    return [WrongKey(streams[n - 1], f"an id of the future ({last.decode()})", wanted) for n, last in found]


def _glance(row: Key, raw: bytes) -> tuple[Any, ...]:
    if row.type == "hash":
        return ("HSCAN", raw, 0, "COUNT", _MOST_FIELDS)
    return ("GETRANGE", raw, 0, _MOST_BYTES - 1)


def _of_another_form(row: Key, key: str, value: bytes | Mapping[bytes, bytes]) -> WrongKey | None:
    dial = _DIALS.get(row.pattern)
    wanted = dial.remedy.removeprefix("set ") if dial else f"what is of the form {row.form}"
    if isinstance(value, bytes):
        return None if _is_sound(row, value) else WrongKey(key, "a value that cannot be read", wanted)
    odd = tuple(field for field, each in value.items() if not _is_sound(row, each))
    names = ", ".join(repr(each.decode(errors="backslashreplace"))[:64] for each in odd[:3])
    return WrongKey(key, f"fields that cannot be read ({names})", wanted, odd) if odd else None


def _is_sound(row: Key, value: bytes) -> bool:
    if dial := _DIALS.get(row.pattern):
        return dial.read(value).trouble is not Trouble.MALFORMED
    if row.form != JSON:
        return not row.form or re.fullmatch(row.form.encode(), value, re.DOTALL) is not None
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def quoted(name: str) -> str:
    """Return a key's name as a shell takes it."""
    if name.isprintable():
        return shlex.quote(name)
    seen = bytes(range(32, 127)).translate(None, b"'\\")
    return f"$'{''.join(chr(each) if each in seen else f'{chr(92)}x{each:02x}' for each in raw_name(name))}'"
