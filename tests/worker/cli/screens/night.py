"""Plays the night: a real Redis, a real worker, and every screen of an operator in its turn."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tasks.operations import timefmt
from tasks.operations.fleet import WorkerInfo
from tests.builders import a_job, a_rule, a_spec, an_allowlist, open_dials
from tests.waiting import eventually
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.console.probe import send_probe, wait_for_results
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.message import raw_message
from worker.cli import build
from worker.cli.support.errors import CliError
from worker.dev.stack import Stack, stack

FOLDER = Path(__file__).parent
WIDTHS = (80, 120)
# What a person has in one look.
ROWS = 24
# These are looked things up in, and scrolled.
REFERENCE = {"slotgen --help", "slotgen enqueue --help"}
_SCREENS = """
status
tail --limit 10
explain --job lesson-1
explain spec.json
dead list
dead show NEWEST
dead replay --all
dead drop --reason spec_invalid --all
budget
budget set 5 --actor ann
budget
rollout 50 --actor ann
rollout 100 --actor ann --reason quiet
allowlist disable --actor ann
allowlist enable --actor ann --override why
feature off --actor ann
feature on --actor ann --override why
cooldown
repair
cache show
enable --allowlist allowlist.json --percent 1 --dry-run
preflight
drill --yes --actor ann
kill --actor ann --reason cost-spike
halt --actor bob
status
drill --yes --actor ann
resume --actor ann --reason mended
audit
drill guard --actor ann
status --each redis.txt
tail --limit 10
report --since 1h
kill --help
status --help
dead --help
enqueue --help
--help
--version
"""
_WORDS = {
    "moment": lambda wall_ms, timespec="seconds": "2026-11-27T03:00:00Z",
    "ago": lambda milliseconds: "12 min ago",
    "span": lambda seconds: "5 min",
    "milliseconds": lambda number: "12 ms",
}
# Of one length each, so that they take the same room.
_VOLATILE = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "01234567-89ab-cdef-0123-456789abcdef",
    r"\b(probe|drill)-[0-9a-f]{12}\b": r"\1-0123456789ab",
    r"\b1\d{12}-\d\b": "1700000000000-0",
    r"slotgen-\w{8}/": "slotgen-temporary/",
}


def play(width: int) -> str:
    """Return every screen of the night at `width` columns."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, _system() as system:
        patch.chdir(folder)
        Path("spec.json").write_text(
            json.dumps(a_spec(a_job("lesson-9"), a_job("lesson-8", mode="verbatim")))
        )
        Path("allowlist.json").write_text(an_allowlist(a_rule("first-wave", kinds=["explanatory"])))
        # The second is empty, and a third is away.
        others = f"eu-2 {system.redis_url[:-1]}1\neu-3 redis://127.0.0.1:1/0\n"
        Path("redis.txt").write_text(f"eu-1 {system.redis_url}\n{others}")
        _still(patch)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("SLOTGEN_REDIS_URL", system.redis_url)
        patch.delenv("SLOTGEN_NAMESPACE", raising=False)
        newest = _evening(system)
        lines = _SCREENS.replace("NEWEST", newest).strip().splitlines()
        return "\n".join(_screen(system, each) for each in lines)


@contextmanager
def _system() -> Iterator[Stack]:
    with stack(concurrency=8) as system:
        system.client.config_set("appendonly", "yes")
        policy = an_allowlist(a_rule("first-wave"), a_rule("second-wave", enabled=False))
        fleet = RedisFleet(system.client, "slotgen")
        eventually(lambda: [each.model_listed for each in fleet.workers()] == [True])
        # At once: a worker records what it sees in between.
        system.client.mset(open_dials() | {"slotgen:allowlist": policy})
        yield system


def _still(patch: pytest.MonkeyPatch) -> None:
    """Let every moment and span be the same one, whoever has imported what words it."""
    for name, words in _WORDS.items():
        patch.setattr(getattr(timefmt, name), "__code__", words.__code__)
    patch.setattr(WorkerInfo, "name", property(lambda _: "worker-1/4242"))


def _evening(system: Stack) -> str:
    """Have jobs end in every way, and messages rejected; return the id of the newest dead letter."""
    one = a_spec(a_job("lesson-1"))
    unknown = a_spec(a_job("lesson-2", output={"field": "x", "type": "poem"}))
    for spec in (one, one, a_spec(a_job("lesson-3", kind="revision"), allow_ai=False), unknown):
        wait_for_results(system.client, send_probe(system.client, "slotgen", spec), 10)
    dead = RedisDeadLetters(system.client, "slotgen")
    for number, spec in enumerate((a_spec(a_job(kind="poem")), a_spec(a_job("")), {"version": "v2"}), 1):
        send_probe(system.client, "slotgen", spec)
        eventually(lambda number=number: dead.count() == number)
    system.client.lpush("celery", raw_message(one, "stray", "celery"))
    return dead.list(1)[0].dead_id


def _screen(system: Stack, command: str) -> str:
    assert system.fake_openai is not None
    system.fake_openai.delay_seconds = 60 if command.startswith("drill") else 0.01
    if command == "status":
        # Workers say every 5 s what they have in flight.
        eventually(lambda: all(not each.in_flight for each in RedisFleet(system.client, "slotgen").workers()))
    done: Any = CliRunner().invoke(build(), command.split())
    said = done.output
    if isinstance(done.exception, CliError):
        said += f"{done.exception}\n"
    screen = f"$ slotgen {command}\n{said}".rstrip() + f"\n[exit {done.exit_code}]\n"
    for form, fixed in _VOLATILE.items():
        screen = re.sub(form, fixed, screen)
    return re.sub(r" +$", "", screen, flags=re.MULTILINE)


def screens(text: str) -> dict[str, list[str]]:
    """Return the lines of each screen by its number and command."""
    found = (each.splitlines() for each in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:])
    return {f"{number}. {first}": lines[:-1] for number, (first, *lines) in enumerate(found, 1)}
