"""The guard in a real Redis: what breaches a rule, that it trips once, and that it only ever narrows."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from tasks.executor_config import load
from tasks.limits.guard import GuardMode, GuardVerdict, JobResult, Observation
from tasks.ports import Arrival, Ending
from tests.bookings import some_steps
from tests.foreign import LAST_OF_ALL
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.keys import AUDIT_NOTICED, AUDIT_SEEN, GUARD_SPENT

RULES = dataclasses.replace(load(None).guard, sample=20, minimum_sample=10)
FAILED, UNUSABLE = frozenset({JobResult.FAILED}), frozenset({JobResult.FAILED, JobResult.UNUSABLE})
FINE = frozenset()


async def observed(steps, seen):
    end = Ending("", concluded=True, observation=seen)
    return (await steps.arrive(Arrival("", ending=end))).finding


def play(redis_server, namespace, *steps, rules=RULES, cost=0, workers=1):
    """Return the findings of one outcome after another, brought by `workers` in turn.

    A step is what counts against the fleet, or that and its cause.
    """
    outcomes = [each if isinstance(each, tuple) else (each, "") for each in steps]

    async def scenario():
        async with open_async(redis_server.url, timeout_seconds=5) as client:
            each = [some_steps(RedisBatches(client), namespace, rules=rules) for _ in range(workers)]
            return [
                await observed(each[n % workers], Observation(marked, cost, cause))
                for n, (marked, cause) in enumerate(outcomes)
            ]

    return asyncio.run(scenario())


@pytest.fixture
def released(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    return lambda: redis_client.get(f"{namespace}:kill")


def test_bad_outputs_beyond_the_share_pull_the_brake_once(redis_server, redis_client, namespace, released):
    found = play(redis_server, namespace, *[FINE] * 20, *[UNUSABLE] * 10)

    verdicts = [each.verdict for each in found]
    assert verdicts[:9] == [GuardVerdict.NO_DATA] * 9
    assert set(verdicts[9:24]) == {GuardVerdict.HEALTHY}
    # The fifth of twenty is more than a fifth of them.
    tripped = [number for number, each in enumerate(found) if each.tripped]
    assert tripped == [24]
    assert found[24].reason == "5 of 20 unusable; at most 0.2"
    assert released() == b"true"
    # With the brake on nothing counts, and nothing is written again.
    assert set(verdicts[25:]) == {GuardVerdict.NO_DATA}


def test_the_reason_names_the_cause_that_dominated(redis_server, namespace, released):
    bullets = (UNUSABLE, "OUTPUT_POLICY_VIOLATION/bullet_list")
    other = (UNUSABLE, "OUTPUT_NOT_JSON")

    found = play(redis_server, namespace, *[FINE] * 6, other, bullets, bullets, bullets)

    (tripped,) = [each for each in found if each.tripped]
    assert tripped.reason == (
        "4 of 10 unusable: OUTPUT_POLICY_VIOLATION/bullet_list (3 of them); at most 0.2"
    )


def test_a_single_cause_is_the_whole_reason(redis_server, namespace, released):
    found = play(redis_server, namespace, *[(FAILED, "OPENAI_SERVER_ERROR")] * 10)

    assert found[-1].reason == "10 of 10 FAILED: OPENAI_SERVER_ERROR; at most 0.5"


def test_the_record_says_who_and_why(redis_server, redis_client, namespace, released):
    play(redis_server, namespace, *[UNUSABLE] * 10)

    newest = RedisDials(redis_client, namespace).audit(1)[0]
    assert (newest.actor, newest.command, newest.dial) == ("guard", "auto-halt", "kill")
    assert newest.reason == "10 of 10 unusable; at most 0.2"
    # It is accounted for: nobody takes it for a raw command.
    RedisDials(redis_client, namespace).read()
    assert RedisDials(redis_client, namespace).audit(1) == [newest]


@pytest.mark.parametrize("record", [AUDIT_NOTICED, AUDIT_SEEN])
def test_it_says_that_it_has_halted_though_that_cannot_be_noted(
    redis_server, redis_client, namespace, released, record
):
    if record is AUDIT_SEEN:
        redis_client.set(record(namespace), "no hash")
    else:
        redis_client.xadd(record(namespace), {"dial": "kill"}, id=LAST_OF_ALL)

    found = play(redis_server, namespace, *[UNUSABLE] * 10)

    assert released() == b"true"
    assert found[-1].tripped


@pytest.mark.parametrize(
    ("marked", "cost", "changes", "reason"),
    [
        (FAILED, 0, {}, "10 of 10 FAILED; at most 0.5"),
        (
            frozenset({JobResult.SLOW}),
            0,
            {},
            "10 of 10 slower than 60 s; at most 0.05",
        ),
        (frozenset({JobResult.UNEXPECTED}), 0, {}, "1 of 1 unexpected"),
        (
            frozenset({JobResult.INVALID_EVENT}),
            0,
            {"max_invalid_events": 2},
            "3 of 3 with an invalid event; at most 2",
        ),
        (FINE, 2 * 10**9, {}, "6.00 USD were spent in a minute, at most 5.00"),
    ],
)
def test_every_condition_has_its_figures(redis_server, namespace, released, marked, cost, changes, reason):
    rules = dataclasses.replace(RULES, **changes)

    found = play(redis_server, namespace, *[marked] * 12, rules=rules, cost=cost)

    assert [each.reason for each in found if each.tripped] == [reason]
    assert released() == b"true"


def test_the_spend_of_a_minute_is_kept_under_its_number(redis_server, redis_client, namespace, released):
    play(redis_server, namespace, FINE, FINE, cost=7)

    minute = redis_client.time()[0] // 60
    kept = [redis_client.get(GUARD_SPENT(namespace, str(each))) for each in (minute - 1, minute)]
    assert sum(int(each or 0) for each in kept) == 14


def test_too_few_outcomes_hold(redis_server, namespace, released):
    found = play(redis_server, namespace, *[UNUSABLE] * 9)

    assert {each.verdict for each in found} == {GuardVerdict.NO_DATA}
    assert released() == b"false"


def test_old_outcomes_do_not_count(redis_server, redis_client, namespace, released):
    now_ms = redis_client.time()[0] * 1000
    redis_client.lpush(f"{namespace}:guard", *[f"{now_ms - 301_000} FS"] * 19)

    (found,) = play(redis_server, namespace, UNUSABLE)

    assert found.verdict is GuardVerdict.NO_DATA


def test_it_is_one_account_whichever_worker_brings_the_outcome(redis_server, namespace, released):
    alone = [each.verdict for each in play(redis_server, namespace, *[FINE] * 10, *[FAILED] * 12)]
    other = f"{namespace}-b"
    with open_sync(redis_server.url, timeout_seconds=5) as client:
        client.set(f"{other}:kill", "false")

    together = [each.verdict for each in play(redis_server, other, *[FINE] * 10, *[FAILED] * 12, workers=4)]

    assert alone == together
    assert GuardVerdict.BREACH in alone


def test_after_the_release_the_fleet_is_judged_anew(redis_server, redis_client, namespace, released):
    play(redis_server, namespace, *[UNUSABLE] * 12)
    redis_client.set(f"{namespace}:kill", "false")

    found = play(redis_server, namespace, *[FINE] * 9, UNUSABLE)

    assert not any(each.tripped for each in found)
    assert released() == b"false"


@pytest.mark.parametrize("kill", [None, "true", "garbage"])
def test_it_never_releases(redis_server, redis_client, namespace, kill):
    if kill:
        redis_client.set(f"{namespace}:kill", kill)

    found = play(redis_server, namespace, *[FINE] * 30)

    assert {each.verdict for each in found} == {GuardVerdict.NO_DATA}
    assert redis_client.get(f"{namespace}:kill") == (kill.encode() if kill else None)


def test_warning_touches_nothing_and_comes_once_for_each_sample(redis_server, namespace, released):
    rules = dataclasses.replace(RULES, mode=GuardMode.WARN)

    found = play(redis_server, namespace, *[UNUSABLE] * 20, rules=rules)

    assert [each.verdict for each in found].count(GuardVerdict.BREACH) == 2
    assert released() == b"false"


def test_lines_that_are_no_outcome_and_a_sum_that_is_none_blind_it_not(
    redis_server, redis_client, namespace, released
):
    redis_client.rpush(f"{namespace}:guard", b"\xff", "", "no outcome", "12 XYZ x", "9" * 400 + " F", "[]")
    minute = redis_client.time()[0] // 60
    # Of this minute and the next.
    for each in (minute, minute + 1):
        redis_client.set(f"{namespace}:guard:spent:{each}", "NaN", ex=180)

    found = play(redis_server, namespace, *[FINE] * 6, *[UNUSABLE] * 4)

    assert [each.tripped for each in found] == [False] * 9 + [True]
    assert released() == b"true"
