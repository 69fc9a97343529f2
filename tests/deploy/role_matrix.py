"""Tries every command of a real Redis on every key of the table in every role.

`python -m tests.deploy.role_matrix` prints it. What the server says of its commands (COMMAND) makes the list:
one that a later Redis adds is tried without a change here. ACL DRYRUN judges; scripts are really run,
each with one command.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import NoPermissionError

from tests.deploy.redis7 import ROLES, redis_server, users_of
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import Key

NAMESPACE = "slotgen"
FOREIGN = "other"
# The commands of more keys, or of keys in places that COMMAND cannot name; K is the key, O another one.
_MOVABLE = """
blmpop 1 1 K LEFT|bzmpop 1 1 K MIN|lmpop 1 K LEFT|zmpop 1 K MIN|sintercard 1 K|zintercard 1 K
zdiff 1 K|zinter 1 K|zunion 1 K
zdiffstore K 1 O|zdiffstore O 1 K|zinterstore K 1 O|zinterstore O 1 K|zunionstore K 1 O|zunionstore O 1 K
sort K|sort K STORE O|sort O STORE K|sort_ro K|georadius K 1 1 1 m STORE O|georadius O 1 1 1 m STORE K
georadiusbymember K m 1 m STORE O|georadiusbymember O m 1 m STORE K|migrate h 1 K 0 1|migrate h 1  0 1 KEYS K
xread STREAMS K 0|xreadgroup GROUP g c STREAMS K >|set K x GET
"""
# What runs scripts may name keys that it may not touch: `_by_script` tries what it does with them.
_SCRIPTS = {"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"}
# These name channels, which are tried by themselves.
_CHANNELS = {"spublish", "ssubscribe", "sunsubscribe"}
# The one role with a category of commands has none that Redis calls dangerous.
_NOT_THE_OPERATORS = {"migrate", "restore", "restore-asking", "sort", "sort_ro", "pfdebug"}
_MAY_RUN_SCRIPTS = {"worker", "operator", "keda"}
_SCRIPT = "local r = redis.pcall(unpack(ARGV)); return type(r) == 'table' and r.err or 'done'"
_REFUSED = ("NOPERM", "ACL failure", "The user executing the script can't")
_FAMILIES = ("read", "write", "delete", "expire", "move", "block", "admin", "script")
_DELETES = {
    "del", "unlink", "getdel", "hdel", "srem", "zrem", "lrem", "ltrim", "xdel",
    "xtrim", "spop", "lpop", "rpop", "lmpop", "zmpop",
    "zpopmin", "zpopmax", "zremrangebyscore", "zremrangebyrank", "zremrangebylex",
    "xgroup|destroy", "xgroup|delconsumer",
}  # fmt: skip
_MOVES = {
    "rename", "renamenx", "copy", "move", "smove", "lmove", "rpoplpush",
    "restore", "restore-asking", "migrate", "dump", "sort", "bitop", "pfmerge",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the server, in the words of one try: K is the key, O another one."""

    name: str
    words: tuple[str, ...]
    family: str

    def on(self, key: str, other: str) -> list[str]:
        """Return the try's words."""
        return [{"K": key, "O": other}.get(each, each) for each in self.words]


@dataclass(frozen=True, slots=True)
class Cell:
    """One try: a role, a key, a command with another key, and whether Redis and the table let it."""

    role: str
    name: str
    command: Command
    other: str
    allowed: bool
    meant: bool


def name_of(key: Key) -> str:
    """Return a key of the row's family."""
    return key.glob(NAMESPACE).replace("[1-9]", "3").replace("[0-9]", "1").replace("*", "x")


ROWS = {name_of(key): key for key in TABLE if key.type not in {"channel", "namespace"}}


def commands(client: redis.Redis) -> list[Command]:
    """Return every command of the server that names a key, each key of a command once as K."""
    found = []
    for name, flags, categories, arity, specs in _listed(client):
        if name in _SCRIPTS | _CHANNELS or not specs:
            continue
        family = _family(name, flags, categories)
        found += [Command(name, words, family) for words in _tries(name, arity, specs)]
    known = {each.name for each in found}
    flags_of = {name: (flags, categories) for name, flags, categories, *_ in _listed(client)}
    movable = [tuple(line.split(" ")) for line in _MOVABLE.strip().replace("\n", "|").split("|")]
    found += [Command(words[0], words, _family(words[0], *flags_of[words[0]])) for words in movable]
    assert len(known) > 150, "COMMAND has named too few"
    return found


def keyless(client: redis.Redis) -> list[tuple[str, int]]:
    """Return every other command of the server, with its arity."""
    movable = {line.split(" ")[0] for line in _MOVABLE.replace("\n", "|").split("|")}
    named = {each.name for each in commands(client)} | movable
    return [(name, arity) for name, _, _, arity, _ in _listed(client) if name not in named]


def _listed(client: redis.Redis) -> Iterator[tuple[str, set[str], set[str], int, list[list[Any]]]]:
    client.set_response_callback("COMMAND", lambda reply, **_: reply)  # redis-py drops most of it
    return _infos(client.execute_command("COMMAND"))


def _infos(replies: Any) -> Iterator[tuple[str, set[str], set[str], int, list[list[Any]]]]:
    for each in replies:
        name, arity, flags, _, _, _, categories, _, specs, subcommands = each[:10]
        text = name.decode()
        if subcommands:
            yield from _infos(subcommands)
            continue
        yield text, {f.decode() for f in flags}, {c.decode() for c in categories}, arity, specs


def _tries(name: str, arity: int, specs: list[Any]) -> Iterator[tuple[str, ...]]:
    places = []
    for spec in specs:
        fields = _map(spec)
        begin = _map(fields[b"begin_search"])
        find = _map(fields[b"find_keys"])
        if begin[b"type"] != b"index" or find[b"type"] != b"range":
            return  # in _MOVABLE
        first = _map(begin[b"spec"])[b"index"]
        last = _map(find[b"spec"])[b"lastkey"]
        places += range(first, first + max(last, 0) + 1)
    words = name.split("|")
    length = max(abs(arity), max(places) + 1)
    for place in places:
        row = [*words, *["1"] * (length - len(words))]
        for each in places:
            row[each] = "O"
        row[place] = "K"
        yield tuple(row)


def _map(reply: Any) -> dict[bytes, Any]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def _family(name: str, flags: set[str], categories: set[str]) -> str:
    if name in _DELETES:
        return "delete"
    if name in _MOVES or name.endswith("store"):
        return "move"
    if "blocking" in flags:
        return "block"
    if "expire" in name or name in {"persist", "getex"}:
        return "expire"
    if "@dangerous" in categories or not ({"@read", "@write"} & categories):
        return "admin"
    return "write" if "@write" in categories else "read"


def meant(role: str, name: str, keys: Iterable[str]) -> bool:
    """Return whether the table lets `role` give this command on all of `keys`."""
    if FOREIGN in keys:
        return False
    if role == "operator":
        return name not in _NOT_THE_OPERATORS
    return all(name in ROWS[key].may.get(role, "").split() for key in keys)


def matrix(admin: redis.Redis, clients: Mapping[str, redis.Redis]) -> list[Cell]:
    """Try every cell, by the clients of the roles what scripts do. The server's data is gone afterwards."""
    every = commands(admin)
    by_script = [cell for role in ROLES for cell in _by_script(role, clients[role], every)]
    admin.flushall()
    return [*_by_themselves(admin, every), *by_script]


def _by_script(role: str, client: redis.Redis, every: list[Command]) -> Iterator[Cell]:
    """Run a script for each key and command that a script may give; the key is declared as its own."""
    tries = [(key, command) for key in (*ROWS, FOREIGN) for command in every]
    with client.pipeline(transaction=False) as pipe:
        for key, command in tries:
            pipe.eval(_SCRIPT, 1, key, *command.on(key, key))
        replies = pipe.execute(raise_on_error=False)
    for (key, command), reply in zip(tries, replies, strict=True):
        if "not allowed from script" in str(reply):
            continue
        wanted = role in _MAY_RUN_SCRIPTS and meant(role, command.name, [key])
        refused = isinstance(reply, NoPermissionError) or any(each in str(reply) for each in _REFUSED)
        yield Cell(role, key, replace(command, family="script"), key, not refused, wanted)


def _by_themselves(admin: redis.Redis, every: list[Command]) -> list[Cell]:
    asked = []
    for role in ROLES:
        for key in (*ROWS, FOREIGN):
            for command in every:
                others = {key, NAMESPACE, FOREIGN} if "O" in command.words else {key}
                if command.name in {"lmove", "blmove", "del", "mget"}:
                    others |= set(ROWS)
                asked += [(role, key, command, other) for other in sorted(others)]
    cells = []
    for begin in range(0, len(asked), 5_000):
        batch = asked[begin : begin + 5_000]
        with admin.pipeline(transaction=False) as pipe:
            for role, key, command, other in batch:
                pipe.execute_command("ACL", "DRYRUN", role, *command.on(key, other))
            replies = pipe.execute(raise_on_error=False)
        for (role, key, command, other), reply in zip(batch, replies, strict=True):
            if isinstance(reply, Exception):
                raise TypeError(f"{role} {command.on(key, other)}: {reply}")
            keys = {key, other} if "O" in command.words else {key}
            wanted = meant(role, command.name, keys)
            cells.append(Cell(role, key, command, other, reply == b"OK", wanted))
    return cells


def table(cells: list[Cell]) -> str:
    """Return roles x keys, each cell with the families in which at least one command is allowed."""
    names = [each.encode("unicode_escape").decode() for each in (*ROWS, FOREIGN)]
    wide = max(map(len, names)) + 2
    held: dict[tuple[str, str], set[str]] = {}
    for cell in cells:
        if cell.allowed:
            held.setdefault((cell.role, cell.name), set()).add(cell.command.family)
    lines = [" " * wide + "".join(f"{role:<10}" for role in ROLES)]
    for shown, name in zip(names, (*ROWS, FOREIGN), strict=True):
        marks = ["".join(f[0] if f in held.get((r, name), ()) else "." for f in _FAMILIES) for r in ROLES]
        lines.append(f"{shown:<{wide}}" + "".join(f"{each:<10}" for each in marks))
    wrong = sum(each.allowed != each.meant for each in cells)
    legend = ", ".join(f"{each[0]} {each}" for each in _FAMILIES)
    return "\n".join([*lines, f"{legend}; {len(cells):,} tries, {wrong} not as the table says"])


def main() -> int:
    """Print the matrix of a server with the shipped users; exit 1 where it is not the table's."""
    with tempfile.TemporaryDirectory() as made:
        folder, port = Path(made), free_port()
        users = users_of(folder)
        with users.open("a") as more:
            more.write("user admin on >admin-password ~* &* +@all\n")
        with (
            open_sync(f"redis://127.0.0.1:{port}/0", timeout_seconds=5) as probe,
            redis_server(folder, ["--port", str(port), "--aclfile", users], probe),
            open_sync(f"redis://admin:admin-password@127.0.0.1:{port}/0", timeout_seconds=60) as admin,
            ExitStack() as opened,
        ):
            urls = {role: f"redis://{role}:{role}-password@127.0.0.1:{port}/0" for role in ROLES}
            clients = {
                role: opened.enter_context(open_sync(url, timeout_seconds=60)) for role, url in urls.items()
            }
            cells = matrix(admin, clients)
    sys.stdout.write(table(cells) + "\n")
    return int(any(each.allowed != each.meant for each in cells))


if __name__ == "__main__":
    sys.exit(main())
