"""A worker is alive while its loop answers and each of its threads runs."""

import threading

import pytest

from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.refusals import Refusals
from worker.process.background import Background
from worker.process.health import WorkerHealth


@pytest.fixture
def loop():
    loop = JobLoop()
    loop.start()
    yield loop
    loop.stop()


def test_names_each_thread_and_is_unwell_without_one(loop):
    ended = Background("history", lambda: None, None)
    runs = Background("heartbeat", threading.Event().set, None)
    threads = {each.name: each.is_alive for each in (ended, runs)}
    health = WorkerHealth(loop, controls=None, refusals=Refusals("redis://127.0.0.1:1/0"), threads=threads)
    runs.start()

    found = health.alive()
    runs.stop()

    assert found.checks == {"job_loop": True, "history": False, "heartbeat": True}
    assert not found.good
