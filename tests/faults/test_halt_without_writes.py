"""Where Redis refuses every write, `slotgen kill` halts all the same, and says what is not done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import GRACE_SECONDS, Fleet, fleet
from tests.faults.rig.halting import PROMISED_MS, fill
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.troubles import Trouble, after_a_failed_save, demoted, full, without_replicas
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync

CALLS = 50
WAIT_SECONDS = 60


@contextmanager
def with_another_user(hurt: Fleet, *rights: str) -> Iterator[str]:
    """Make a user who has all rights but these; the URL is that user's."""
    hurt.client.execute_command(
        "ACL", "SETUSER", "somebody", "reset", "on", ">x", "~*", "&*", "+@all", *rights
    )
    yield hurt.server.url.replace("//", "//somebody:x@")


@contextmanager
def refusing(act: Trouble, hurt: Fleet, *rights: str) -> Iterator[str]:
    with with_another_user(hurt, *rights) as url, act(hurt):
        yield url


@contextmanager
def nothing(_: Fleet) -> Iterator[None]:
    yield


NO_WRITES = ("-set", "-del", "-@scripting")
REFUSALS: dict[str, tuple[Trouble, tuple[str, ...], str]] = {
    "no replicas": (without_replicas, (), "lacks replicas"),
    "failed save": (after_a_failed_save, (), "could not save its data"),
    "demoted to a replica": (demoted, (), "is a replica"),
    "out of memory, and DEL is forbidden": (full, ("-del",), "forbids this to the user"),
    "no right to write": (nothing, NO_WRITES, "forbids this to the user"),
}


@pytest.fixture(scope="module")
def at_work() -> Iterator[Fleet]:
    with fleet(persistent=False) as hurt:
        # A dial that is read too late on a busy machine would make a STUB.
        hurt.start_workers(3, concurrency=CALLS, SLOTGEN_CONTROL_READ_TIMEOUT_MS="5000")
        yield hurt


@pytest.fixture
def hurt(at_work) -> Fleet:
    at_work.fake_openai.behave(Behaviour())
    at_work.open_dials()
    eventually(lambda: at_work.statuses(at_work.send(1)) == ["COMPLETED"], within_seconds=WAIT_SECONDS)
    return at_work


def started(url: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *words],
        env=os.environ | {"SLOTGEN_REDIS_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def slotgen(url: str, *words: str) -> tuple[int, str]:
    command = started(url, *words)
    said, _ = command.communicate(timeout=WAIT_SECONDS)
    return command.returncode, said


@contextmanager
def published(hurt: Fleet) -> Iterator[list[float]]:
    """Note when Redis got the message, by the monotonic clock: the start of a process is not the halt's."""
    seen: list[float] = []
    client = open_sync(hurt.server.url, timeout_seconds=WAIT_SECONDS)
    with client, client.monitor() as monitor:

        def note() -> None:
            for each in monitor.listen():
                if each["command"].startswith("PUBLISH slotgen:kill:0"):
                    seen.append(time.monotonic() - (time.time() - each["time"]))
                    return

        noting = threading.Thread(target=note)
        noting.start()
        yield seen
        noting.join(WAIT_SECONDS)


def resumed(hurt: Fleet) -> dict[str, Any]:
    code, said = slotgen(hurt.server.url, "resume", "--reason", "all is well", "--json")
    assert code == 0, said
    return json.loads(said)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_message_halts_every_worker_and_a_release_ends_it(refusal, hurt, saw):
    act, rights, why = REFUSALS[refusal]
    pending = fill(hurt, CALLS)
    with refusing(act, hurt, *rights) as url:
        with published(hurt) as published_mono:
            code, said = slotgen(url, "kill")
        closed_mono = hurt.fake_openai.journal.counts().last_connection_closed_mono
        halt_ms = (closed_mono - published_mono[0]) * 1000

        assert code == 1
        assert "3 of 3 workers confirmed" in said
        assert f"{CALLS} calls in flight were cancelled" in said
        assert "slotgen:kill is NOT SET" in said
        assert f"Redis at {hurt.server.url} {why}" in said
        assert "slotgen kill --keep-trying 1h" in said
        assert hurt.client.get("slotgen:kill") == b"false"

    assert set(hurt.codes_of(pending)) == {"KILL_SWITCH"}
    # Redis takes writes again, and the key still says false: they stay halted, whatever is read.
    assert hurt.codes_of(hurt.send(10)) == ["KILL_SWITCH"] * 10

    hurt.fake_openai.behave(Behaviour())
    assert resumed(hurt)["after"] == "'false'"
    assert hurt.statuses(hurt.send(10)) == ["COMPLETED"] * 10
    saw(
        "halt without a write",
        f"{CALLS} calls in flight on 3 workers, {refusal}, slotgen kill",
        f"all closed after {halt_ms:.0f} ms; halted until resume, then 10 of 10 COMPLETED",
        f"<= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)


@pytest.mark.timeout(120)
def test_where_no_halt_could_reach_them_they_halt_by_themselves_though_the_key_can_be_read(hurt, saw):
    pending = fill(hurt, CALLS)
    paused_mono = time.monotonic()
    # As a failover does. Nothing that writes or is published gets through, and a second connection may ask.
    hurt.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 0, within_seconds=WAIT_SECONDS)
        assert hurt.client.get("slotgen:kill") == b"false"
    finally:
        hurt.client.execute_command("CLIENT", "UNPAUSE")
    halt_seconds = hurt.fake_openai.journal.counts().last_connection_closed_mono - paused_mono

    assert set(hurt.codes_of(pending)) == {"KILL_UNVERIFIED"}
    hurt.fake_openai.behave(Behaviour())
    eventually(lambda: hurt.statuses(hurt.send(1)) == ["COMPLETED"], within_seconds=WAIT_SECONDS)
    saw(
        "halt without a write",
        f"{CALLS} calls in flight on 3 workers, Redis paused for writes",
        f"all closed after {halt_seconds:.1f} s, released by themselves",
        f"<= {GRACE_SECONDS + 2} s: {verdict(halt_seconds, GRACE_SECONDS + 2)}",
    )
    within(halt_seconds, GRACE_SECONDS + 2)


@pytest.mark.timeout(120)
def test_kill_goes_on_until_the_key_is_set_when_asked_to(hurt):
    def halted() -> int:
        return hurt.lines.events.count("halted_by_message")

    before = halted()
    with refusing(without_replicas, hurt) as url:
        command = started(url, "kill", "--keep-trying", "1m", "--reason", "smoke")
        # A worker that starts meanwhile hears the message, too.
        late = threading.Thread(target=hurt.start_worker)
        late.start()
        eventually(lambda: halted() == before + 4, within_seconds=WAIT_SECONDS)

    late.join()
    said, _ = command.communicate(timeout=WAIT_SECONDS)
    assert command.returncode == 0
    assert "slotgen:kill is set now" in said
    assert hurt.client.get("slotgen:kill") == b"true"
    hurt.workers.pop().stop()
    resumed(hurt)


def test_a_halt_that_no_worker_heard_says_so(hurt):
    with fleet(persistent=False) as other, without_replicas(other):
        code, said = slotgen(other.server.url, "kill")

    assert code == 1
    assert "NO WORKER HEARD IT" in said
