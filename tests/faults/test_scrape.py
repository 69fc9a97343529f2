"""A scrape answers at once, whatever Redis does, or the alert about Redis would have no data."""

from __future__ import annotations

import os
import signal
import time
import urllib.request

import pytest

from tests.faults.rig.fleet import fleet
from tests.faults.rig.promise import verdict, within
from tests.waiting import eventually

PROMISED_MS = 100
SCRAPES = 20


@pytest.mark.timeout(120)
def test_a_scrape_waits_for_no_frozen_redis(saw):
    with fleet(persistent=False) as hurt:
        worker = hurt.start_worker()
        url = f"http://127.0.0.1:{worker.ready['metrics_port']}/metrics"

        def scraped() -> dict[str, str]:
            with urllib.request.urlopen(url, timeout=60) as page:
                pairs = [line.rpartition(" ") for line in page.read().decode().splitlines()]
            return {name: value for name, _, value in pairs}

        eventually(lambda: scraped()["slotgen_queue_depth"] == "0.0")
        os.kill(hurt.server.pid, signal.SIGSTOP)
        try:
            took_ms = []
            for _ in range(SCRAPES):
                began_mono = time.monotonic()
                scraped()
                took_ms.append((time.monotonic() - began_mono) * 1000)
            # And what nobody can know any more is shown as that.
            eventually(lambda: scraped()["slotgen_queue_depth"] == "-1.0")
        finally:
            os.kill(hurt.server.pid, signal.SIGCONT)
        eventually(lambda: scraped()["slotgen_queue_depth"] == "0.0")
    saw(
        "frozen Redis",
        f"{SCRAPES} scrapes of /metrics",
        f"the slowest took {max(took_ms):.0f} ms; the queue reads as -1",
        f"<= {PROMISED_MS} ms: {verdict(max(took_ms), PROMISED_MS)}",
    )
    within(max(took_ms), PROMISED_MS)
