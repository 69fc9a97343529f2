"""What the consumer is refused is said once, whichever connection hears of it first."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from worker.adapters.celery.refusals import Refusals
from worker.adapters.redis.errors import Cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ResponseError("BUSY Redis is busy running a script."), Cause.BUSY),
        (ResponseError("NOPERM this user has no permissions"), None),
        (RedisConnectionError("Connection refused"), None),
    ],
)
def test_a_script_is_noticed_where_the_consumer_has_no_answer(caplog, error, cause):
    refusals = Refusals("redis://127.0.0.1:1/0")

    def look() -> None:
        raise error

    for _ in range(2):
        with pytest.raises(RedisError):
            refusals.noticing(look)()

    assert refusals.cause is cause
    assert [each.getMessage() for each in caplog.records] == ["redis_refused"] * bool(cause)
    # It is the watch's refusal: the consumer may ask on.
    assert refusals.pause_seconds == 0
