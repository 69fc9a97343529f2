"""Looks at the dials after each notice, in a thread of its own that nothing ends but `stop`."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.errors import StoreUnavailable
from worker.dial_notices import DialNotices

WAIT_SECONDS = 10


class Looks:
    """Counts the looks; `holding` is a look that waits to be let go."""

    def __init__(self) -> None:
        self.number = 0
        self.errors: list[Exception] = []
        self.began = threading.Condition()
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self) -> None:
        with self.began:
            self.number += 1
            self.began.notify_all()
        assert self.let_go.wait(WAIT_SECONDS)
        if self.errors:
            raise self.errors.pop(0)

    def reach(self, number: int) -> bool:
        with self.began:
            return self.began.wait_for(lambda: self.number >= number, WAIT_SECONDS)

    def stay_at(self, number: int) -> bool:
        with self.began:
            return not self.began.wait_for(lambda: self.number > number, 0.4)


@pytest.fixture
def looks():
    return Looks()


@pytest.fixture
def notices(looks):
    noticing = DialNotices(looks)
    yield noticing
    looks.let_go.set()
    noticing.stop()


def test_looks_once_at_the_start_and_after_each_notice(notices, looks):
    notices.start()
    assert looks.reach(1)
    assert looks.stay_at(1)

    for number in (2, 3):
        notices.notice()
        assert looks.reach(number)

    assert looks.stay_at(3)


def test_a_burst_of_notices_is_a_look_or_two(notices, looks):
    notices.start()
    assert looks.reach(1)

    for _ in range(1000):
        notices.notice()

    assert looks.reach(2)
    assert looks.stay_at(2) or looks.stay_at(3)


def test_a_notice_during_a_look_is_another_look(notices, looks):
    looks.let_go.clear()
    notices.start()
    assert looks.reach(1)

    notices.notice()
    looks.let_go.set()

    assert looks.reach(2)


def test_never_keeps_the_one_who_notices_waiting(notices, looks):
    looks.let_go.clear()
    notices.start()
    assert looks.reach(1)

    began = time.monotonic()
    for _ in range(1000):
        notices.notice()

    assert time.monotonic() - began < 1


def test_leaves_the_brake_its_first_moment(notices, looks):
    notices.start()
    assert looks.reach(1)

    began = time.monotonic()
    notices.notice()

    assert looks.reach(2)
    # A change may be the brake; a look before 0.1 s would take its share of the halt's 100 ms.
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    "error", [StoreUnavailable("TimeoutError"), RedisConnectionError("away"), OSError("away")]
)
def test_a_redis_that_is_away_is_looked_at_again_without_a_word(notices, looks, caplog, error):
    looks.errors.append(error)
    notices.start()
    assert looks.reach(1)

    notices.notice()

    assert looks.reach(2)
    assert caplog.records == []


def test_a_bug_in_a_look_is_named_by_its_place_and_the_next_look_comes(notices, looks, caplog):
    looks.errors.append(KeyError("a secret"))
    with caplog.at_level(logging.ERROR):
        notices.start()
        assert looks.reach(1)
        notices.notice()
        assert looks.reach(2)

    (record,) = caplog.records
    assert record.getMessage() == "dial_notice_broke"
    assert "a secret" not in str(vars(record))


def test_stop_ends_the_thread_without_another_look(notices, looks):
    notices.start()
    assert looks.reach(1)
    before = threading.active_count()

    notices.notice()
    notices.stop()

    assert looks.number == 1
    assert threading.active_count() == before - 1


def test_stop_before_the_start_does_nothing(notices, looks):
    notices.stop()

    assert looks.number == 0
