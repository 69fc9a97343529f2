"""Whoever reads the log may stop reading: that holds up neither the jobs nor a halt."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from tests.builders import a_job, a_spec
from tests.faults.rig.fleet import fleet
from tests.faults.rig.halting import PROMISED_MS, closed_after_ms, fill
from tests.faults.rig.promise import verdict, within

# Their lines are several times what a pipe holds (64 KiB).
UNREAD_JOBS = 500


@pytest.mark.timeout(120)
def test_a_reader_that_has_stopped_holds_up_neither_jobs_nor_a_halt(saw):
    with fleet() as hurt:
        reading = threading.Event()
        reading.set()
        hear, hurt.lines.hear = hurt.lines.hear, lambda line: (reading.wait(), hear(line))
        worker = hurt.start_worker(concurrency=100)
        pending = fill(hurt, 50)
        reading.clear()
        try:
            refused = [
                hurt.celery.send_task(
                    "slotgen.generate",
                    args=[a_spec(a_job(f"unread-{each}"), allow_ai=False)],
                    queue="slotgen",
                ).id
                for each in range(UNREAD_JOBS)
            ]
            assert set(hurt.statuses(refused)) == {"STUB"}
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
