"""Runs Celery's own worker, which consumes the queue, on a pool of ours."""

import os
import socket

from celery import Celery

from worker.adapters.celery.pool import JobLoopPool


def consume(app: Celery, pool: type[JobLoopPool], concurrency: int) -> int:
    """Consume until a signal ends it; return its exit code (0 done, 1 failed)."""
    worker = app.Worker(
        hostname=f"slotgen-{os.getpid()}@{socket.gethostname()}",
        pool=pool,
        concurrency=concurrency,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
