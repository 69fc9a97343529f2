"""Redis may refuse in many ways: a worker pauses for each of them, says so once, and goes on by itself."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.halting import CALL_SECONDS
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.troubles import REFUSALS
from tests.waiting import eventually

# From the end of the trouble to the first answer.
BACK_SECONDS = 15
IN_FLIGHT = 20
# What a worker without a message does not touch.
UNSEEN = ["unacked of another type", "heartbeats of another type"]
# It ends by itself, on a busy machine before anybody has asked whether the worker is ready.
BRIEF = ["loading its data"]
SAID = [each for each in REFUSALS if each not in UNSEEN]
OF_WRITES = ["out of memory", "no replicas", "failed save", "demoted to a replica"]


@pytest.fixture(scope="module")
def at_work() -> Iterator[Fleet]:
    with fleet(persistent=False) as hurt:
        # What is read too late on a busy machine would make a STUB.
        patience = {"CONTROL_READ_TIMEOUT_MS": "5000", "BRAKE_GRACE_SECONDS": "8", "WORKER_LOST_SECONDS": "9"}
        hurt.start_worker(50, **{f"SLOTGEN_{name}": value for name, value in patience.items()})
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


def said(hurt: Fleet, event: str, *, since: int) -> list[dict[str, Any]]:
    """Return the lines with this event after the first `since`, once there is one."""
    return hurt.lines.wait_for(lambda lines: [each for each in list(lines)[since:] if each["event"] == event])


def seconds_until_answered(hurt: Fleet) -> float:
    began_mono = time.monotonic()
    assert hurt.statuses(hurt.send(3)) == ["COMPLETED"] * 3
    return time.monotonic() - began_mono


@pytest.mark.parametrize("trouble", SAID)
def test_an_idle_worker_says_why_it_waits_and_answers_again(hurt, trouble, saw):
    seen = len(list(hurt.lines))
    with REFUSALS[trouble](hurt):
        (refusal,) = said(hurt, "redis_refused", since=seen)
        assert refusal["address"] == f"redis://127.0.0.1:{hurt.server.port}/0"
        assert refusal["remedy"]
        assert not is_ready(hurt)
        hurt.workers[0].check()

    seconds = seconds_until_answered(hurt)

    said(hurt, "redis_accepted", since=seen)
    assert is_ready(hurt)
    saw(
        "Redis refuses",
        f"idle, {trouble}",
        f'said once: "{refusal["cause"]}"; unready; answered {seconds:.1f} s after its end',
        f"<= {BACK_SECONDS} s: {verdict(seconds, BACK_SECONDS)}",
    )
    within(seconds, BACK_SECONDS)


@pytest.mark.parametrize("trouble", UNSEEN)
def test_what_an_idle_worker_cannot_notice_ends_nothing(hurt, trouble):
    with REFUSALS[trouble](hurt):
        hurt.workers[0].check()

    eventually(lambda: is_ready(hurt))
    seconds_until_answered(hurt)


@pytest.mark.parametrize("trouble", OF_WRITES)
def test_a_worker_that_starts_meanwhile_waits_like_the_others(hurt, trouble):
    with REFUSALS[trouble](hurt):
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
@pytest.mark.parametrize("trouble", REFUSALS)
def test_answers_that_arrive_meanwhile_are_kept_and_paid_for_once(hurt, trouble, saw):
    hurt.fake_openai.behave(Behaviour(delay_seconds=CALL_SECONDS))
    job_ids = [str(uuid.uuid4()) for _ in range(IN_FLIGHT)]
    task_ids = hurt.send_jobs(job_ids)
    eventually(lambda: hurt.fake_openai.journal.counts().in_flight == IN_FLIGHT)
    begun = hurt.fake_openai.journal.counts().begun

    with REFUSALS[trouble](hurt):
        hurt.fake_openai.release()
        eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 0)
        if trouble not in UNSEEN + BRIEF:
            eventually(lambda: not is_ready(hurt))
        hurt.workers[0].check()
    hurt.fake_openai.behave(Behaviour())
    began_mono = time.monotonic()

    statuses = Counter(hurt.statuses(task_ids))
    seconds = time.monotonic() - began_mono
    hurt.wait_until_nothing_is_held()
    # And whoever asks for the same again gets what was paid for.
    again = Counter(hurt.statuses(hurt.send_jobs(job_ids)))

    saw(
        "Redis refuses",
        f"{IN_FLIGHT} answers arrive, {trouble}",
        f"{statuses['COMPLETED']} of {IN_FLIGHT} COMPLETED {seconds:.1f} s after its end;"
        f" sent again, {hurt.fake_openai.journal.counts().begun - begun} were asked again",
        f"0 lost, 0 paid twice, <= {BACK_SECONDS} s: {verdict(seconds, BACK_SECONDS)}",
    )
    assert statuses == again == {"COMPLETED": IN_FLIGHT}
    assert hurt.fake_openai.journal.counts().begun == begun
    within(seconds, BACK_SECONDS)
