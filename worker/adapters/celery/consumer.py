"""Runs Celery's own worker, which consumes the queue, with our pool."""

import os
import signal
import socket
import time
from typing import Any

from celery import Celery
from celery.apps import worker as platform
from celery.apps.worker import Worker as CeleryWorker
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown

from worker.adapters.celery.pool import JobLoopPool

# The pauses between two attempts to reach Redis. Celery's grow to half a minute, and end with the worker.
_PAUSES = {"interval_start": 0.1, "interval_step": 0.4, "interval_max": 2.0}


class _Consumer(CeleryConsumer):
    def ensure_connected(self, conn: Any) -> Any:
        refusals = conn.transport_options["refusals"]
        # Otherwise a Redis that lets us connect and refuses the first command would be asked again at once.
        time.sleep(refusals.pause_seconds)
        return conn.ensure_connection(
            lambda error, _: refusals.refused(error), None, **_PAUSES, callback=maybe_shutdown
        )


class _Worker(CeleryWorker):
    def install_platform_tweaks(self, worker: Any) -> None:
        super().install_platform_tweaks(worker)
        # Celery's signal handlers write to stdout first, and hang for ever if nobody reads it.
        platform.safe_say = lambda *_: None  # type: ignore[attr-defined]  # the stubs lack it
        # On the first, Celery prints every thread's local variables, including job inputs and the key; on the
        # second it opens a debugger; on the third it runs this program again, with the old one's sockets.
        for each in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)


def consume(app: Celery, pool: type[JobLoopPool], concurrency: int) -> int:
    """Consume until a signal ends it; return its exit code (0 done, 1 failed)."""
    worker = _Worker(
        app=app,
        hostname=f"slotgen-{os.getpid()}@{socket.gethostname()}",
        pool=pool,
        consumer_cls=_Consumer,
        concurrency=concurrency,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
