"""How many exchanges with Redis a lone job waits for, one after the other, by the names of its steps.

What a client sends between two replies is one exchange, however many commands it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import redis

import worker.process.composition  # noqa: F401 - so that every script is known
from tests.benchmarks.jobs.latency import Answers, await_rest
from tests.benchmarks.rig.exchanges import Relay
from tests.benchmarks.rig.messages import generated, stubs
from tests.benchmarks.rig.row import Row, at_most
from tests.builders import open_dials
from tests.fakes.openai.server import FakeOpenAI
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import WorkerProcess, worker_environment

JOBS = 50


def run() -> Iterator[Row]:
    """Yield the rows."""
    with (
        FakeOpenAI() as fake_openai,
        EmbeddedRedis() as server,
        redis.Redis.from_url(server.url) as client,
        Relay(server.port) as relay,
    ):
        url = server.url.replace(str(server.port), str(relay.port))
        environment = worker_environment(url, fake_openai.base_url)
        worker = WorkerProcess(environment, server.directory / "worker.log", lambda _: None)
        worker.start(["--metrics-port", "0", "--concurrency", "100"])
        try:
            client.mset(open_dials())
            numbers = iter(range(10**6))
            completed = steps_of(client, relay, worker, lambda _: generated([next(numbers)], "job"))
            client.set("slotgen:kill", "true")
            stub = steps_of(client, relay, worker, stubs)
        finally:
            worker.stop()
    for words, steps, bound in (("COMPLETED", completed, 6), ("STUB", stub, 3)):
        number = sum(times for name, times in steps.items() if not name.startswith("("))
        shown = ", ".join(name if times == 1 else f"{times} {name}" for name, times in steps.items())
        yield at_most(
            f"Redis exchanges awaited in sequence, {words}", number, bound, figure=f"{number}: {shown}"
        )


def steps_of(
    client: redis.Redis, relay: Relay, worker: WorkerProcess, messages: Callable[[int], list[bytes]]
) -> Counter[str]:
    """Return how often a job makes each exchange; what a worker does beside its jobs comes less often."""
    with Answers(client, "slotgen", messages) as answers:
        for _ in range(5):
            answers.seconds()
        await_rest(worker.pid)
        before = Counter(relay.exchanges)
        for _ in range(JOBS):
            answers.seconds()
        found = relay.exchanges - before
    return Counter({name: round(times / JOBS) for name, times in found.items() if times >= JOBS / 2})
