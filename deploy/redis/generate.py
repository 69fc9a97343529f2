"""Writes users.acl and docs/redis-keys.md from the table of keys: `python deploy/redis/generate.py`.

With `--check` it only compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import Key, Limit

ACL = Path(__file__).parent / "users.acl"
DOC = Path(__file__).parents[2] / "docs" / "redis-keys.md"
NAMESPACE = "slotgen"
CONNECTED = "+hello +auth +ping +select +client|setname"
# EVAL requires the right to read and write each key declared to it; what the script then does is checked
# command by command.
SCRIPTS = "(-@all +eval +evalsha ~*)"
# What each role may do besides commands on keys; those follow from the table.
ROLES = {
    "producer": f"-@all {CONNECTED} +multi +exec +discard +unsubscribe",
    "consumer": f"-@all {CONNECTED}",
    "worker": f"-@all {CONNECTED} +client|id +client|reply +client|tracking +time +info +multi +exec "
    f"+discard +unwatch +script|load {SCRIPTS}",
    # It can see and repair every key below the namespace, future ones too. SCRIPT KILL: a halt cannot wait.
    "operator": "-@all +@read +@write +@connection +@transaction +@scripting +@pubsub -@dangerous "
    "-script|flush -function +info +time ~slotgen ~slotgen\x06\x16[1-9] ~slotgen:* "
    "~celery ~celery\x06\x16[1-9] ~celery-task-meta-* ~_kombu.binding*.slotgen "
    "&slotgen:kill:* &slotgen:halts &slotgen:halts:probe &slotgen:released &celery-task-meta-*",
    # KEDA reads lengths with a script.
    "keda": f"-@all {CONNECTED} {SCRIPTS}",
    "monitor": f"-@all {CONNECTED} +info +time",
    "guard": f"-@all {CONNECTED} +script|kill",
    # What `status` reads, but no content, and no names of keys; and what the guard may.
    "web": f"-@all {CONNECTED} +time +script|kill",
}
INTRODUCTION = """# Keys in Redis

`python deploy/redis/generate.py` writes this page, and `deploy/redis/users.acl`, from the table in
`worker/adapters/redis/keys.py`. `{ns}` is `SLOTGEN_NAMESPACE`; other braces stand for what differs from key
to key. Celery's keys belong to Celery: their names, types and lifetimes follow the locked release.

*entries* and *bytes of each* are maximums. A string has one entry, a stream may have up to 100 more than
stated, and bytes include field names. Where there is no figure, Redis's `maxmemory` is the limit. *EXPIRE
seconds* is a maximum too; if empty, the key does not expire. A name instead of a figure is a setting, a path
in the executor config, or the number of workers. A test compares every key of a running system with this
table.

The last column has the commands that each role of `users.acl` may give on the key; all others are refused, in
scripts too. The operator may do everything with every key. In Redis, whoever may `XADD` to a stream may trim
it: workers, the webhook and `slotgen web` could empty or forge `{ns}:audit:noticed`, but only the operator
could do so with `{ns}:audit`. Workers delete only what belongs to their work: claims, answers, whatever has
expired, and the oldest dead letters (an unbounded store would fill Redis). A script may do no more than the
role that runs it.

| key | type | owner | holds | bound | entries | bytes of each | lifetime | EXPIRE seconds | who may |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def acl() -> str:
    """Return the template of users.acl, a line for each role, each with a place for its password's hash."""
    return "user default off\n" + "".join(f"user {role} on #{{{role}}} {_rights(role)}\n" for role in ROLES)


def _rights(role: str) -> str:
    on: dict[str, list[str]] = {}
    for key in TABLE:
        sign = "&" if key.type == "channel" else "~"
        for command in key.may.get(role, "").split():
            on.setdefault(command, []).append(sign + key.glob(NAMESPACE))
    # A command of several keys needs all of them in one selector: those of a command are together.
    selectors: dict[str, list[str]] = {}
    for command, names in on.items():
        selectors.setdefault(" ".join(names), []).append(f"+{command}")
    return " ".join([ROLES[role], *(f"(-@all {' '.join(each)} {on})" for on, each in selectors.items())])


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
    return " ".join(f"`{word.replace('|', ' ').upper()}`" for word in words.split())


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
