"""Writes users.acl and docs/redis-keys.md from the table of keys: `python deploy/redis/generate.py`.

With `--check` it only compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import ALL, LENGTH, READ, Key, Limit

ACL = Path(__file__).parent / "users.acl"
DOC = Path(__file__).parents[2] / "docs" / "redis-keys.md"
NAMESPACE = "slotgen"
CONNECTED = "+hello +auth +ping +select +client|setname"
# Each role's commands; {keys}, {channels} and {selectors} are what the table lets it have of them.
ROLES = {
    "producer": f"-@all {CONNECTED} +multi +exec +discard +unsubscribe resetchannels {{channels}} +subscribe "
    "{selectors}",
    "consumer": f"-@all {CONNECTED} {{selectors}}",
    "worker": f"-@all {CONNECTED} +client|id +client|tracking +time +info +multi +exec +discard +watch "
    "+unwatch +@scripting -script|flush -script|kill -function -fcall resetchannels {channels} +publish "
    "+subscribe +unsubscribe +@read +@write +blmove -@dangerous +info {keys} {selectors}",
    # Whatever there will be below the namespace, it can see and mend it.
    "operator": "-@all +@read +@write +@connection +@transaction +@scripting +@pubsub -@dangerous "
    "-script|flush -script|kill -function +info +time ~slotgen ~slotgen\x06\x16[1-9] ~slotgen:* "
    "~celery ~celery\x06\x16[1-9] ~celery-task-meta-* ~_kombu.binding*.slotgen "
    "&slotgen:kill:* &slotgen:halts &celery-task-meta-*",
    # For KEDA and the exporter, which ask for lengths, KEDA by a script.
    "monitor": f"-@all {CONNECTED} +info +time +eval +type +exists +llen +hlen +zcard +scard +xlen {{keys}}",
    "guard": f"-@all {CONNECTED} {{selectors}}",
}
INTRODUCTION = """# Keys in Redis

`python deploy/redis/generate.py` writes this page, and `deploy/redis/users.acl`, from the table in
`worker/adapters/redis/keys.py`. `{ns}` is `SLOTGEN_NAMESPACE`, other braces stand for what differs from key
to key. Celery's keys are its own: its names, types and life follow the locked release.

A key has at most so many entries (a string is one; a stream has up to 100 more), each of at most so many
bytes with its names; without a figure, Redis's `maxmemory` is the bound. It has an EXPIRE of at most so many
seconds, or none. What is set elsewhere is named: a setting, a path in the executor config, the number of
workers. A test holds every key of a running system against this table.

The last column has what each role of `users.acl` may do: everything (all), read, ask for the length, or the
commands that are named. The operator may do everything with every key.

| key | type | owner | holds | bound | entries | bytes of each | lifetime | EXPIRE seconds | who may |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def acl() -> str:
    """Return the template of users.acl, a line for each role, each with a place for its password's hash."""
    return "user default off\n" + "".join(f"user {role} on #{{{role}}} {_rights(role)}\n" for role in ROLES)


def _rights(role: str) -> str:
    keys, channels, selectors = [], [], {}
    for key in TABLE:
        words = key.may.get(role, "").split()
        glob = key.glob(NAMESPACE)
        place = f"&{glob}" if key.type == "channel" else f"~{glob}"
        if ALL in words or LENGTH in words:
            (channels if key.type == "channel" else keys).append(place)
        elif READ in words:
            keys.append(f"%R{place}")
        commands = " ".join(f"+{word}" for word in words if word not in {ALL, LENGTH, READ})
        if commands:
            selectors.setdefault(commands, []).append(place)
    parts = {
        "keys": " ".join(keys),
        "channels": " ".join(channels),
        "selectors": " ".join(f"(-@all {commands} {' '.join(on)})" for commands, on in selectors.items()),
    }
    return ROLES[role].format(**parts).strip()


def doc() -> str:
    """Return the page."""
    return INTRODUCTION + "".join(_row(key) for key in TABLE)


def _row(key: Key) -> str:
    name = key.pattern.encode("unicode_escape").decode()
    may = "; ".join(f"{role}: {_words(words)}" for role, words in key.may.items()) or "operator alone"
    size = f"{key.bound} | {_figure(key.entries)} | {_figure(key.entry_bytes)}"
    ends = f"{key.lifetime} | {_figure(key.ttl_seconds)}"
    return f"| `{name}` | {key.type} | {key.owner} | {key.holds} | {size} | {ends} | {may} |\n"


def _figure(limit: int | Limit | None) -> str:
    return "" if limit is None else f"{limit:,}" if isinstance(limit, int) else str(limit)


def _words(words: str) -> str:
    return " ".join(
        word if word in {ALL, LENGTH, READ} else f"`{word.replace('|', ' ').upper()}`"
        for word in words.split()
    )


def main() -> int:
    """Write both files; with --check write nothing, and exit 1 where one is not what it would be."""
    stale = []
    for path, text in ((ACL, acl()), (DOC, doc())):
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(f"{', '.join(stale)} is not what deploy/redis/generate.py writes; run it\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
