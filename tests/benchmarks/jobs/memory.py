"""Resident memory of one worker after 2,000, 20,000 and 200,000 jobs, one in twenty of which calls the model.

Every job has an id and a topic of its own, so that whatever kept something for each of them would show.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.rig.backlog import await_calm, await_taken, taken
from tests.benchmarks.rig.messages import generated, id_of, push
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import forget_results, memory_mb
from tests.builders import open_dials
from tests.fakes.openai.server import FakeOpenAI
from worker.dev.stack import Stack, stack

FIRST, LAST = 2000, 200_000
CALLED_PERCENT = 5
# Redis holds two portions at most: one that is worked on, one that waits.
PORTION, KEPT = 2000, 3


def run(first: int = FIRST, last: int = LAST) -> Iterator[Row]:
    """Yield the rows; `first` and `last` are numbers of jobs."""
    found, done = {}, 0
    with FakeOpenAI() as fake_openai, stack(concurrency=100, openai_url=fake_openai.base_url) as system:
        system.client.mset(open_dials(rollout_percent=str(CALLED_PERCENT)))
        for number in (first, min(first * 10, last), last):
            feed(system, done, number)
            done, found[number] = number, memory_mb(system.worker.pid)
        called = fake_openai.journal.counts().completed
    yield Row(
        f"resident memory after {', '.join(f'{each:,}' for each in found)} jobs ({called:,} model calls)",
        ", ".join(f"{each:.1f}" for each in found.values()) + " MB",
    )
    yield at_most(f"  growth from {first:,} to {last:,}", (found[last] / found[first] - 1) * 100, 2, " %")


def feed(system: Stack, begin: int, end: int) -> None:
    """Send the jobs `begin` to `end` in portions, forget their results, return when the last is done."""
    before, sent = taken(system), []
    for start in range(begin, end, PORTION):
        await_taken(system, before + start - begin - PORTION)
        messages = generated(range(start, min(start + PORTION, end)), "job")
        push(system.client, "slotgen", messages)
        sent.append(list(map(id_of, messages)))
        # The one before the two is taken, the one before that has all its results.
        if len(sent) > KEPT:
            forget_results(system.client, sent.pop(0))
    await_calm(system)
    for ids in sent:
        forget_results(system.client, ids)
