"""Looks at the dials after each notice, in a thread of its own that nothing ends but `stop`."""

from __future__ import annotations

import logging
import threading

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.errors import StoreUnavailable
from tests.fakes.clock import SteppedSleep
from worker.halt.dial_changes import DialChangeListener

WAIT_SECONDS = 10


class Looks:
    """Counts the looks, each of which lasts while `let_go` is clear.

    `more_noticed` says for each whether another was asked for by the time it began: if not, there is none.
    """

    def __init__(self) -> None:
        self.number = 0
        self.errors: list[Exception] = []
        self.more_noticed: list[bool] = []
        self.began = threading.Condition()
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self) -> None:
        with self.began:
            self.number += 1
            self.more_noticed.append(self.notices._noticed.is_set())
            self.began.notify_all()
        assert self.let_go.wait(WAIT_SECONDS)
        if self.errors:
            raise self.errors.pop(0)

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
    looks.notices = DialChangeListener(looks, sleep)
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
        notices.notify()
        sleep.end(number)
        assert looks.reach(number)

    assert looks.more_noticed == [False, False, False]


def test_a_burst_of_notices_is_one_look(notices, looks, sleep):
    look_first(notices, looks, sleep)

    notices.notify()
    sleep.begun(2)
    for _ in range(1000):
        notices.notify()
    sleep.end(2)

    assert looks.reach(2)
    assert looks.more_noticed == [False, False]


def test_a_notice_during_a_look_is_another_look(notices, looks, sleep):
    looks.let_go.clear()
    look_first(notices, looks, sleep)

    notices.notify()
    looks.let_go.set()
    sleep.end(2)

    assert looks.reach(2)


def test_never_keeps_the_one_who_notices_waiting(notices, looks, sleep):
    looks.let_go.clear()
    look_first(notices, looks, sleep)

    for _ in range(1000):
        notices.notify()

    assert looks.number == 1


def test_leaves_the_brake_its_first_moment(notices, looks, sleep):
    look_first(notices, looks, sleep)

    notices.notify()
    sleep.begun(2)

    # A change may be the brake; a look before 0.1 s would take its share of the halt's 100 ms.
    assert (looks.number, sleep.asked[1] >= 0.1) == (1, True)
    sleep.end(2)
    assert looks.reach(2)


@pytest.mark.parametrize(
    "error", [StoreUnavailable("TimeoutError"), RedisConnectionError("away"), OSError("away")]
)
def test_a_redis_that_is_away_is_looked_at_again_without_a_word(notices, looks, sleep, caplog, error):
    looks.errors.append(error)
    look_first(notices, looks, sleep)

    notices.notify()
    sleep.end(2)

    assert looks.reach(2)
    assert caplog.records == []


def test_a_bug_in_a_look_is_named_by_its_place_and_the_next_look_comes(notices, looks, sleep, caplog):
    looks.errors.append(KeyError("a secret"))
    with caplog.at_level(logging.ERROR):
        look_first(notices, looks, sleep)
        notices.notify()
        sleep.end(2)
        assert looks.reach(2)

    (record,) = caplog.records
    assert record.getMessage() == "dial_notice_broke"
    assert "a secret" not in str(vars(record))


def test_stop_ends_the_thread_without_another_look(notices, looks, sleep):
    look_first(notices, looks, sleep)

    stopping = threading.Thread(target=notices.stop)
    stopping.start()
    sleep.end(2)  # which it began because of the stop
    stopping.join(WAIT_SECONDS)

    assert looks.number == 1
    assert not notices._thread.is_alive()


def test_stop_before_the_start_does_nothing(notices, looks):
    notices.stop()

    assert looks.number == 0
