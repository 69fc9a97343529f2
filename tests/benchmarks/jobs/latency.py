"""How long one STUB job takes on an idle worker, against a no-op task of bare Celery, in turns.

Timed from the LPUSH to the message that Redis publishes with the result, which a waiting producer hears.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Self

import redis

from tests.benchmarks.rig.messages import id_of, nothing, stubs
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import (
    DEADLINE_SECONDS,
    bare_worker,
    cpu_seconds,
    forget_results,
    result_key,
)
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import stack

JOBS, WARM_UP = 300, 20
REST_SECONDS, REST_CPU_SECONDS = 0.5, 0.05


def run() -> list[Row]:
    """Return the rows."""
    with (
        stack(concurrency=100) as system,
        EmbeddedRedis() as server,
        bare_worker(server, "--pool", "threads", "--concurrency", "100"),
        redis.Redis.from_url(server.url) as bare_client,
        ExitStack() as listening,
    ):
        system.client.set("slotgen:kill", "true")
        one_stub = listening.enter_context(Answers(system.client, "slotgen", stubs)).seconds
        one_bare = listening.enter_context(Answers(bare_client, "bare", nothing)).seconds
        for _ in range(WARM_UP):
            one_bare(), one_stub()
        await_rest(system.worker.pid)  # it opens the SDK, which takes the interpreter for a second or two
        bare, ours = zip(*((one_bare() * 1000, one_stub() * 1000) for _ in range(JOBS)), strict=True)
    return [
        at_most(
            f"latency on an idle worker, p50 of {JOBS} in turns: STUB / bare no-op",
            median(ours) / median(bare),
            1,
            figure=f"{median(ours) / median(bare):.2f} ({median(ours):.2f} / {median(bare):.2f} ms)",
        ),
        Row("  p95", f"{p95(ours):.2f} / {p95(bare):.2f} ms"),
    ]


def await_rest(pid: int) -> None:
    """Return once a process has taken next to no CPU for half a second."""
    before = -1.0
    while (now := cpu_seconds(pid)) - before > REST_CPU_SECONDS:
        before = now
        time.sleep(REST_SECONDS)


def p95(ms: tuple[float, ...]) -> float:
    return sorted(ms)[int(len(ms) * 0.95)]


class Answers:
    """Sends one message at a time to a queue, and hears its answer."""

    def __init__(self, client: redis.Redis, queue: str, messages: Callable[[int], list[bytes]]) -> None:
        self._client, self._queue, self._messages = client, queue, messages
        self._heard = client.pubsub(ignore_subscribe_messages=True)

    def __enter__(self) -> Self:
        self._heard.psubscribe(result_key("*"))
        return self

    def __exit__(self, *_: object) -> None:
        self._heard.close()

    def seconds(self) -> float:
        """Return how long the answer to one more message took."""
        (message,) = self._messages(1)
        channel, deadline_mono = result_key(id_of(message)).encode(), time.monotonic() + DEADLINE_SECONDS
        began = time.perf_counter()
        self._client.lpush(self._queue, message)
        while (heard := self._heard.get_message(timeout=1)) is None or heard["channel"] != channel:
            if time.monotonic() > deadline_mono:
                raise TimeoutError(f"no answer came in {DEADLINE_SECONDS} s")
        taken = time.perf_counter() - began
        forget_results(self._client, [id_of(message)])
        return taken
