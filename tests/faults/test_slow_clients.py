"""Clients that take their time at a worker's HTTP port take nothing from jobs, probes or scrapes."""

from __future__ import annotations

import resource
import time
import urllib.request
from pathlib import Path

import pytest

from tests.faults.rig.length import in_full
from tests.faults.rig.memory import resident_mb
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.slow_clients import Manner, slow_clients

CONCURRENCY = 50
PROMISED_MS = 1000
PROMISED_MB = 300
JOBS = 100
ROUNDS = 5


def answered_ms(port: int, path: str) -> float:
    began_mono = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as page:
        assert page.status == 200
        page.read()
    return (time.monotonic() - began_mono) * 1000


@pytest.mark.timeout(180)
@pytest.mark.parametrize("manner", list(Manner))
@pytest.mark.parametrize("number", [in_full(10_000, short=300)])
def test_slow_clients_take_nothing_from_jobs_probes_or_scrapes(hurt, saw, manner, number):
    (worker,) = hurt.workers
    port = worker.ready["metrics_port"]
    # As a service has them by default, not as the machine of the tests happens to.
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    with slow_clients(port, number, manner):
        pending = hurt.send(JOBS)
        took_ms = {
            path: max(answered_ms(port, path) for _ in range(ROUNDS))
            for path in ("/healthz", "/readyz", "/metrics")
        }
        statuses = hurt.statuses(pending)
        files, mb = len(list(Path(f"/proc/{worker.pid}/fd").iterdir())), resident_mb(worker.pid)
    slowest = max(took_ms.values())
    saw(
        f"{number} clients of manner {manner}",
        f"{JOBS} jobs, {ROUNDS} of each probe and scrape",
        f"{statuses.count('COMPLETED')} COMPLETED; "
        + ", ".join(f"{path} {ms:.0f} ms" for path, ms in took_ms.items())
        + f"; {files} open files, {mb:.0f} MB",
        f"<= {PROMISED_MS} ms, <= {PROMISED_MB} MB: {verdict(slowest, PROMISED_MS)}",
    )
    assert statuses == ["COMPLETED"] * JOBS
    assert files <= CONCURRENCY + 150
    assert mb <= PROMISED_MB
    within(slowest, PROMISED_MS)
