"""The yardstick: a plain Celery app with a task that does nothing, or waits on one asyncio loop."""

from __future__ import annotations

import asyncio
import functools
import os
import threading

from celery import Celery

URL = os.environ.get("BARE_REDIS_URL", "")
app = Celery("bare", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    task_default_queue="bare",
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    redis_max_connections=1100,
)


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """Return this process's loop, running in its own thread."""
    running = asyncio.new_event_loop()
    threading.Thread(target=running.run_forever, daemon=True).start()
    return running


@app.task(name="bare.nothing")
def nothing(spec: object) -> object:
    return [{"jobId": "x", "status": "STUB", "output": None}]


@app.task(name="bare.wait")
def wait(seconds: float) -> float:
    asyncio.run_coroutine_threadsafe(asyncio.sleep(seconds), loop()).result()
    return seconds
