"""What tracing takes of a STUB job's CPU: without an endpoint, and with spans that are made and encoded.

The parts are measured by themselves: two workers that are alike differ by more than tracing takes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from statistics import median
from typing import Any

from celery.app.task import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from tasks.delivery import Answer
from telemetry.tracing import TRACE, exemplar
from tests.benchmarks.rig.messages import stubs
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import cpu_seconds, drain
from worker.adapters.otel.spans import MessageSpans, open_tracer
from worker.dev.stack import stack
from worker.process.tracing import Tracing

JOBS = 2000
ROUNDS = 5
_STUB = Answer([{"status": "STUB"}], {"errorCodes": ["KILL_SWITCH"]})


def run() -> Iterator[Row]:
    """Yield the rows."""
    job = stub_us()
    yield Row(f"CPU of a STUB job without tracing, median of {ROUNDS}", f"{job:.0f} µs")
    spans = Spans()
    traced = MessageSpans(open_tracer(spans, "slotgen", "worker"), "slotgen", "redis://h")
    plain = task_us(lambda _, work: work, sampled=False)
    # The clock may see less than nothing.
    off = max(task_us(Tracing().traced, sampled=False) - plain, 0.0)
    yield at_most(
        "  tracing without an endpoint", off / job * 100, 3, " %", figure=f"{off / job:.1%} ({off:.1f} µs)"
    )
    followed = task_us(traced, sampled=False) - plain
    yield Row("  in a trace that its producer does not sample", f"{followed / job:.1%} ({followed:.1f} µs)")
    made = task_us(traced, sampled=True) - plain
    sent = median(encode_us(list(spans.ended)) for _ in range(ROUNDS))
    yield Row(
        "  a span made, and encoded beside it", f"{(made + sent) / job:.0%} ({made:.0f} + {sent:.0f} µs)"
    )


def stub_us() -> float:
    """Return the CPU of a worker for each STUB job, microseconds."""
    found = []
    with stack(concurrency=100) as system:
        system.client.set("slotgen:kill", "true")
        drain(system.client, "slotgen", stubs(200))
        for _ in range(ROUNDS):
            before = cpu_seconds(system.worker.pid)
            drain(system.client, "slotgen", stubs(JOBS))
            found.append((cpu_seconds(system.worker.pid) - before) / JOBS * 1e6)
    return median(found)


def task_us(traced: Callable[[Any, Coroutine[Any, Any, Answer]], Any], *, sampled: bool) -> float:
    """Return the CPU of a message that does nothing but be traced and recorded, microseconds."""
    traceparent = f"00-{17:032x}-{17:016x}-{sampled:02x}"
    request = Context({"id": "6f1f6d0e-6d0a-4c9e-9a3c-0d8f7a1f2b11", "traceparent": traceparent})

    async def work() -> Answer:
        # As the recorder asks.
        TRACE.get()
        exemplar()
        return _STUB

    async def message() -> None:
        await traced(request, work())

    async def messages() -> None:
        for _ in range(JOBS // 100):
            async with asyncio.TaskGroup() as running:
                for _ in range(100):
                    running.create_task(message())

    return median(cpu_us(lambda: asyncio.run(messages())) for _ in range(ROUNDS))


def encode_us(batch: list[ReadableSpan]) -> float:
    """Return the CPU of making bytes of each of the spans, microseconds."""
    return cpu_us(lambda: encode_spans(batch).SerializeToString()) * JOBS / len(batch)


def cpu_us(run: Callable[[], object]) -> float:
    """Return this process's CPU of `run` for each of `JOBS`, microseconds."""
    began = time.process_time()
    run()
    return (time.process_time() - began) / JOBS * 1e6


class Spans(SpanProcessor):
    """Keeps the latest."""

    def __init__(self) -> None:
        self.ended: deque[ReadableSpan] = deque(maxlen=512)

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)
