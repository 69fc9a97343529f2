"""What a running worker leaves for the operator: its card, its word on a halt, the history, the queue age."""

from __future__ import annotations

import threading
import urllib.request
import uuid
from collections import Counter

import pytest

from gates.allowlist import policy_hash
from tasks.operations.changes.dials import RAW_COMMAND
from tests.builders import a_rule, a_spec, an_allowlist, new_job
from tests.e2e.conftest import WAIT_SECONDS
from tests.fakes.openai.server import Behaviour, Play
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.jobs.history import RedisHistory
from worker.dev.stack import stack


@pytest.fixture
def fleet(system):
    return RedisFleet(system.stack.client, "slotgen")


@pytest.fixture
def dials(system):
    return RedisDials(system.stack.client, "slotgen")


@pytest.fixture
def history(system):
    return RedisHistory(system.stack.client, "slotgen")


def scraped(system, metric):
    with urllib.request.urlopen(system.stack.metrics_url, timeout=10) as response:
        lines = response.read().decode().splitlines()
    (line,) = [each for each in lines if each.startswith(f"{metric} ")]
    return float(line.split()[1])


class TestCard:
    def test_says_who_the_worker_is(self, system, fleet):
        (info,) = fleet.workers()

        now_ms = system.stack.client.time()[0] * 1000
        assert info.pid == system.stack.worker.pid
        assert info.has_api_key
        assert info.started_wall_ms <= info.seen_wall_ms <= now_ms + 1000

    @pytest.mark.parametrize(
        ("kill", "brake"),
        [("true", "KILL_SWITCH"), ("anything", "KILL_SWITCH"), (None, "KILL_UNVERIFIED"), (" FALSE ", None)],
    )
    def test_follows_the_brake_that_a_raw_command_moves(self, system, fleet, kill, brake):
        system.set_dials(kill="false" if brake else "true")
        eventually(lambda: (fleet.workers()[0].brake is None) == bool(brake))

        system.set_dials(kill=kill)

        eventually(lambda: fleet.workers()[0].brake == brake)

    def test_follows_the_policy(self, system, fleet):
        policy = an_allowlist(a_rule(f"rule-{uuid.uuid4().hex}"))

        system.set_dials(allowlist=policy)

        name = policy_hash(policy.encode())
        eventually(lambda: fleet.workers()[0].policy_hash == name)
        system.set_dials(allowlist=None)
        eventually(lambda: fleet.workers()[0].policy_hash is None)

    def test_counts_what_is_in_flight(self, system, fleet):
        system.fake_openai.behave(Behaviour(delay_seconds=60))
        pending = [system.send(a_spec(new_job())) for _ in range(7)]
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 7, WAIT_SECONDS)

        system.stack.client.set("slotgen:rollout_percent", "99.9")

        eventually(lambda: fleet.workers()[0].in_flight == 7)
        system.set_dials(kill="true")
        eventually(lambda: fleet.workers()[0].in_flight == 0)
        assert {each.get(timeout=30)[0]["status"] for each in pending} == {"STUB"}


class TestHalt:
    def test_is_confirmed_with_the_number_of_calls_once_the_last_has_closed(self, system, fleet, dials):
        system.fake_openai.behave(Behaviour(delay_seconds=60))
        pending = [system.send(a_spec(new_job())) for _ in range(12)]
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 12, WAIT_SECONDS)
        (info,) = fleet.workers()
        listener = fleet.listen()

        dials.engage("ann", "slotgen kill", "")
        heard = listener.wait_for({info.worker_id}, WAIT_SECONDS)
        listener.close()

        assert heard[info.worker_id].calls == 12
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 0, WAIT_SECONDS)
        assert {each.get(timeout=30)[0]["status"] for each in pending} == {"STUB"}

    @pytest.mark.parametrize("command", [("SET", "slotgen:kill", "true"), ("DEL", "slotgen:kill")])
    def test_by_anyones_raw_command_is_confirmed_too_though_nothing_is_in_flight(
        self, system, fleet, command
    ):
        (info,) = fleet.workers()
        listener = fleet.listen()

        system.stack.client.execute_command(*command)

        heard = listener.wait_for({info.worker_id}, WAIT_SECONDS)
        listener.close()
        assert heard[info.worker_id].calls == 0

    def test_is_confirmed_by_a_worker_to_which_redis_reports_nothing(self):
        with (
            EmbeddedRedis(extra_args=("--rename-command", "CLIENT", "")) as server,
            open_sync(server.url, timeout_seconds=WAIT_SECONDS) as client,
            stack(settings={"SLOTGEN_REDIS_URL": server.url}),
        ):
            fleet = RedisFleet(client, "slotgen")
            client.set("slotgen:kill", "false")
            (info,) = eventually(lambda: [each for each in fleet.workers() if each.brake is None])
            listener = fleet.listen()

            client.set("slotgen:kill", "true")

            heard = listener.wait_for({info.worker_id}, WAIT_SECONDS)
            listener.close()
        assert heard[info.worker_id].calls == 0


class TestRecord:
    def test_of_a_raw_change_is_written_by_the_worker_once_though_others_look_too(self, system, dials):
        version = dials.read().version

        system.stack.client.set("slotgen:rollout_percent", "42")
        eventually(lambda: dials.audit(1)[0].audit_id != version)
        looking = [threading.Thread(target=dials.read) for _ in range(8)]
        for each in looking:
            each.start()
        for each in looking:
            each.join()

        newest, before = dials.audit(2)
        assert (newest.dial, newest.before, newest.after) == ("rollout_percent", b"100", b"42")
        assert newest.command == RAW_COMMAND
        assert before.audit_id == f"noticed:{version.split()[1]}"

    def test_is_kept_though_nobody_asks_for_it(self, system, dials):
        dials.read()

        system.stack.client.set("slotgen:rollout_percent", "43")

        # `audit` only reads: it is the worker that has looked.
        eventually(lambda: dials.audit(1)[0].after == b"43")


class TestHistory:
    def past(self, system, history, job_ids, number):
        def of(ids):
            return [each for each in history.since(0, 5000) if each.subject.job_id in ids]

        eventually(lambda: len(of(job_ids)) >= number)
        # The history is in order: what would come a second time has come before the next one.
        last = new_job(mode="verbatim")
        system.answer(a_spec(last))
        eventually(lambda: of({last["jobId"]}))
        return of(job_ids)

    def test_has_every_outcome_once(self, system, history):
        completed, verbatim = new_job(), new_job(mode="verbatim")
        unknown_type = new_job(output={"field": "x", "type": "poem"})
        system.answer(a_spec(completed, verbatim, unknown_type))
        system.answer(a_spec(completed))
        refused = new_job()
        system.fake_openai.behave(Behaviour(play=Play.REFUSAL))
        system.answer(a_spec(refused))
        system.set_dials(kill="true")
        halted = new_job()
        system.answer(a_spec(halted))

        jobs = [completed, verbatim, unknown_type, refused, halted]
        found = self.past(system, history, {each["jobId"] for each in jobs}, 6)

        said = [(each.subject.job_id, each.status, each.error_code, each.path, each.cached) for each in found]
        assert Counter(said) == Counter(
            [
                (completed["jobId"], "COMPLETED", None, "openai", False),
                (completed["jobId"], "COMPLETED", None, "stub", True),
                (verbatim["jobId"], "STUB", "VERBATIM_MODE", "stub", False),
                (unknown_type["jobId"], "FAILED", "UNSUPPORTED_OUTPUT_TYPE", "stub", False),
                (refused["jobId"], "FAILED", "OUTPUT_REFUSED", "openai", False),
                (halted["jobId"], "STUB", "KILL_SWITCH", "stub", False),
            ]
        )

    def test_says_what_the_event_says(self, system, history, fleet):
        job = new_job()
        system.answer(a_spec(job))

        (past,) = self.past(system, history, {job["jobId"]}, 1)

        line = system.event_of(job["jobId"])
        telemetry, details = line["telemetry"], line["details"]
        assert (past.status, past.path, past.error_code) == ("COMPLETED", "openai", telemetry["errorCode"])
        assert past.latency_ms == pytest.approx(telemetry["latencyMs"], abs=0.001)
        assert (past.attempts, past.cost_nano_usd) == (details["attempts"], details["cost_nano_usd"])
        assert (past.rule_id, past.policy_hash) == (details["rule_id"], details["policy_hash"])
        assert past.executor_version == telemetry["executorVersion"]
        assert past.worker_id == fleet.workers()[0].worker_id
        assert past.telemetry_valid

    def test_has_hundreds_of_jobs_at_once_in_full(self, system, history):
        system.set_dials(feature="false")
        jobs = [new_job() for _ in range(300)]
        pending = [system.send(a_spec(*jobs[start : start + 20])) for start in range(0, 300, 20)]
        for each in pending:
            each.get(timeout=30)

        found = self.past(system, history, {each["jobId"] for each in jobs}, 300)

        assert Counter(each.subject.job_id for each in found) == dict.fromkeys(
            (each["jobId"] for each in jobs), 1
        )
        assert {each.error_code for each in found} == {"FEATURE_DISABLED"}


class TestCuts:
    def test_are_counted(self, system):
        before = scraped(system, "slotgen_cut_names_total")
        long = new_job() | {"slotId": "s" * 256}

        system.answer(a_spec(long, new_job()))

        assert scraped(system, "slotgen_cut_names_total") == before + 1


class TestQueueAge:
    def scraped(self, system):
        return scraped(system, "slotgen_queue_oldest_seconds")

    def test_of_an_empty_queue_is_on_the_metrics_as_zero(self, system):
        system.answer(a_spec(new_job()))

        assert self.scraped(system) == 0

    def test_grows_while_a_backlog_waits(self, system, fleet):
        system.fake_openai.behave(Behaviour(delay_seconds=60))
        # More than the worker, of 64 slots, takes at once.
        pending = [system.send(a_spec(new_job())) for _ in range(100)]
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 64, WAIT_SECONDS)
        assert fleet.queue_depth() > 0

        # Noted at the latest with the next sign of life, which a changed dial brings, and older from then on.
        system.stack.client.set("slotgen:rollout_percent", "99.9")
        noted = eventually(lambda: max(0, self.scraped(system)))
        eventually(lambda: self.scraped(system) > noted)

        system.set_dials(kill="true")
        assert {each.get(timeout=60)[0]["status"] for each in pending} == {"STUB"}
        assert fleet.queue_oldest_seconds() == 0
        # A scrape shows what was read last.
        eventually(lambda: self.scraped(system) == 0)
