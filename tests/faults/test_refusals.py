"""Redis may refuse to write in many ways: a worker pauses for each of them, says so once, and goes on."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet
from tests.waiting import eventually

# From the end of the trouble to the first answer.
BACK_SECONDS = 15


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    client.config_set("maxmemory", "1")
    try:
        yield
    finally:
        client.config_set("maxmemory", "0")


@contextmanager
def without_replicas(client: redis.Redis) -> Iterator[None]:
    client.config_set("min-replicas-to-write", "1")
    try:
        yield
    finally:
        client.config_set("min-replicas-to-write", "0")


@contextmanager
def after_a_failed_save(client: redis.Redis) -> Iterator[None]:
    before = client.config_get("dir")["dir"]
    with tempfile.TemporaryDirectory() as gone:
        client.config_set("dir", gone)
        Path(gone).rmdir()
        client.config_set("save", "3600 1")
        client.bgsave()
        try:
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            yield
        finally:
            Path(gone).mkdir()
            client.config_set("dir", before)
            client.config_set("save", "")


@contextmanager
def demoted(client: redis.Redis) -> Iterator[None]:
    client.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        client.replicaof("NO", "ONE")


@contextmanager
def busy(client: redis.Redis) -> Iterator[None]:
    """Redis runs a script without an end, and says so to everybody after 10 ms."""
    client.config_set("lua-time-limit", "10")
    where = client.connection_pool.connection_kwargs
    patient = redis.Redis(host=where["host"], port=where["port"], socket_timeout=60)

    def run() -> None:
        with contextlib.suppress(redis.RedisError):
            patient.eval("while true do end", 0)

    running = threading.Thread(target=run)
    running.start()
    try:
        yield
    finally:
        eventually(lambda: _killed(client))
        running.join()
        patient.close()


def _killed(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.script_kill())
    return False


TROUBLES: dict[str, Callable] = {
    "out of memory": full,
    "no replicas": without_replicas,
    "failed save": after_a_failed_save,
    "demoted to a replica": demoted,
}


@pytest.fixture(scope="module")
def at_work() -> Iterator[Fleet]:
    with fleet(persistent=False) as hurt:
        # A dial that is read too late on a busy machine would make a STUB.
        hurt.start_worker(concurrency=50, SLOTGEN_CONTROL_READ_TIMEOUT_MS="5000")
        yield hurt


@pytest.fixture
def hurt(at_work) -> Fleet:
    at_work.fake_openai.behave(Behaviour())
    at_work.open_dials()
    at_work.workers[0].check()
    return at_work


def is_ready(hurt: Fleet) -> bool:
    url = f"http://127.0.0.1:{hurt.workers[0].ready['metrics_port']}/readyz"
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=10):
        return True
    return False


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_idle_worker_says_why_it_waits_and_answers_again(hurt, trouble):
    seen = len(list(hurt.lines))

    def said(event: str) -> list[dict[str, Any]]:
        return hurt.lines.wait_for(
            lambda lines: [each for each in list(lines)[seen:] if each["event"] == event]
        )

    with TROUBLES[trouble](hurt.client):
        (refusal,) = said("redis_refused")
        assert refusal["remedy"]
        assert not is_ready(hurt)
        hurt.workers[0].check()

    said("redis_accepted")
    assert is_ready(hurt)
    assert hurt.statuses(hurt.send(3)) == ["COMPLETED"] * 3


def test_a_redis_that_answers_nothing_but_busy_is_waited_for(hurt):
    with busy(hurt.client):
        eventually(lambda: not is_ready(hurt))
        hurt.workers[0].check()

    eventually(lambda: is_ready(hurt))
    assert hurt.statuses(hurt.send(3)) == ["COMPLETED"] * 3


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_worker_that_starts_meanwhile_waits_like_the_others(hurt, trouble):
    with TROUBLES[trouble](hurt.client):
        starting = threading.Thread(target=hurt.start_worker)
        starting.start()
        eventually(lambda: len(hurt.workers) == 2)
    starting.join()
    late = hurt.workers.pop()
    try:
        assert late.ready
    finally:
        late.stop()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_in_flight_is_kept(hurt, trouble, saw):
    hurt.fake_openai.behave(Behaviour(delay_seconds=4))
    task_ids = hurt.send(20)
    eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 20)
    begun = hurt.fake_openai.journal.counts().begun
    with TROUBLES[trouble](hurt.client):
        eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 0)
        hurt.workers[0].check()

    assert hurt.statuses(task_ids) == ["COMPLETED"] * 20
    assert hurt.fake_openai.journal.counts().begun == begun
