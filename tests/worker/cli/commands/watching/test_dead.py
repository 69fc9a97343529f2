"""`slotgen dead`, on a real Redis."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.cli import build
from worker.cli.support.errors import CliError

RAW = b'\xff{"broken": true'


@pytest.fixture
def dead(redis_server, redis_client, namespace, monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SLOTGEN_NAMESPACE", namespace)
    return RedisDeadLetters(redis_client, namespace)


def run(*arguments):
    return CliRunner().invoke(build(), ["dead", *arguments])


def test_lists_nothing_when_there_is_nothing(dead):
    assert run("list").output == "no dead letters\n"
    assert json.loads(run("list", "--json").output) == {"total": 0, "dead": []}


def test_lists_what_was_rejected_why_and_when(dead, namespace):
    dead_id = dead.add(namespace, "spec_invalid", "jobs[0].kind: …", "task-1", RAW)

    assert "spec_invalid" in run("list").output
    (entry,) = json.loads(run("list", "--json").output)["dead"]
    assert (entry["id"], entry["reason"], entry["taskId"], entry["bytes"]) == (
        dead_id,
        "spec_invalid",
        "task-1",
        len(RAW),
    )
    assert entry["rejectedAt"].endswith("Z")


def test_shows_the_message_itself(dead, namespace):
    dead_id = dead.add(namespace, "not_a_task_message", "p", None, RAW)

    assert json.loads(run("show", dead_id, "--json").output)["message"] == '\\xff{"broken": true'
    assert "not_a_task_message" in run("show", dead_id).output


def test_replays_and_drops(dead, namespace, redis_client):
    first, second = (dead.add(namespace, "spec_invalid", "p", None, RAW) for _ in range(2))

    assert run("replay", first).exit_code == 0
    assert run("drop", second, "--json").output == json.dumps({"dropped": second}, indent=2) + "\n"

    assert redis_client.lrange(namespace, 0, -1) == [RAW]
    assert dead.count() == 0


@pytest.mark.parametrize("command", ["show", "replay", "drop"])
@pytest.mark.parametrize("dead_id", ["1-1", "nonsense"])
def test_an_unknown_id_is_refused(dead, command, dead_id):
    done = run(command, dead_id)

    assert isinstance(done.exception, CliError)
    assert dead_id in str(done.exception)
    assert "slotgen dead list" in str(done.exception)


def test_a_redis_that_is_away_is_a_sentence(monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")

    done = run("list")

    assert isinstance(done.exception, CliError)
    assert "127.0.0.1:1/0 did not answer" in str(done.exception)
    assert "hunter2" not in str(done.exception)


def test_what_was_too_large_says_why_it_cannot_be_replayed(dead, namespace, redis_client):
    dead_id = dead.add(namespace, "too_large", "p", None, b"x" * 700_000)

    shown = json.loads(run("show", dead_id, "--json").output)
    done = run("replay", dead_id)

    assert (shown["bytes"], len(shown["message"]), shown["replayable"]) == (700_000, 4096, False)
    assert "cannot be replayed: of 700000 bytes" in shown["why"]
    assert isinstance(done.exception, CliError)
    assert "cannot be replayed: of 700000 bytes" in str(done.exception)
    assert dead.count() == 1
    assert redis_client.exists(namespace) == 0
