"""What makes hundreds of jobs quick takes nothing from any of them: its own read, its event, its place."""

from __future__ import annotations

import uuid
from collections import Counter

from schemas import violations
from tests.builders import a_job, a_spec
from tests.fakes.openai.server import Behaviour

WAIT_SECONDS = 60
ALONE, TOGETHER = 150, 50


def named(number):
    return [f"many-{uuid.uuid4().hex}" for _ in range(number)]


def specs(job_ids):
    """As many messages of one job as `ALONE`, and the rest in one spec."""
    jobs = [a_job(each, input={"topic": each}) for each in job_ids]
    return [a_spec(each) for each in jobs[:ALONE]] + [a_spec(*jobs[ALONE:])]


def answers(system, documents):
    """Send all of them at once; return each one's results, in the order sent."""
    sent = [system.send(each) for each in documents]
    return [each.get(timeout=WAIT_SECONDS) for each in sent]


def reads(system):
    return system.stack.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]


def events(system, job_ids):
    """The telemetry of these jobs, once each of them has one."""
    for each in job_ids:
        system.event_of(each)
    wanted = set(job_ids)
    told = [line["telemetry"] for line in system.lines.outcomes]
    return [event for event in told if event["jobId"] in wanted]


def test_every_job_has_a_read_of_its_own_a_result_in_its_place_and_one_event(system):
    system.set_dials(kill="true")
    job_ids = named(ALONE + TOGETHER)
    before = reads(system)

    results = [result for each in answers(system, specs(job_ids)) for result in each]

    assert [result["jobId"] for result in results] == job_ids
    assert {result["status"] for result in results} == {"STUB"}
    assert reads(system) - before >= len(job_ids)
    told = events(system, job_ids)
    assert Counter(event["jobId"] for event in told) == Counter(job_ids)
    assert [found for event in told for found in violations("telemetry.v1", event)] == []


def test_a_brake_pulled_in_the_middle_lets_nothing_begin_after_it(system):
    fake_openai = system.fake_openai
    fake_openai.behave(Behaviour(delay_seconds=WAIT_SECONDS))
    job_ids = named(ALONE + TOGETHER)
    try:
        pending = [system.send(each) for each in specs(job_ids)]
        fake_openai.journal.wait_until(lambda counts: counts.in_flight >= 5, WAIT_SECONDS)

        system.stack.client.set("slotgen:kill", "true")
        results = [result for each in pending for result in each.get(timeout=WAIT_SECONDS)]
        begun = fake_openai.journal.counts().begun
    finally:
        fake_openai.behave(Behaviour())

    assert {result["status"] for result in results} == {"STUB"}
    told = {event["jobId"]: event for event in events(system, job_ids)}
    assert {event["errorCode"] for event in told.values()} == {"KILL_SWITCH"}
    assert fake_openai.journal.counts().begun == begun
    assert fake_openai.journal.counts().in_flight == 0
