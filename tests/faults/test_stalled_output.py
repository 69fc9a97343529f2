"""Whoever reads the log may stop reading: that holds up neither the jobs nor a halt."""

from __future__ import annotations

import os
import signal
import threading
import urllib.request
from contextlib import suppress

import pytest

from tests.builders import a_job, a_spec
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.halting import PROMISED_MS, closed_after_ms, fill
from tests.faults.rig.length import in_full
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.troubles import REFUSALS
from tests.waiting import eventually

# Their lines are several times what a pipe holds (64 KiB).
UNREAD_JOBS = 500
CALLS = in_full(500, short=50)
RUNS = in_full(20, short=2)
# Where Redis refuses every write, a message halts; a full one takes the deletion of the key.
WAYS = {"no replicas": ("PUBLISH", "slotgen:kill:0", "true"), "out of memory": ("DEL", "slotgen:kill")}


def readable(hurt: Fleet) -> threading.Event:
    """Return what stops, while it is cleared, whoever reads the workers' lines."""
    reading = threading.Event()
    reading.set()
    hear, hurt.lines.hear = hurt.lines.hear, lambda line: (reading.wait(), hear(line))
    return reading


def fill_the_pipe(hurt: Fleet) -> None:
    """Let the workers write more than fits into the pipe that nobody reads."""
    specs = [a_spec(a_job(f"unread-{each}"), allow_ai=False) for each in range(UNREAD_JOBS)]
    sent = [hurt.celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]
    assert set(hurt.statuses(sent)) == {"STUB"}


def fill_the_rest(pid: int) -> None:
    """Leave no room in the pipe for a word that is shorter than a line of the log."""
    pipe = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b" ")
    os.close(pipe)


@pytest.mark.timeout(120)
def test_a_reader_that_has_stopped_holds_up_neither_jobs_nor_a_halt(saw):
    with fleet() as hurt:
        reading = readable(hurt)
        worker = hurt.start_worker(concurrency=100)
        pending = fill(hurt, 50)
        reading.clear()
        try:
            fill_the_pipe(hurt)
            health = f"http://127.0.0.1:{worker.ready['metrics_port']}/healthz"
            with urllib.request.urlopen(health, timeout=10) as answer:
                assert answer.status == 200

            halt_ms = closed_after_ms(hurt, lambda: hurt.client.set("slotgen:kill", "true"))

            assert set(hurt.statuses(pending)) == {"STUB"}
        finally:
            reading.set()
        # What was not read then is read now.
        hurt.lines.wait_for(lambda lines: len(lines.codes) >= UNREAD_JOBS + len(pending))
    saw(
        "stalled output",
        f"50 calls in flight, {UNREAD_JOBS} outcomes whose lines nobody reads, SET kill true",
        f"all closed after {halt_ms:.0f} ms, every line there once it is read",
        f"<= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)


@pytest.mark.timeout(120)
def test_a_worker_whose_reader_has_stopped_ends_in_order_all_the_same(saw):
    with fleet() as hurt:
        reading = readable(hurt)
        worker = hurt.start_worker(concurrency=10, SLOTGEN_SHUTDOWN_GRACE_SECONDS="1")
        (held,) = fill(hurt, 1)
        reading.clear()
        try:
            fill_the_pipe(hurt)
            fill_the_rest(worker.pid)
            os.kill(worker.pid, signal.SIGTERM)
            eventually(lambda: hurt.client.llen("slotgen") == 1, saying="the job in flight did not go back")
        finally:
            reading.set()
        assert worker.stop() == 0
        assert not hurt.client.exists(f"celery-task-meta-{held}")
    saw(
        "stalled output",
        "SIGTERM, a call in flight, nobody reads",
        "it went back in order",
        "0 lost",
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("trouble", WAYS)
def test_a_halt_is_over_at_once_with_a_stopped_reader_and_a_redis_that_refuses_writes(trouble, saw):
    with fleet(persistent=False) as hurt:
        reading = readable(hurt)
        # One that is read too late would make a STUB, whose line is not read.
        hurt.start_worker(concurrency=CALLS, SLOTGEN_CONTROL_READ_TIMEOUT_MS="5000")
        reading.clear()
        try:
            fill_the_pipe(hurt)
            halts_ms = sorted(one_halt_ms(hurt, trouble) for _ in range(RUNS))
        finally:
            reading.set()
    saw(
        "stalled output",
        f"{CALLS} calls in flight, {trouble}, {' '.join(WAYS[trouble])}, {RUNS} runs",
        f"all closed after {halts_ms[RUNS // 2]:.0f} ms p50, {halts_ms[-1]:.0f} ms p99 (the worst)",
        f"<= {PROMISED_MS} ms p99: {verdict(halts_ms[-1], PROMISED_MS)}",
    )
    within(halts_ms[-1], PROMISED_MS)


def one_halt_ms(hurt: Fleet, trouble: str) -> float:
    hurt.open_dials()
    pending = fill(hurt, CALLS)
    with REFUSALS[trouble](hurt):
        halt_ms = closed_after_ms(hurt, lambda: hurt.client.execute_command(*WAYS[trouble]))
    assert set(hurt.statuses(pending)) == {"STUB"}
    return halt_ms
