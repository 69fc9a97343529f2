"""Turns a Redis that does not answer into the word that the use cases know."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from tasks.errors import StoreUnavailable


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn any error of Redis, or of the way to it, into StoreUnavailable; its text is the error's name."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(type(error).__name__) from error
