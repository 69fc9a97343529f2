"""Random abuse from every side, beside an honest load: none of its jobs is lost, and the fleet stays one that
can be halted, counted and paid for.

The seed is printed, and SLOTGEN_FAULTS_SEED sets it; SLOTGEN_FAULTS_SECONDS is how long it goes on, and
SLOTGEN_FAULTS_KINDS, names with commas between, what is drawn from.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter

import pytest

from tests.faults.rig.abuse import ABUSES, Abuser
from tests.faults.rig.fleet import fleet
from tests.faults.rig.halting import PROMISED_MS
from tests.faults.rig.hasty_config import write_config
from tests.faults.rig.honest_load import HonestLoad
from tests.faults.rig.length import in_full
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.rounds import TOKEN_NANO_USD, WINDOW_SECONDS, Rounds
from tests.log_lines import LogLines
from tests.waiting import eventually
from worker.adapters.redis.waiting import depth

SECONDS = int(os.environ.get("SLOTGEN_FAULTS_SECONDS", in_full(1800, short=120)))
SEED = int(os.environ.get("SLOTGEN_FAULTS_SEED", "4711"))
NAMED = [each for each in os.environ.get("SLOTGEN_FAULTS_KINDS", "").split(",") if each]
KINDS = NAMED or list(ABUSES)
DEADLINE_SECONDS = 20
# From the end of the last abuse to an answer to every new job, as after other troubles.
BACK_SECONDS = 15
# What an abuse has put somewhere is yet to come after its end, and a job that has met it waits.
AFTERWARDS_SECONDS = DEADLINE_SECONDS + BACK_SECONDS
# Of the honest jobs. The others have a reason, but a fleet that does nothing else would pass as well.
LEAST_COMPLETED_SHARE = 0.4
GROWTH_MB = 30


class Counted(LogLines):
    """Counts what the workers log, and keeps none of it: half an hour of it is too much to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def hear(self, line: dict[str, object]) -> None:
        self.seen[str(line.get("event"))] += 1


def growth_mb(resident_mb: list[list[float]]) -> float:
    """Return by how much the worker that grew most has grown, from the time's first third to the last."""
    third = len(resident_mb) // 3
    first, last = (zip(*part, strict=True) for part in (resident_mb[:third], resident_mb[-third:]))
    return max(
        statistics.median(after) - statistics.median(before)
        for before, after in zip(first, last, strict=True)
    )


@pytest.fixture
def settings(tmp_path) -> dict[str, str]:
    """A flat price, so that the stand-in can say what is owed; a guard that does not halt."""
    prices = (
        "inputUsdPerMillion",
        "cachedInputUsdPerMillion",
        "cacheWriteUsdPerMillion",
        "outputUsdPerMillion",
    )
    config = write_config(
        tmp_path,
        guard_mode="warn",
        prices={"gpt-6-luna": dict.fromkeys(prices, f"{TOKEN_NANO_USD / 1000:g}")},
        jobDeadlineSeconds=DEADLINE_SECONDS,
        requestTimeoutSeconds=DEADLINE_SECONDS // 2,
        maxOutputTokens=1024,
    )
    return {
        "SLOTGEN_EXECUTOR_CONFIG": str(config),
        "SLOTGEN_BUDGET_USD": "1000",
        "SLOTGEN_BUDGET_WINDOW_SECONDS": str(WINDOW_SECONDS),
    }


@pytest.mark.thorough
@pytest.mark.timeout(SECONDS + 300)
def test_random_abuse_costs_an_honest_load_nothing_that_it_does_not_explain(saw, settings):
    print(f"SLOTGEN_FAULTS_SEED={SEED}")
    with fleet() as hurt:
        hurt.lines = lines = Counted()
        hurt.client.config_set("appendfsync", "always")
        rounds = Rounds(hurt, Abuser(hurt, SEED), KINDS)
        hurt.start_workers(2, concurrency=20, **settings)
        load = HonestLoad(hurt, rounds.look_after)
        with load.sending():
            until_mono = time.monotonic() + SECONDS
            while time.monotonic() < until_mono:
                rounds.one()
            began_mono = time.monotonic()
            # What is left of the abuse on the way is answered first.
            while hurt.statuses(hurt.send(3)) != ["COMPLETED"] * 3:
                assert time.monotonic() - began_mono < BACK_SECONDS
            back_seconds = time.monotonic() - began_mono
        grown_mb = growth_mb(rounds.resident_mb)
        answers = load.answers(within_seconds=DEADLINE_SECONDS + 60)
        eventually(lambda: depth(hurt.client, "slotgen") == 0, saying="messages are left on the queue")
        hurt.wait_until_nothing_is_held()
        assert not rounds.abuser.forgotten()
        rounds.spent()
        for worker in hurt.workers:
            worker.check()

    codes = Counter(each.code or "COMPLETED" for each in answers)
    slowest_ms = max(rounds.halts_ms, default=0)
    print(dict(codes), dict(lines.seen), sorted(map(round, rounds.halts_ms)), grown_mb)
    kinds = {each for one in rounds.done for each in one.kinds}
    saw(
        "random abuse",
        f"{SECONDS} s, {len(rounds.done)} rounds of {len(kinds)} kinds beside {len(answers):,} honest jobs,"
        f" seed {SEED}",
        ", ".join(f"{number:,} {code}" for code, number in codes.most_common())
        + f"; {len(rounds.halts_ms)} halts within {slowest_ms:.0f} ms; {grown_mb:+.0f} MB;"
        f" new jobs were answered {back_seconds:.1f} s after the end",
        f"0 lost, 0 unexplained, 0 exits, <= {PROMISED_MS} ms: {verdict(slowest_ms, PROMISED_MS)}",
    )
    assert not rounds.unexplained(answers, AFTERWARDS_SECONDS)
    assert codes["COMPLETED"] >= LEAST_COMPLETED_SHARE * len(answers)
    assert grown_mb <= GROWTH_MB
    within(slowest_ms, PROMISED_MS)
