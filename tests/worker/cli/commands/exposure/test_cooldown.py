"""`slotgen cooldown`, and where else a cooldown is seen, on a real Redis."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from worker.adapters.redis.keys import AUDIT, COOLDOWN
from worker.cli import build
from worker.cli.support.errors import CliError

MODEL = "gpt-6-luna"


@pytest.fixture
def cooldown(redis_server, redis_client, namespace, monkeypatch):
    """Return `cooldown(seconds, value)`, which writes one as a worker does."""
    monkeypatch.setenv("SLOTGEN_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SLOTGEN_NAMESPACE", namespace)

    def write(seconds=300, value=None):
        since = redis_client.time()[0] - 60 if value is None else value
        redis_client.set(COOLDOWN(namespace, MODEL), since, ex=seconds)

    return write


def run(*arguments):
    return CliRunner().invoke(build(), arguments)


def test_shows_since_when_until_when_and_why(cooldown):
    cooldown()

    (found,) = json.loads(run("cooldown", "--json").output)["cooldowns"]

    assert (found["model"], found["leftSeconds"]) == (MODEL, pytest.approx(300, abs=5))
    assert found["since"] < found["until"]
    assert "its server asked for that 1 min ago (HTTP 429)" in run("cooldown").output


@pytest.mark.parametrize("value", ["1", "soon", "9" * 400, "9" * 15, b"\xff\x1b[31m"], ids=ascii)
def test_whatever_somebody_wrote_there_is_shown(cooldown, value):
    cooldown(value=value)

    assert run("cooldown").output.startswith(f"no request to {MODEL} leaves for ")


def test_one_that_ends_never_is_shown_as_long_as_workers_will_let_it_be(cooldown, redis_client, namespace):
    cooldown()
    redis_client.persist(COOLDOWN(namespace, MODEL))

    (found,) = json.loads(run("cooldown", "--json").output)["cooldowns"]

    assert found["leftSeconds"] == 600


def test_is_in_the_way_in_status_and_fails_preflight(cooldown):
    cooldown()

    blockers = json.loads(run("status", "--json").output)["inTheWay"]
    checks = json.loads(run("preflight", "--json").output)

    command = f'slotgen cooldown clear {MODEL} --reason "…"'
    assert [each["what"][:30] for each in blockers if each["command"] == command] == [
        f"no request to {MODEL} leaves"[:30]
    ]
    (check,) = (each for each in checks if each["name"] == "no server has asked to wait")
    assert (check["mark"], check["remedy"]) == ("fail", f"wait, or: {command}")


def test_clearing_is_recorded(cooldown, redis_client, namespace):
    cooldown()

    assert run("cooldown", "clear", MODEL, "--actor", "ada", "--reason", "a slip of theirs").exit_code == 0

    assert redis_client.exists(COOLDOWN(namespace, MODEL)) == 0
    ((_, entry),) = redis_client.xrevrange(AUDIT(namespace), count=1)
    words = {name: entry[name] for name in (b"dial", b"actor", b"command", b"reason")}
    assert words == {
        b"dial": f"cooldown:{MODEL}".encode(),
        b"actor": b"ada",
        b"command": f"slotgen cooldown clear {MODEL}".encode(),
        b"reason": b"a slip of theirs",
    }
    assert "a slip of theirs" in run("audit").output
    assert run("status").exit_code == 0


def test_nothing_is_cleared_without_a_reason_or_a_cooldown(cooldown, redis_client, namespace):
    cooldown()

    without_a_reason = run("cooldown", "clear", MODEL)
    of_another = run("cooldown", "clear", "gpt-7", "--reason", "why not")

    assert [type(each.exception) for each in (without_a_reason, of_another)] == [CliError] * 2
    assert redis_client.exists(COOLDOWN(namespace, MODEL)) == 1
    assert redis_client.xlen(AUDIT(namespace)) == 0
