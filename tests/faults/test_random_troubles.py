"""Troubles of Redis in random order, for random times: a worker outlives them all, and answers right after.

Each part prints its seed; SLOTGEN_FAULTS_SEED is the first one's, and the others' follow it.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.length import in_full
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.tcp_proxy import TcpProxy
from tests.faults.rig.troubles import ABSENCES, REFUSALS, Trouble, in_the_way

# Each part has a fleet, and a seed, of its own, so that one of them can be repeated alone.
PARTS = in_full(10, short=1)
SEQUENCES = in_full(10, short=4)
SEED = int(os.environ.get("SLOTGEN_FAULTS_SEED", "4711"))
LONGEST_SECONDS = 1.5
# From the end of a sequence's last trouble to the answer to a new job.
BACK_SECONDS = 15
IN_FLIGHT = [0, 0, 1, 5, 20]


@dataclass(frozen=True)
class Sequence:
    """Troubles, each with how long it lasts and how long after it the next one comes; how many jobs are sent
    how long before them, and how long their calls take.
    """

    troubles: tuple[tuple[str, float, float], ...]
    before_seconds: float
    jobs: int
    call_seconds: float

    def __str__(self) -> str:
        said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds, _ in self.troubles)
        return f"{self.jobs} jobs of {self.call_seconds:.2f} s: {said}"


def a_sequence(chance: random.Random, names: list[str]) -> Sequence:
    troubles = tuple(
        (chance.choice(names), chance.uniform(0.05, LONGEST_SECONDS), chance.choice([0, chance.random()]))
        for _ in range(chance.randint(2, 5))
    )
    return Sequence(troubles, chance.random() / 2, chance.choice(IN_FLIGHT), chance.choice([0.05, 1, 3]))


@pytest.fixture
def behind_a_proxy() -> Iterator[tuple[Fleet, dict[str, Trouble]]]:
    with fleet() as hurt, TcpProxy(hurt.server.port) as proxy:
        hurt.client.config_set("appendfsync", "always")
        hurt.start_worker(50, SLOTGEN_REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        yield hurt, REFUSALS | ABSENCES | in_the_way(proxy)


@pytest.mark.thorough
@pytest.mark.timeout(60 + 60 * SEQUENCES)
@pytest.mark.parametrize("seed", range(SEED, SEED + PARTS))
def test_a_worker_outlives_random_sequences_of_troubles(seed, behind_a_proxy, saw):
    hurt, troubles = behind_a_proxy
    (worker,) = hurt.workers
    print(f"SLOTGEN_FAULTS_SEED={seed}")
    chance = random.Random(seed)
    slowest_seconds, ended = 0.0, Counter()

    for number in range(SEQUENCES):
        sequence = a_sequence(chance, sorted(troubles))
        print(f"{number + 1}: {sequence}")
        hurt.open_dials()
        hurt.fake_openai.behave(Behaviour(delay_seconds=sequence.call_seconds))
        earlier = hurt.send(sequence.jobs)
        time.sleep(sequence.before_seconds)  # no waiting: where the jobs are by then is what is tried
        for name, seconds, pause_seconds in sequence.troubles:
            with troubles[name](hurt):
                time.sleep(seconds)  # the same
            time.sleep(pause_seconds)  # the same
        hurt.fake_openai.behave(Behaviour())
        began_mono = time.monotonic()

        # One that comes before the worker has read its dials again is a STUB, and not meant.
        while hurt.statuses(hurt.send(1)) != ["COMPLETED"]:
            assert time.monotonic() - began_mono < BACK_SECONDS
        seconds = time.monotonic() - began_mono
        slowest_seconds = max(slowest_seconds, seconds)
        ended.update(hurt.statuses(earlier))
        print(f"   a new job after {seconds:.1f} s, all after {time.monotonic() - began_mono:.1f} s")
        worker.check()
        assert set(hurt.fake_openai.journal.billed_requests().values()) == {1}

    hurt.wait_until_nothing_is_held()
    outcomes = Counter(each["details"]["task_id"] for each in hurt.lines.outcomes)
    saw(
        "random troubles",
        f"{SEQUENCES} sequences of 2 to 5 of {len(troubles)} troubles of Redis, seed {seed}",
        f"{ended.total()} jobs before them: {ended['COMPLETED']} COMPLETED, {ended['STUB']} STUB, none paid"
        f" twice, {sum(number > 1 for number in outcomes.values())} came back after their end; a new one was"
        f" answered within {slowest_seconds:.1f} s of the last trouble's end",
        f"0 lost, 0 paid twice, <= {BACK_SECONDS} s: {verdict(slowest_seconds, BACK_SECONDS)}",
    )
    assert set(ended) <= {"COMPLETED", "STUB"}
    within(slowest_seconds, BACK_SECONDS)
