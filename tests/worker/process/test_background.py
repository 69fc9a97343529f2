"""Works at once, in time and when it is woken, in a thread of its own that nothing ends but `stop`."""

from __future__ import annotations

import logging
import threading

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.errors import StoreUnavailable
from tests.fakes.clock import SteppedSleep
from worker.process.background import Background

WAIT_SECONDS = 10


class Looks:
    """Counts the looks, each of which lasts while `let_go` is clear.

    `more_noticed` says for each whether another was asked for by the time it began: if not, there is none.
    """

    def __init__(self) -> None:
        self.number = 0
        self.errors: list[Exception | None] = []
        self.more_noticed: list[bool] = []
        self.began = threading.Condition()
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self) -> None:
        with self.began:
            self.number += 1
            self.more_noticed.append(self.notices._woken.is_set())
            self.began.notify_all()
        assert self.let_go.wait(WAIT_SECONDS)
        if self.errors and (error := self.errors.pop(0)):
            raise error

    def reach(self, number: int) -> bool:
        with self.began:
            return self.began.wait_for(lambda: self.number >= number, WAIT_SECONDS)


@pytest.fixture
def looks():
    return Looks()


@pytest.fixture
def sleep():
    return SteppedSleep()


@pytest.fixture
def notices(looks, sleep):
    looks.notices = Background("dial_changes", looks, None, settle_seconds=0.1)
    looks.notices.sleep = sleep
    yield looks.notices
    looks.let_go.set()
    sleep.end_all()
    looks.notices.stop()


def look_first(notices, looks, sleep):
    """Start, and return once it has begun its first look."""
    notices.start()
    sleep.end(1)
    assert looks.reach(1)


def test_looks_once_at_the_start_and_after_each_notice(notices, looks, sleep):
    look_first(notices, looks, sleep)

    for number in (2, 3):
        notices.wake()
        sleep.end(number)
        assert looks.reach(number)

    assert looks.more_noticed == [False, False, False]


def test_a_burst_of_notices_is_one_look(notices, looks, sleep):
    look_first(notices, looks, sleep)

    notices.wake()
    sleep.begun(2)
    for _ in range(1000):
        notices.wake()
    sleep.end(2)

    assert looks.reach(2)
    assert looks.more_noticed == [False, False]


def test_a_notice_during_a_look_is_another_look(notices, looks, sleep):
    looks.let_go.clear()
    look_first(notices, looks, sleep)

    notices.wake()
    looks.let_go.set()
    sleep.end(2)

    assert looks.reach(2)


def test_never_keeps_the_one_who_notices_waiting(notices, looks, sleep):
    looks.let_go.clear()
    look_first(notices, looks, sleep)

    for _ in range(1000):
        notices.wake()

    assert looks.number == 1


def test_leaves_the_brake_its_first_moment(notices, looks, sleep):
    look_first(notices, looks, sleep)

    notices.wake()
    sleep.begun(2)

    # A change may be the brake; a look before 0.1 s would take its share of the halt's 100 ms.
    assert (looks.number, sleep.asked[1] >= 0.1) == (1, True)
    sleep.end(2)
    assert looks.reach(2)


@pytest.mark.parametrize(
    "error", [StoreUnavailable("TimeoutError"), RedisConnectionError("away"), OSError("away")]
)
def test_a_redis_that_is_away_is_asked_again_without_a_word(notices, looks, sleep, caplog, error):
    looks.errors.append(error)
    notices.away_seconds = 7
    look_first(notices, looks, sleep)

    sleep.end(2)  # before it tries again
    sleep.end(3)

    assert looks.reach(2)
    assert sleep.asked[1] == 7
    assert caplog.records == []


def test_a_bug_is_named_once_by_its_place_and_the_pauses_are_bounded(notices, looks, sleep, caplog):
    looks.errors += [KeyError("a secret")] * 7
    with caplog.at_level(logging.ERROR):
        look_first(notices, looks, sleep)
        for number in range(2, 16):  # the pause after each error, and the one before each look
            sleep.end(number)
        assert looks.reach(8)

    (record,) = caplog.records
    assert record.getMessage() == "background_broke"
    assert record.slotgen_fields["name"] == "dial_changes"
    assert record.slotgen_fields["error_at"].endswith(" in __call__")
    assert "a secret" not in str(vars(record))
    assert sleep.asked[1::2] == [0.25, 0.5, 1, 2, 4, 4, 4]


def test_a_bug_that_comes_back_after_a_good_step_is_named_again(notices, looks, sleep, caplog):
    looks.errors += [KeyError("first"), None, KeyError("second")]
    with caplog.at_level(logging.ERROR):
        look_first(notices, looks, sleep)
        for number in (2, 3):
            sleep.end(number)
        assert looks.reach(2)
        notices.wake()
        sleep.end(4)
        assert looks.reach(3)
        sleep.begun(5)

    assert len(caplog.records) == 2
    sleep.end_all()


def test_stop_ends_the_thread_without_another_look(notices, looks, sleep):
    look_first(notices, looks, sleep)
    sleep.end_all()

    notices.stop()

    assert looks.number == 1
    assert not notices.is_alive()


def test_stop_before_the_start_does_nothing(notices, looks):
    notices.stop()

    assert looks.number == 0


def test_works_again_in_time_and_finishes_in_its_thread():
    steps, finished = threading.Semaphore(0), []
    thread = Background(
        "some", steps.release, 0.001, finish=lambda: finished.append(threading.current_thread().name)
    )
    thread.start()

    for _ in range(3):
        assert steps.acquire(timeout=WAIT_SECONDS)
    assert thread.is_alive()
    thread.stop()

    assert finished == ["some"]
    assert not thread.is_alive()


def test_stop_waits_for_no_pause():
    stepped = threading.Event()
    thread = Background("some", stepped.set, 1000)
    thread.start()
    assert stepped.wait(WAIT_SECONDS)

    thread.stop()

    assert not thread.is_alive()


def test_stop_waits_no_longer_than_it_was_given_for_a_step_that_does_not_end():
    stepping, let_go = threading.Event(), threading.Event()

    def step():
        stepping.set()
        assert let_go.wait(WAIT_SECONDS)

    thread = Background("some", step, 1000, stop_seconds=0.01)
    thread.start()
    assert stepping.wait(WAIT_SECONDS)

    thread.stop()

    assert thread.is_alive()
    let_go.set()
    thread.stop_seconds = None
    thread.stop()
    assert not thread.is_alive()
