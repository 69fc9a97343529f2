"""`slotgen dead`, on a real Redis."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.builders import a_job, a_message, a_spec
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


SOUND = json.dumps(a_message(a_spec())).encode()
UNSOUND = json.dumps(a_message(a_spec(a_job(kind="poem")))).encode()


def test_the_list_has_one_line_for_each_at_80_columns(dead, namespace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for _ in range(3):
        dead_id = dead.add(namespace, "not_a_task_message", "a problem " * 20, "task-1", RAW)

    head, newest, _, _, last = run("list").output.splitlines()

    assert head.split() == ["id", "rejected", "reason", "problem"]
    assert newest.startswith(f" {dead_id}  just now  not_a_task_message  a problem a problem")
    assert len(newest) <= 80
    assert last == f"3 dead letters; next: slotgen dead show {dead_id}"


def test_what_was_sent_is_shown_as_the_spec_that_it_is(dead, namespace):
    dead_id = dead.add(namespace, "spec_invalid", "jobs[0].kind: …", "task-1", UNSOUND)

    said = run("show", dead_id).output

    assert f"from the queue {namespace}; {len(UNSOUND)} bytes; task task-1" in said
    assert '        "kind": "poem",\n' in said
    assert "if it is replayed, it will be rejected again: jobs[0].kind: is not one" in said
    assert json.loads(run("show", dead_id, "--json").output)["spec"]["jobs"][0]["kind"] == "poem"
    assert "it will be taken" in run("show", dead.add(namespace, "too_large", "p", None, SOUND)).output


def test_a_replay_that_comes_to_nothing_says_so(dead, namespace, redis_client):
    dead_id = dead.add(namespace, "spec_invalid", "p", None, UNSOUND)

    done = run("replay", dead_id)

    assert done.exit_code == 0
    assert "but it will be rejected again: jobs[0].kind: is not one" in done.output
    assert redis_client.lrange(namespace, 0, -1) == [UNSOUND]


class TestSeveral:
    @pytest.fixture
    def letters(self, dead, namespace):
        sent = [("too_large", SOUND), ("spec_invalid", UNSOUND), ("spec_invalid", SOUND)]
        return [dead.add(namespace, reason, "p", None, message) for reason, message in sent]

    def test_what_would_be_replayed_is_shown_first(self, dead, letters):
        done = run("replay", "--all")

        assert done.exit_code == 1
        assert "2 messages would go back to the queue" in done.output
        assert f"{letters[1]} stays: it will be rejected again" in done.output
        assert dead.count() == 3

    def test_all_of_a_reason_that_workers_would_take_are_replayed(
        self, dead, namespace, letters, redis_client
    ):
        done = run("replay", "--reason", "spec_invalid", "--all", "--yes", "--json")

        document = json.loads(done.stdout)
        assert document["replayed"] == [letters[2]]
        assert list(document["wouldBeRejected"]) == [letters[1]]
        assert redis_client.lrange(namespace, 0, -1) == [SOUND]
        assert [each.dead_id for each in dead.list(10)] == [letters[1], letters[0]]

    def test_all_of_a_reason_are_dropped(self, dead, letters):
        assert "2 dead letters would be deleted" in run("drop", "--reason", "spec_invalid", "--all").output
        assert dead.count() == 3

        assert run("drop", "--reason", "spec_invalid", "--all", "--yes").exit_code == 0
        assert [each.dead_id for each in dead.list(10)] == [letters[0]]

    def test_the_list_can_be_of_one_reason(self, dead, letters):
        found = json.loads(run("list", "--reason", "spec_invalid", "--json").output)["dead"]

        assert [each["id"] for each in found] == [letters[2], letters[1]]

    @pytest.mark.parametrize("command", ["replay", "drop"])
    def test_an_id_or_all(self, dead, command):
        assert run(command).exit_code == run(command, "1-1", "--all").exit_code == 2
