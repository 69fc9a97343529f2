"""Every command that anything prints, or that a page shows, is one that works when it is copied."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from typer.main import get_command

from tests.builders import a_job, a_message, a_spec, an_allowlist
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.cli import build
from worker.dev.redis_server.binary import find_redis_server

ROOT = Path(__file__).resolve().parents[3]
GROUP = get_command(build())
NAMES = {*GROUP.list_commands(None), "halt"}
PRODUCT = sorted(
    each for room in ("gates", "tasks", "telemetry", "worker") for each in (ROOT / room).rglob("*.py")
)
PAGES = [
    ROOT / "README.md",
    *sorted(
        each
        for room in ("deploy", "docs")
        for each in (ROOT / room).rglob("*")
        if each.suffix in {".md", ".yml", ".yaml", ".sh", ".json"}
    ),
]
# What stands for a value that is put in when it is printed.
GAP = "\0"
# Where a command may begin: in backticks, or bare after what announces it.
BEGIN = re.compile(
    r"(?:`|^\s*\$? ?|[:;,(] |\b(?:see|run|or|and|&&) |\\n)(slotgen (?=[a-z-])|redis-cli (?=[A-Z-]))",
    re.MULTILINE,
)
WORD = re.compile(r""" ?("[^"`]*"|\\"[^"`]*"|[^\s`"]+)""")
# No command to copy, but what one is called.
PROSE = {"enqueue"}
# What stands after these words, where it is named or put in.
VALUES = {
    "--as": "text",
    "--audit": "1-0",
    "--code": "KILL_SWITCH",
    "--job": "past-0",
    "--reason": "why",
    "--resume": "state.json",
    "clear": "gpt-6-luna",
    "feature": "off",
    "push": "allowlist.json",
    "repair": "no-key",
    "rollout": "5",
    "set": "5",
    "text": "FILE",
}
SECOND_WORDS = {"list", "show", "replay", "drop", "push", "validate", "enable", "disable", "set", "clear"} | {
    "on",
    "off",
    "brake",
    "guard",
}
# These go on until somebody ends them, or start what another test starts.
GO_ON = (
    "worker",
    "dev",
    "demo",
    "web",
    "webhook",
    "tail",
    "drill --embedded",
    "status --watch",
    "kill --keep-trying",
    "enqueue",
)


def texts(file: Path) -> Iterator[str]:
    """Yield what the file prints or shows: of a program each text, the help of its commands too."""
    match file.suffix:
        case ".py":
            yield from texts_of(ast.parse(file.read_text("utf-8")))
        case ".json":
            yield from re.findall(
                r'"(?:[^"\\]|\\.)*"', json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False)
            )
        case _:
            yield file.read_text("utf-8")


def texts_of(tree: ast.Module) -> Iterator[str]:
    first = tree.body[0] if tree.body else None
    # A module's docstring is read by those alone who read it.
    inner = [first.value] if isinstance(first, ast.Expr) else []
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(parts):
                inner += parts
                yield "".join(each.value if isinstance(each, ast.Constant) else GAP for each in parts)
            case ast.Constant(str(text)) if not any(node is each for each in inner):
                yield text


def commands(file: Path) -> Iterator[str]:
    """Yield those of this program without its name, and those of redis-cli."""
    for text in (re.sub(r" \\\n *", " ", each) for each in texts(file)):
        for begin in BEGIN.finditer(text):
            quoted, redis_cli = begin.group().startswith("`"), begin[1] == "redis-cli "
            words = list(words_from(text, begin.end(), quoted=quoted or redis_cli))
            if redis_cli:
                yield begin[1] + " ".join(words)
            elif words and words[0] in NAMES:
                yield from map(" ".join, itertools.product(*(each.split("|") for each in words)))


def words_from(text: str, at: int, *, quoted: bool) -> Iterator[str]:
    """Yield the words of a command up to its backtick, the end of its line or clause, or prose."""
    before = ""
    while found := WORD.match(text, at):
        word, at = found[1], found.end()
        if word in {"#", "&&"} or (not quoted and before and is_prose(word, before)):
            return
        ends = not quoted and word[-1] in ";,.)"
        before = word.rstrip(";,.)") if ends else word
        yield before
        if ends:
            return


def is_prose(word: str, before: str) -> bool:
    """Whether a word after a bare command is no part of it: no option, value or subcommand."""
    plain = word.rstrip(";,.)").isalpha() and word.islower()
    return plain and not before.startswith("--") and word.rstrip(";,.)") not in SECOND_WORDS


def named(file: Path, command: str) -> bool:
    """Whether a command is only called by its name: in a table of commands, or in the record of changes."""
    words = command.split()
    groups = {"allowlist", "budget", "cache", "cooldown", "dead"}
    by_name = len(words) == 1 + (words[0] in groups and len(words) > 1)
    return by_name and (file.suffix == ".md" or f"slotgen {command}" in texts(file))


FOUND = {each for file in (*PRODUCT, *PAGES) for each in commands(file) if not named(file, each)} - PROSE
OF_REDIS = {each for each in FOUND if each.startswith("redis-cli ")}
PRINTED = sorted(FOUND - OF_REDIS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in ("job.json", "spec.json", "FILE"):
        (folder / name).write_text(json.dumps(a_spec(a_job())))
    for name in ("allowlist.json", "broader.json", "POLICY"):
        (folder / name).write_text(an_allowlist())
    return folder


@pytest.mark.parametrize("command", PRINTED)
def test_it_works_when_it_is_copied(slotgen, folder, monkeypatch, command):
    monkeypatch.chdir(folder)
    slotgen.open()
    slotgen.outcomes(1)
    dead_id = RedisDeadLetters(slotgen.client, slotgen.namespace).add(
        slotgen.namespace, "spec_invalid", "p", None, json.dumps(a_message(a_spec())).encode()
    )
    said = shlex.split(re.sub(r"{{ \S+ }}", "$", command))
    words = [value_of(each, before, dead_id) for before, each in itertools.pairwise(["", *said])]

    parsed(GROUP, words)
    if not " ".join(words).startswith(GO_ON):
        assert slotgen(*words)[0] != 2


@pytest.fixture(scope="module")
def empty_redis():
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        client.rpush("gap", "of a list")
        yield server.url


@pytest.mark.parametrize("command", sorted(OF_REDIS))
def test_redis_takes_it_when_it_is_copied(empty_redis, folder, command):
    path = f"{find_redis_server().parent}:/usr/bin:/bin"
    # Where it says no address, the Redis is the one of this machine.
    there = command if " -u " in command else command.replace("redis-cli", f"redis-cli -u {empty_redis}")
    there = there.removesuffix("<<END").replace("-r \0", "-r 1").replace("\0", "gap")

    done = subprocess.run(
        ["bash", "-c", there.replace("redis-cli", "redis-cli -e", 1)],
        cwd=folder,
        env={"PATH": path, "SLOTGEN_REDIS_URL": empty_redis},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def value_of(word: str, before: str, dead_id: str) -> str:
    """Return a value where a word stands for one."""
    word = word.strip("[]") if word.startswith("[") or word.endswith("]") else word
    if before in VALUES and (GAP in word or word.isupper() or "$" in word):
        return VALUES[before]
    return dead_id if word in {"ID", GAP} else {"FILES": "FILE", "KEY": "no-key"}.get(word, word)


def parsed(command, words):
    """Parse the words as the command line does, down to the last subcommand, and run nothing."""
    context = command.make_context("slotgen", list(words))
    rest = [*getattr(context, "_protected_args", []), *context.args]
    if rest:
        _, subcommand, words = command.resolve_command(context, rest)
        parsed(subcommand, words)


if __name__ == "__main__":
    print(*(each.replace(GAP, "<GAP>") for each in PRINTED), sep="\n")
