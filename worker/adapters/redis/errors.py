"""Turns whatever redis-py and kombu raise into one error: which Redis it was, why, and what to do.

Nothing else in slotgen reads the classes or the words of a Redis error.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    MasterDownError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.errors import StoreUnavailable
from worker.adapters.redis.clients import address_of

# All that a command can raise: Redis refused it, or could not be asked.
REDIS_ERRORS = (RedisError, OSError)


class Cause(Enum):
    """Why Redis did not do as it was asked, what to do about it, and whether it `passes`: ends by itself, or
    once somebody has seen to Redis. What must not be lost waits for that; the same command is taken then.
    """

    AWAY = ("did not answer", "start it, or correct SLOTGEN_REDIS_URL", True)
    SLOW = ("did not answer", "see what holds it up (its SLOWLOG, its machine, the network)", True)
    NO_PRIMARY = ("has no primary", "see to its Sentinels, or correct the service in SLOTGEN_REDIS_URL", True)
    CROWDED = ("takes no more connections", "raise its maxclients, or close some", True)
    LOADING = ("is loading its data", "wait until it has", True)
    LOCKED = ("refused the password", "correct the user and the password of SLOTGEN_REDIS_URL", True)
    FULL = ("is full", "raise its maxmemory, or drop stored answers (slotgen cache drop)", True)
    READ_ONLY = ("is a replica", "name the primary in SLOTGEN_REDIS_URL, or finish the failover", True)
    NO_REPLICAS = ("lacks replicas", "bring them back, or lower its min-replicas-to-write", True)
    UNSAVED = ("could not save its data", "see its log, and make room on its disk", True)
    BUSY = ("is at work on a script", "wait, or end it with SCRIPT KILL", True)
    FORBIDDEN = ("forbids this to the user", "take the role of deploy/redis/users.acl that may", False)
    WRONG_TYPE = (
        "has another type of key",
        "compare TYPE with docs/redis-keys.md, and delete the key",
        False,
    )
    REFUSED = ("refused the command", "see that it is Redis 6.2 or newer; its log may say more", False)

    def __init__(self, what: str, remedy: str, passes: bool) -> None:  # noqa: FBT001 - one row of the table
        self.what = what
        self.remedy = remedy
        self.passes = passes


# The first that fits: the later ones are base classes of some before them.
_KINDS: tuple[tuple[type[BaseException], Cause], ...] = (
    (AuthenticationError, Cause.LOCKED),
    (AuthenticationWrongNumberOfArgsError, Cause.LOCKED),
    (AuthorizationError, Cause.LOCKED),
    (BusyLoadingError, Cause.LOADING),
    (MaxConnectionsError, Cause.CROWDED),
    (OutOfMemoryError, Cause.FULL),
    (ReadOnlyError, Cause.READ_ONLY),
    (MasterDownError, Cause.READ_ONLY),
    (NoPermissionError, Cause.FORBIDDEN),
    (RedisTimeoutError, Cause.SLOW),
    (TimeoutError, Cause.SLOW),
)
# redis-py cuts the first word off the errors that it has a class for, and leaves it on the others. Redis 6
# has it inside a sentence when the command was a script's; a missing right is then a sentence of its own.
_WORDS = {
    "OOM": Cause.FULL,
    "READONLY": Cause.READ_ONLY,
    "NOREPLICAS": Cause.NO_REPLICAS,
    "MISCONF": Cause.UNSAVED,
    "BUSY": Cause.BUSY,
    "WRONGTYPE": Cause.WRONG_TYPE,
    "NOPERM": Cause.FORBIDDEN,
    "The user executing the script": Cause.FORBIDDEN,
    "DENIED": Cause.LOCKED,
    "max number of clients reached": Cause.CROWDED,
    "No master found": Cause.NO_PRIMARY,
}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")


class RedisUnavailable(StoreUnavailable):
    """Redis at `address` (which has no secret) did not do as it was asked, because of `cause`.

    Its text is a sentence with the address, the cause, the driver's name of the error, and the remedy.
    """

    def __init__(self, address: str, cause: Cause, error: str) -> None:
        super().__init__(f"Redis at {address} {cause.what} ({error}); {cause.remedy}")
        self.address = address
        self.cause = cause
        self.error = error


def cause_of(error: BaseException) -> Cause:
    """Return why Redis did not do as it was asked. An error in kombu's clothes is judged by what it wraps."""
    while not isinstance(error, REDIS_ERRORS) and (inner := error.__cause__ or error.__context__):
        error = inner
    if isinstance(error, (ResponseError, RedisConnectionError)) and (word := _WORD.search(str(error))):
        return _WORDS[word[0]]
    kinds = (cause for kind, cause in _KINDS if isinstance(error, kind))
    away = isinstance(error, (RedisConnectionError, OSError))
    return next(kinds, Cause.AWAY if away else Cause.REFUSED)


def unavailable_by(error: BaseException, client: Any) -> RedisUnavailable:
    """Return `error`, which `client` raised, as the use cases know it."""
    return RedisUnavailable(address_of(client), cause_of(error), type(error).__name__)


@contextmanager
def unavailable(client: Any) -> Iterator[None]:
    """Turn any error of `client`'s Redis, or of the way to it, into RedisUnavailable."""
    try:
        yield
    except REDIS_ERRORS as error:
        raise unavailable_by(error, client) from error
