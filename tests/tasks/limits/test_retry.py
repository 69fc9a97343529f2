"""Doubling, jittered, bounded waits that honour the server's own wish; never for what no retry can help."""

import itertools

import pytest

from tasks.errors import ErrorCode, ModelError
from tasks.limits.retry import RetryPolicy
from tests.fakes import clock

POLICY = RetryPolicy(initial_seconds=1, max_seconds=4, max_retry_after_seconds=30)


def an_error(code=ErrorCode.OPENAI_SERVER_ERROR, **wishes):
    return ModelError(code, retryable=True, **wishes)


def times_of_calls(error, policy=POLICY, may_succeed=lambda _: True, **bounds):
    """Return when a call was made that raises `error` each time, and whether that was raised at the end."""

    async def scenario():
        made = []

        async def call():
            made.append(clock.now_mono())
            raise error

        with pytest.raises(type(error)):
            await policy.retrying(may_succeed, **bounds)(call)
        return made

    return clock.run(scenario())


def waits(times):
    # Rounded, since the clock adds them up.
    return [round(after - before, 6) for before, after in itertools.pairwise(times)]


def test_the_waits_double_with_jitter_up_to_the_bound():
    found = waits(times_of_calls(an_error(), attempts=6))

    assert [1 <= found[0] <= 2, 2 <= found[1] <= 3, *(each <= 4 for each in found)] == [True] * 7
    assert len(found) == 5
    assert found[-1] == 4


def test_two_callers_do_not_come_back_as_one():
    first, second = (waits(times_of_calls(an_error(retry_after_seconds=7), attempts=2)) for _ in range(2))

    assert first != second
    assert min(*first, *second) >= 8


def test_what_a_429_asks_for_is_waited_for_by_the_rate_limiter():
    limited = an_error(ErrorCode.OPENAI_RATE_LIMITED, retry_after_seconds=7)

    assert waits(times_of_calls(limited, attempts=3)) == [0, 0]


def test_a_server_that_asks_for_too_much_is_not_asked_again():
    assert len(times_of_calls(an_error(retry_after_seconds=31), attempts=3)) == 1


def test_no_call_after_the_deadline():
    # The first wait alone is longer.
    assert times_of_calls(an_error(), deadline_seconds=0.9) == [0]


def test_what_cannot_succeed_is_not_tried_again():
    assert len(times_of_calls(OSError(), may_succeed=lambda error: isinstance(error, ModelError))) == 1


def test_without_a_bound_it_goes_on():
    left = iter(range(100))

    assert len(times_of_calls(OSError(), may_succeed=lambda _: next(left, None) is not None)) == 101
