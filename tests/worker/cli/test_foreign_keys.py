"""Whatever is in any key of the table: every command that reads says so, and how to clear it; none breaks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import traceback

import pytest
from typer.testing import CliRunner

from tasks.operations.visible import visible
from tests.builders import a_spec, new_job
from tests.faults.rig.length import FULL, in_full
from tests.foreign import LAST_OF_ALL, MAKES, ROWS, Foreign, name_of, spoil
from worker.adapters.redis import keys
from worker.adapters.redis.keys import WORKERS
from worker.cli import build, descriptions
from worker.cli.support.errors import CliError

SEED = int(os.environ.get("SLOTGEN_FAULTS_SEED", "4711"))
VALUES = in_full(1_000, short=60)
# The words after each command that reads Redis, and the commands that do not read, or also change something.
READS = {
    "status": ["", "--json"],
    "explain": ["SPEC"],
    "tail": ["--last 10 --limit 10"],
    "report": [""],
    "audit": [""],
    "budget": ["", "--json"],
    "cache": ["show"],
    "cooldown": [""],
    "dead": ["list"],
    "allowlist": ["show"],
    "preflight": [""],
    "repair": [""],
}
OTHERS = {"kill", "resume", "drill", "web", "enable", "rollout", "feature", "worker", "dev", "demo"}
OTHERS |= {"enqueue", "validate", "try", "webhook"}
# Rows whose names are known without a search.
AT_HAND = {row.pattern for row in ROWS if set(re.findall(r"{(\w+)}", row.pattern)) <= {"ns", "digit"}}
AT_HAND |= {keys.WORKER_INFO.pattern}
COMMANDS = [f"{name} {words}".strip() for name, each in READS.items() for words in each]


def test_every_command_of_the_console_is_known_here():
    assert set(descriptions()) - OTHERS == set(READS)


@pytest.fixture
def places(slotgen):
    """What a reader of this namespace looks for, by the names of the table's braces."""
    slotgen.open()
    slotgen.outcomes(2)
    now = slotgen.client.time()[0]
    slotgen.client.zadd(WORKERS(slotgen.namespace), {"w1": now})
    return {
        "ns": slotgen.namespace,
        "start": str(now - now % 86_400),
        "minute": str(now // 60),
        "target": "brake",
        "worker": "w1",
        "writer": "w1",
        "exchange": "slotgen",
        "task": "task-1",
        "job": "job-1",
        "model": "model-1",
        "digit": "3",
    }


@pytest.fixture
def spec(slotgen):
    return slotgen.file("spec.json", json.dumps(a_spec(new_job())))


def broken_by(command: str, spec: str) -> tuple[str, str]:
    """Run a command; return what it says, and where it broke ("" where it did not)."""
    done = CliRunner().invoke(build(), command.replace("SPEC", spec).split())
    if isinstance(done.exception, CliError):
        return f"{done.output}{done.exception}", ""
    if done.exception is None or isinstance(done.exception, SystemExit):
        return done.output, ""
    frames = traceback.extract_tb(done.exception.__traceback__)
    where = next(
        (
            f"{each.filename.rsplit('/')[-1]}:{each.lineno}"
            for each in reversed(frames)
            if "/worker/" in each.filename or "/tasks/" in each.filename
        ),
        "",
    )
    return done.output, f"{type(done.exception).__name__}: {str(done.exception)[:90]} at {where}"


@pytest.fixture
def foreign_key(slotgen, places):
    """Return the key of a row; at the end it is as it was."""
    kept = {}

    def key_of(row):
        key = name_of(row, places)
        kept.setdefault(key, slotgen.client.dump(key))
        return key

    yield key_of
    for key, before in kept.items():
        slotgen.client.delete(key)
        if before is not None:
            slotgen.client.restore(key, 0, before)


def run_all(key: str, spec: str, commands: list[str], *, named: bool, told: object) -> None:
    for command in commands:
        said, broke = broken_by(command, spec)
        assert not broke, (command, told)
        assert "a key of another type" not in said, (command, said)
        if named:
            assert visible(key) in said.replace("\\\\", "\\"), (command, told, said)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
def test_a_key_of_another_type_is_named_by_every_command_and_breaks_none(slotgen, foreign_key, spec, row):
    key = foreign_key(row)
    kinds = [kind for kind in MAKES if kind != row.type]
    # The short form tries one of them, another for each row.
    tried = kinds if FULL else [kinds[ROWS.index(row) % len(kinds)]]
    for kind in tried:
        spoil(slotgen.client, key, MAKES[kind](key, b"x", b"x"))
        at_hand = row.pattern in AT_HAND
        run_all(key, spec, COMMANDS if at_hand else COMMANDS[:-1], named=at_hand, told=kind)
        run_all(key, spec, ["repair"], named=True, told=kind)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
@pytest.mark.parametrize("number", [3, pytest.param(VALUES, marks=pytest.mark.thorough)])
@pytest.mark.timeout(600)
def test_no_bytes_in_a_key_break_a_command(slotgen, foreign_key, spec, row, number):
    foreign, key = Foreign(f"{SEED} {row.pattern}"), foreign_key(row)
    together = 1 if row.type == "string" else 20
    for _ in range(-(-number // together)):
        commands = list(foreign.commands(row, key, together))
        spoil(slotgen.client, key, *commands)
        tried = foreign.chance.sample(COMMANDS, 2) if together == 1 else COMMANDS
        run_all(key, spec, tried, named=False, told=commands)


@pytest.mark.parametrize("kept", [1, 0])
@pytest.mark.parametrize("row", [row for row in ROWS if row.type == "stream"], ids=lambda row: row.pattern)
def test_a_stream_that_takes_no_entry_any_more_is_named_and_put_aside(slotgen, foreign_key, spec, row, kept):
    key = foreign_key(row)
    spoil(slotgen.client, key, ("XADD", key, "MAXLEN", kept, LAST_OF_ALL, "dial", "kill"))

    run_all(key, spec, ["repair", *["status"] * (row.pattern in AT_HAND)], named=True, told=kept)
    done = slotgen.json("repair", key, "--reason", "x", "--actor", "ann", "--yes")

    assert slotgen.client.xlen(done["quarantined"]) == kept
    assert slotgen.client.xadd(key, {"a": "b"})
    assert slotgen("repair")[0] == 0


def test_status_names_keys_that_only_one_job_would_meet_and_where_the_others_are(slotgen):
    for number in range(8):
        slotgen.client.sadd(keys.CLAIM(slotgen.namespace, f"job-{number}"), "no claim")

    found = slotgen.json("status")["wrongKeys"]

    forms = rf"{slotgen.namespace}:claim:job-\d holds a set, and should hold a string"
    assert [bool(re.fullmatch(forms, each["what"])) for each in found] == [True] * 3 + [False]
    assert found[-1] == {
        "what": "5 keys more hold what does not belong there",
        "command": "slotgen repair",
    }


def test_repair_puts_a_key_aside_with_a_record_and_loses_nothing(slotgen, foreign_key):
    key = foreign_key(keys.HISTORY)
    spoil(slotgen.client, key, ("RPUSH", key, b"\xffa", "b"))

    (found,) = slotgen.json("repair", code=1)["wrongKeys"]
    done = slotgen.json("repair", key, "--reason", "somebody's", "--actor", "ann", "--yes")

    assert (found["key"], found["found"], found["wanted"]) == (key, "a list", "a stream")
    assert found["remedy"] == f'slotgen repair {key} --reason "…"'
    assert slotgen.client.lrange(done["quarantined"], 0, -1) == [b"\xffa", b"b"]
    assert 0 < slotgen.client.ttl(done["quarantined"]) <= keys.QUARANTINE.seconds
    assert not slotgen.client.exists(key)
    newest = slotgen.json("audit")[0]
    assert newest["auditId"] == done["auditId"]
    assert (newest["dial"], newest["actor"], newest["reason"]) == ("history", "ann", "somebody's")
    assert (newest["before"], newest["after"]) == ("a list", None)
    assert slotgen("repair")[0] == 0
    assert slotgen("status")[0] == 0


def test_repair_asks_first_and_wants_a_reason_and_refuses_a_key_that_is_right(slotgen, foreign_key):
    key = foreign_key(keys.HISTORY)
    assert "is as docs/redis-keys.md says" in slotgen("repair", key, "--reason", "x", "--yes")[1]
    assert "is no key of slotgen's" in slotgen("repair", "elsewhere", "--reason", "x", "--yes")[1]
    spoil(slotgen.client, key, ("SET", key, "x"))

    assert "needs a reason" in slotgen("repair", key, "--yes")[1]
    assert slotgen("repair", key, "--reason", "x")[0] == 1
    assert slotgen.client.get(key) == b"x"


def test_a_dial_that_is_put_aside_halts_or_denies(slotgen, foreign_key):
    for row in (keys.KILL, keys.BUDGET_CAP):
        key = foreign_key(row)
        spoil(slotgen.client, key, ("RPUSH", key, "false"))
        slotgen.json("repair", key, "--reason", "x", "--yes")

    status = slotgen.json("status")
    assert status["brake"]["state"] == "unverified"
    assert status["dials"]["kill"]["command"] == f"slotgen repair {slotgen.namespace}:kill"
    assert slotgen.raw("budget_usd") == b"0"
    # What the record knows is not recorded as a raw command.
    assert {each["command"].split()[0] for each in slotgen.json("audit")} >= {"slotgen"}


def test_the_audit_itself_can_be_put_aside(slotgen, foreign_key):
    key = foreign_key(keys.AUDIT)
    spoil(slotgen.client, key, ("SET", key, "x"))

    done = slotgen.json("repair", key, "--reason", "x", "--yes")

    assert slotgen.client.get(done["quarantined"]) == b"x"
    assert slotgen.json("audit")[-1]["dial"] == "audit"


def test_of_an_account_only_the_fields_that_cannot_be_read_go(slotgen, foreign_key):
    key = foreign_key(keys.BUDGET)
    slotgen.client.hset(key, mapping={"spent": 7, "held": "NaN", "spent:m": 7})
    slotgen.client.expire(key, 1000)
    said = slotgen("budget")[1]
    assert key in said
    assert "slotgen repair" in said

    done = slotgen.json("repair", key, "--reason", "x", "--yes")

    assert slotgen.client.hgetall(key) == {b"spent": b"7", b"spent:m": b"7"}
    assert slotgen.client.hgetall(done["quarantined"]) == {b"held": b"NaN"}
    assert slotgen("budget")[0] == 0


def test_a_name_is_given_as_a_shell_takes_it(slotgen, foreign_key):
    key = foreign_key(keys.PRIORITY_QUEUE)
    spoil(slotgen.client, key, ("SET", key, "x"))

    (found,) = slotgen.json("repair", code=1)["wrongKeys"]

    words = ["bash", "-c", f"printf %s {found['remedy'].split()[2]}"]
    assert subprocess.run(words, capture_output=True, check=True).stdout.decode() == key
    slotgen.json("repair", key, "--reason", "x", "--yes")
    assert not slotgen.client.exists(key)
