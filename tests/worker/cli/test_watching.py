"""`slotgen status`, `audit` and `tail`: what an operator sees."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from tasks.operations.fleet import WorkerInfo
from tasks.operations.probes import probe_name
from tests.builders import a_message, a_rule, a_spec, an_allowlist
from tests.history import keep
from tests.tasks.operations.past import an_outcome
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.keys import WORKER_INFO, WORKERS


def a_worker(slotgen, worker_id="w1", **changes):
    now_ms = slotgen.client.time()[0] * 1000
    values = {
        "worker_id": worker_id,
        "host": "box",
        "pid": 7,
        "version": "0.1.0",
        "executor_version": "2026-11-1",
        "in_flight": 3,
        "brake": None,
        "policy_hash": slotgen.json("status")["dials"]["allowlist"]["value"].split(" ")[0],
        "has_api_key": True,
        "started_wall_ms": now_ms,
        "seen_wall_ms": now_ms,
    }
    slotgen.client.zadd(WORKERS(slotgen.namespace), {worker_id: now_ms / 1000})
    slotgen.client.set(WORKER_INFO(slotgen.namespace, worker_id), encode(WorkerInfo(**(values | changes))))


class TestStatus:
    @pytest.mark.parametrize(
        ("dials", "word", "why"),
        [
            ({}, "RELEASED", "the kill dial is false"),
            ({"kill": "true"}, "HALTED", "the kill dial is on"),
            ({"kill": "fals"}, "HALTED", "the kill dial is malformed"),
            ({"kill": None}, "HALTED (unverified)", "the kill dial is absent"),
        ],
    )
    def test_says_first_whether_the_brake_is_on_and_why(self, slotgen, dials, word, why):
        slotgen.open(**dials)

        code, said = slotgen("status")

        assert code == 0
        assert re.match(rf".*\n│\s+{re.escape(word)}\s+{why}\s+│", said)

    def test_says_that_the_model_ends_soon(self, slotgen):
        slotgen.open()
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        a_worker(slotgen, model="m", model_listed=True, model_shutdown=str(tomorrow))
        problem = f"the model m will be shut down on {tomorrow}, in 1 day"

        assert problem in slotgen("status")[1]
        document = slotgen.json("status")
        assert document["modelProblems"] == [problem]
        assert document["workers"][0]["model"] == {
            "model": "m",
            "listed": True,
            "shutdownDate": str(tomorrow),
            "unknown": None,
        }

    def test_the_environment_of_the_shell_restricts_what_is_in_effect(self, slotgen, monkeypatch):
        slotgen.open()
        monkeypatch.setenv("SLOTGEN_AI_KILL", "true")

        document = slotgen.json("status")

        assert document["brake"] == {
            "state": "engaged",
            "why": "the kill dial is overruled by the environment",
        }
        assert document["dials"]["kill"]["restrictedByEnvironment"]

    def test_shows_every_dial_with_its_value_who_set_it_and_what_it_amounts_to(self, slotgen):
        slotgen.open(rollout_percent="ten")
        slotgen("feature", "off", "--actor", "ann")
        dials = slotgen.json("status")["dials"]

        assert (dials["feature"]["value"], dials["feature"]["effective"]) == ("false", "off")
        assert (dials["feature"]["setBy"], dials["feature"]["command"]) == ("ann", "slotgen feature off")
        assert dials["rollout_percent"]["malformed"]
        assert dials["rollout_percent"]["effective"] == "0 %"
        assert dials["allowlist"]["effective"] == "1 of 1 rule"
        assert "'ten' MALFORMED" in slotgen("status")[1]

    def test_a_silent_worker_comes_first_and_nothing_old_of_it_is_shown_as_current(self, slotgen):
        slotgen.open()
        a_worker(slotgen)
        old_ms = slotgen.client.time()[0] * 1000 - 30_000
        a_worker(slotgen, "w2", pid=8, in_flight=0, version="0.0.1", seen_wall_ms=old_ms)

        _, said = slotgen("status")
        document = slotgen.json("status")

        assert "worker box/8: silent since 3" in said
        assert "0 in flight, released" not in said
        assert said.index("box/8") < said.index("box/7")
        assert document["disagreements"] == []
        silent, living = document["workers"]
        assert (silent["pid"], silent["brake"], silent["inFlight"]) == (8, "unknown", None)
        assert 30 <= silent["silentSeconds"] < 90
        assert (living["brake"], living["inFlight"], living["silentSeconds"]) == (None, 3, None)

    def test_silent_workers_alone_are_no_running_worker(self, slotgen):
        slotgen.open()
        a_worker(slotgen, seen_wall_ms=slotgen.client.time()[0] * 1000 - 30_000)

        assert slotgen.json("status")["inTheWay"][0]["what"] == "no worker is running, and 1 silent"

    @pytest.mark.parametrize("words", [["resume", "--reason", "x"], ["kill"]])
    def test_a_halt_and_a_release_name_the_silent(self, slotgen, words):
        slotgen.open()
        a_worker(slotgen, seen_wall_ms=slotgen.client.time()[0] * 1000 - 30_000)

        code, said = slotgen(*words)

        assert "worker box/7: silent since 3" in said
        assert code == (words == ["kill"])

    def test_workers_that_a_message_has_halted_are_no_released_fleet(self, slotgen):
        slotgen.open()
        a_worker(slotgen, latched=True, brake="KILL_SWITCH")
        a_worker(slotgen, "w2", pid=8)

        _, said = slotgen("status")
        document = slotgen.json("status")

        assert re.match(r".*\n│\s+HALTED\s+a message has halted 1 of 2 workers; the kill dial is false", said)
        assert (document["brake"]["state"], document["haltedByMessage"]) == ("engaged", 1)
        assert document["inTheWay"][-1]["command"] == 'slotgen resume --reason "…"'

    def test_lists_the_living_workers_and_says_where_they_disagree(self, slotgen):
        slotgen.open()
        a_worker(slotgen)
        a_worker(slotgen, "w2", pid=8, version="0.2.0", policy_hash="000000000000")

        document = slotgen.json("status")

        assert [each["inFlight"] for each in document["workers"]] == [3, 3]
        assert document["disagreements"][0] == "the workers have different versions: 0.1.0, 0.2.0"
        assert document["disagreements"][1].startswith("worker box/8 saw policy 000000000000 last, not ")

    def test_a_worker_that_has_seen_no_policy_has_seen_none_in_words(self, slotgen):
        slotgen.open()
        a_worker(slotgen, policy_hash=None)

        assert "None" not in slotgen("status")[1]
        assert slotgen.json("status")["disagreements"][0].startswith("worker box/7 saw no policy last, not ")

    def test_says_what_stands_between_now_and_the_first_generated_job_brake_last(self, slotgen):
        slotgen.open(kill=None, feature="no", rollout_percent=None, allowlist="{}")

        found = slotgen.json("status")["inTheWay"]

        assert [each["command"] for each in found] == [
            "slotgen worker",
            "slotgen feature on",
            "slotgen allowlist push FILE",
            "slotgen rollout 1",
            'slotgen resume --reason "…"',
        ]
        assert "the dial is malformed" in found[1]["what"]
        slotgen.open()
        a_worker(slotgen)
        assert slotgen.json("status")["inTheWay"] == []

    def test_counts_the_outcomes_of_the_last_minutes_by_reason(self, slotgen):
        slotgen.open()
        slotgen.outcomes(3)
        slotgen.outcomes(2, status="STUB", error_code="ROLLOUT_EXCLUDED", path="stub")

        assert slotgen.json("status")["outcomes"]["counts"] == [
            {"status": "COMPLETED", "errorCode": None, "jobs": 3},
            {"status": "STUB", "errorCode": "ROLLOUT_EXCLUDED", "jobs": 2},
        ]
        assert slotgen("status", "--since", "5")[0] == 2

    def test_where_only_probes_have_ended_no_job_has(self, slotgen):
        slotgen.open()
        keep(slotgen.client, slotgen.namespace, an_outcome(probe_name("drill")))

        lines = slotgen("status")[1].splitlines()
        assert " no job has ended in the last 5 min, only 1 probe" in map(str.rstrip, lines)
        assert "" not in lines

    def test_probes_are_no_jobs_and_a_job_that_came_again_is_one(self, slotgen):
        slotgen.open()
        slotgen.outcomes(2)
        slotgen.outcomes(1)
        for command in ("probe", "drill"):
            keep(slotgen.client, slotgen.namespace, an_outcome(probe_name(command)))

        outcomes = slotgen.json("status")["outcomes"]

        assert (outcomes["counts"][0]["jobs"], outcomes["distinctJobs"], outcomes["probes"]) == (3, 2, 2)
        assert "last 5 min: 3 outcomes of 2 distinct jobs (and 2 probes)" in slotgen("status")[1]
        assert "probe-" not in slotgen("tail", "--limit", "10")[1]
        assert "probe-" in slotgen("tail", "--limit", "10", "--job", "probe-")[1]

    def test_dead_letters_are_counted_by_reason(self, slotgen):
        slotgen.open()
        dead = RedisDeadLetters(slotgen.client, slotgen.namespace)
        for reason in ("spec_invalid", "too_large", "spec_invalid"):
            dead.add(slotgen.namespace, reason, "p", None, b"x")

        assert slotgen.json("status")["queue"]["deadLetterReasons"] == {"spec_invalid": 2, "too_large": 1}
        assert "3 dead letters: 2 spec_invalid, 1 too_large" in slotgen("status")[1]

    def test_a_message_on_a_queue_of_another_name_is_in_the_way(self, slotgen):
        slotgen.open()
        typo = f"{slotgen.namespace}s"
        slotgen.client.lpush(typo, json.dumps(a_message(a_spec())))
        slotgen.client.sadd(f"_kombu.binding.{typo}", f"{typo}\x06\x16\x06\x16{typo}")

        found = slotgen.json("status")["inTheWay"][-1]

        assert f"no worker takes what lies on the list {typo}: 1 for slotgen" in found["what"]
        assert (
            found["command"]
            == f'redis-cli -u "$SLOTGEN_REDIS_URL" -r 1 LMOVE {typo} {slotgen.namespace} RIGHT LEFT'
        )

    def test_fits_a_screen_of_80_by_24(self, slotgen, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        slotgen.open(allowlist=an_allowlist(*(a_rule(f"r{number}") for number in range(30))))
        a_worker(slotgen)
        for code in ("KILL_SWITCH", "NOT_ALLOWLISTED", "ROLLOUT_EXCLUDED"):
            slotgen.outcomes(2, status="STUB", error_code=code, path="stub")

        lines = slotgen("status")[1].splitlines()

        assert len(lines) <= 24
        assert max(len(line) for line in lines) <= 80


class TestAudit:
    def test_shows_who_what_when_and_why_newest_first(self, slotgen):
        slotgen.open()
        slotgen("rollout", "5", "--reason", "quiet", "--actor", "ann")
        slotgen.client.set(f"{slotgen.namespace}:feature", "false")

        code, said = slotgen("audit")

        lines = said.splitlines()
        assert code == 0
        assert re.fullmatch(r"\S+Z  a raw Redis command  feature 'true' -> 'false'", lines[0])
        assert re.fullmatch(r"\S+Z  ann  rollout_percent '1' -> '5'", lines[1])
        assert lines[2] == "    slotgen rollout 5; quiet; widened: rollout"

    def test_filters_by_dial_and_knows_their_names(self, slotgen):
        slotgen.open()
        slotgen("kill")
        slotgen("rollout", "0")

        assert [each["dial"] for each in slotgen.json("audit", "--dial", "kill")] == ["kill"]
        assert slotgen.json("audit", "--limit", "1")[0]["dial"] == "rollout_percent"
        assert slotgen("audit", "--dial", "brake")[0] == 2

    def test_a_policy_is_named_and_not_printed_whole(self, slotgen):
        slotgen.open()
        slotgen("allowlist", "disable")

        assert re.search(
            r"allowlist \w{12} \(enabled, 1 of 1 rule\) -> \w{12} \(disabled", slotgen("audit")[1]
        )
        assert json.loads(slotgen.json("audit")[0]["before"]) == json.loads(an_allowlist())

    def test_says_when_there_is_nothing(self, slotgen):
        assert slotgen("audit") == (0, "no change of a dial is recorded\n")


class TestTail:
    def test_shows_the_last_ones_and_ends_at_its_limit(self, slotgen):
        slotgen.outcomes(5)
        slotgen.outcomes(1, status="STUB", error_code="KILL_SWITCH", path="openai", latency_ms=12.4)

        code, said = slotgen("tail", "--last", "2", "--limit", "2")

        assert code == 0
        assert re.fullmatch(
            r"\S+Z COMPLETED 100 ms  past-4  <\$0\.0001\n"
            r"\S+Z STUB      KILL_SWITCH  in flight  12 ms  past-0  <\$0\.0001\n",
            said,
        )

    @pytest.mark.parametrize(
        ("words", "number"),
        [
            (["--status", "STUB"], 2),
            (["--code", "RUN_LIMIT"], 1),
            (["--kind", "explanatory"], 3),
            (["--kind", "revision"], 0),
        ],
    )
    def test_filters(self, slotgen, words, number):
        slotgen.outcomes(1)
        slotgen.outcomes(1, status="STUB", error_code="KILL_SWITCH")
        slotgen.outcomes(1, status="STUB", error_code="RUN_LIMIT")

        _, said = slotgen("tail", "--last", "10", "--limit", "10", "--json", *words)

        assert len([json.loads(line) for line in said.splitlines()]) == number

    def test_begins_with_the_last_ten_and_finds_one_job_or_task(self, slotgen):
        slotgen.outcomes(12)
        slotgen.outcomes(1, task_id="task-2")

        assert len(slotgen("tail", "--limit", "10")[1].splitlines()) == 10
        assert slotgen("tail", "--limit", "10", "--job", "past-11")[1].count("past-11") == 1
        assert len(slotgen("tail", "--limit", "10", "--job", "past-1")[1].splitlines()) == 3
        assert len(slotgen("tail", "--limit", "10", "--task", "task-2")[1].splitlines()) == 1

    @pytest.mark.parametrize("words", [["--status", "DONE"], ["--code", "X"], ["--kind", "poem"]])
    def test_names_the_words_that_a_filter_knows(self, slotgen, words):
        code, said = slotgen("tail", *words)

        assert code == 2
        assert "is not one of" in said


@pytest.mark.parametrize("actor", ["[/]ann", "\x1b[2Jann"])
@pytest.mark.parametrize("words", [["status"], ["audit"]])
def test_what_others_wrote_is_shown_and_not_obeyed(slotgen, words, actor):
    slotgen.open()
    slotgen("kill", "--actor", actor, "--reason", actor)

    code, said = slotgen(*words)

    assert code == 0
    assert "\x1b[2J" not in said
    assert "ann" in said


def test_the_spend_cap_stands_among_the_dials(slotgen):
    slotgen.open()
    slotgen("budget", "set", "5")
    assert slotgen.json("status")["dials"]["budget_usd"]["effective"] == "$5 a window"

    slotgen.client.set(f"{slotgen.namespace}:budget_usd", "lots")
    found = slotgen.json("status")["dials"]["budget_usd"]
    assert (found["malformed"], found["effective"]) == (True, "$0 a window")


class TestWhoHaltedFirst:
    def test_a_second_kill_leaves_the_first_on_record(self, slotgen):
        slotgen.open()
        slotgen("kill", "--actor", "ann", "--reason", "cost spike")

        code, said = slotgen("kill", "--actor", "bob", "--reason", "me too")
        document = slotgen.json("kill", "--actor", "eve")

        assert code == 0
        assert re.search(r"already halted by ann since \S+Z: cost spike; that stays on record", said)
        assert document["haltedBefore"]["actor"] == "ann"
        assert re.fullmatch(
            r"the kill dial is on; ann, .*: cost spike", slotgen.json("status")["brake"]["why"]
        )
        assert [each["actor"] for each in slotgen.json("audit", "--dial", "kill")][:3] == [
            "eve",
            "bob",
            "ann",
        ]

    def test_a_release_begins_anew(self, slotgen):
        slotgen.open()
        slotgen("kill", "--actor", "ann", "--reason", "first")
        slotgen("resume", "--reason", "over")

        document = slotgen.json("kill", "--actor", "bob", "--reason", "second")

        assert document["haltedBefore"] is None
        assert "bob" in slotgen.json("status")["brake"]["why"]

    @pytest.mark.parametrize("value", ["true", "1", "anything", None])
    def test_a_raw_command_that_nobody_has_noticed_yet_stays_an_unknown_actors(self, slotgen, value):
        slotgen.open()
        if value is None:
            slotgen.client.delete(f"{slotgen.namespace}:kill")
        else:
            slotgen.client.set(f"{slotgen.namespace}:kill", value)

        document = slotgen.json("kill", "--actor", "bob")

        assert document["haltedBefore"]["actor"] == "unknown"
        assert document["haltedBefore"]["command"] == "raw Redis command"

    def test_the_guard_that_pulled_first_stays_first(self, slotgen):
        slotgen.open()
        kill = f"{slotgen.namespace}:kill"
        slotgen.client.set(kill, "true")
        entry = {"dial": "kill", "before": "false", "after": "true", "actor": "guard"}
        slotgen.client.xadd(
            f"{slotgen.namespace}:audit:noticed", entry | {"command": "auto-halt", "reason": "12 of 20"}
        )
        slotgen.client.hset(f"{slotgen.namespace}:audit:seen", "kill", "true")

        document = slotgen.json("kill", "--actor", "bob")

        assert (document["haltedBefore"]["actor"], document["haltedBefore"]["reason"]) == (
            "guard",
            "12 of 20",
        )
        assert "guard" in slotgen.json("status")["brake"]["why"]
