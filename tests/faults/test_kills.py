"""Workers and Redis killed at random: every job gets its result, and no finished one is paid again."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.accounts import extra_requests, ledger_keys, times_generated
from tests.faults.rig.campaign import Campaign
from tests.faults.rig.fleet import Fleet, fleet, kill
from tests.faults.rig.hasty_config import write_config
from tests.faults.rig.length import full_length_only, in_full

JOBS = in_full(2000, short=300)
KILLS = in_full(20, short=3)
RESTARTS = in_full(3, short=1)


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_nothing_and_pay_for_no_finished_job_again(saw):
    chance = random.Random(4711)
    with fleet() as hurt:
        hurt.client.config_set("appendfsync", "always")
        pending = hurt.send(JOBS)
        campaign = Campaign(hurt, chance, concurrency=20)
        faults = [campaign.kill_worker] * KILLS + [campaign.restart_redis] * RESTARTS
        for fault in chance.sample(faults, len(faults)):
            campaign.await_progress()
            fault()
        hurt.fake_openai.behave(Behaviour())

        outcomes = [hurt.outcome(each) for each in pending]
        results = Counter(each["result"][0]["status"] for each in outcomes)
        records, fresh = hurt.fake_openai.journal.records(), times_generated(hurt.lines)
        paid_again = [job for job, times in fresh.items() if times > 1]
        hurt.wait_until_nothing_is_held()
        left = hurt.client.llen("slotgen")
        generate_again(hurt, {each["result"][0]["jobId"] for each in outcomes} - set(fresh))
        keys = ledger_keys(hurt.fake_openai.journal.records(), hurt.lines)
        extra = extra_requests(records, campaign.kills, keys)
        answered_ms = [each.answered_ms_before for each in extra if each.answered_ms_before is not None]
        saw(
            "worker killed",
            f"{KILLS} x kill -9 of the worker and {RESTARTS} x of Redis (AOF, fsync always) over {JOBS} jobs",
            f"{sum(results.values())} results ({results['COMPLETED']} COMPLETED, {results['STUB']} STUB,"
            f" {results['FAILED']} FAILED), {JOBS - sum(results.values())} lost; {len(extra)} extra requests,"
            f" {sum(each.in_ledger for each in extra)} of them in flight at a kill and in the ledger"
            f" ({len(extra) - len(answered_ms)} cut off, {len(answered_ms)} answered at most"
            f" {max(answered_ms, default=0):.0f} ms before it and not yet stored);"
            f" {len(paid_again)} finished jobs paid again",
            f"{JOBS} results, 0 lost; every extra request in flight at a kill and in the ledger;"
            " 0 finished jobs paid again",
        )
        assert sum(results.values()) == JOBS
        # A Redis that is away for longer than the grace halts what is in flight; such a job may come back.
        assert sum(each.at is None for each in extra) <= hurt.lines.codes.count("KILL_UNVERIFIED")
        assert [each for each in extra if each.at is not None and not each.in_ledger] == []
        assert paid_again == []
        # Redis was away, or three workers in a row died with the job.
        assert set(hurt.lines.codes) <= {None, "KILL_UNVERIFIED", "OPENAI_CONNECTION_ERROR"}
        assert [each for each in campaign.kills if each.in_flight > sum(each.ledger.values())] == []
        assert left == 0


def generate_again(hurt: Fleet, job_ids: set[str]) -> None:
    """Ask once more for jobs without a line of their answer, for it says which request was for which job."""
    answers = hurt.client.keys("slotgen:answer:*")
    hurt.client.delete(*answers)
    assert set(hurt.statuses(hurt.send_jobs(job_ids))) <= {"COMPLETED"}


@full_length_only
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("attempts", "kills"), [(10, 5), (3, 3)])
def test_a_job_that_was_in_flight_at_every_kill_ends(attempts, kills, tmp_path, saw):
    config = write_config(tmp_path, attempts=attempts)
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(play=Play.HANG))
        (poison,) = hurt.send(1)
        for _ in range(kills):
            worker = hurt.start_worker(SLOTGEN_EXECUTOR_CONFIG=str(config))
            hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, 60)
            kill(worker)
            hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 0, 60)
        hurt.start_worker(SLOTGEN_EXECUTOR_CONFIG=str(config))

        outcome = hurt.outcome(poison)

        assert hurt.fake_openai.journal.counts().begun == kills
        hurt.wait_until_nothing_is_held()
        if attempts > kills:
            assert outcome["status"] == "FAILURE"
            ((_, entry),) = hurt.client.xrange("slotgen:dead")
            assert entry[b"reason"] == b"killed_its_workers"
            seen = "in the dead letters, its producer told"
        else:
            assert outcome["result"][0]["status"] == "FAILED"
            assert hurt.lines.codes == ["OPENAI_CONNECTION_ERROR"]
            seen = "FAILED, OPENAI_CONNECTION_ERROR, from the ledger alone"
        saw(
            "poison message",
            f"kill -9 of {kills} workers in a row while they hold it, {attempts} attempts allowed",
            f"{seen}; {kills} requests",
            f"ends after {kills} deaths, no request more",
        )
