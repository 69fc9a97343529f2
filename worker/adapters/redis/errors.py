"""Turns whatever redis-py and kombu raise into one error: which Redis it was, why, and what to do.

Nothing else reads the words of a Redis error. Where one refusal means something to a single command (no such
script, a refused transaction), that command's adapter catches its class.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from redis.exceptions import RedisError

from tasks.errors import StoreUnavailable
from worker.adapters.redis.clients import address_of

# All that a command can raise: Redis refused it, or could not be asked.
REDIS_ERRORS = (RedisError, OSError)


class Cause(Enum):
    """Why Redis did not do as it was asked, and what to do about it.

    The last column has the names of the error's classes, and what its text says where a class is not enough.
    redis-py cuts the first word off the errors that it has a class for, and leaves it on the others. Redis 6
    has that word inside a sentence when the command was a script's.
    """

    # fmt: off
    AWAY = ("did not answer", "start it, or correct SLOTGEN_REDIS_URL", "ConnectionError|OSError")
    SLOW = ("did not answer", "find out what holds it up (CLIENT PAUSE, its SLOWLOG, its machine, the network)", "TimeoutError")
    NO_PRIMARY = ("has no primary", "check its Sentinels, or correct the service in SLOTGEN_REDIS_URL", "MasterNotFoundError|No master found")
    CROWDED = ("takes no more connections", "raise its maxclients, or close some", "MaxConnectionsError|max number of clients reached")
    LOADING = ("is loading its data", "wait until it has", "BusyLoadingError")
    LOCKED = ("wants another password", "correct the user and the password of SLOTGEN_REDIS_URL", "AuthenticationError|AuthenticationWrongNumberOfArgsError|AuthorizationError|DENIED")
    NO_DATABASE = ("has no database of that number", "correct the number at the end of SLOTGEN_REDIS_URL, or raise its databases", "DB index is out of range|invalid DB index")
    FULL = ("is full", "raise its maxmemory, or drop stored answers (slotgen cache drop)", "OutOfMemoryError|OOM")
    READ_ONLY = ("is a replica", "name the primary in SLOTGEN_REDIS_URL, or finish the failover", "ReadOnlyError|MasterDownError|READONLY|UNBLOCKED")
    NO_REPLICAS = ("lacks replicas", "bring them back, or lower its min-replicas-to-write", "NOREPLICAS")
    UNSAVED = ("could not save its data", "check its log, and free space on its disk", "MISCONF")
    BUSY = ("is at work on a script", "wait, or end it with SCRIPT KILL", "BUSY")
    FORBIDDEN = ("forbids this to the user", "use a role of deploy/redis/users.acl that may", "NoPermissionError|NOPERM|The user executing the script")
    WRONG_TYPE = ("has a key of another type", "see which, and clear it: slotgen repair", "WRONGTYPE")
    REFUSED = ("refused the command", "check that it is Redis 6.2 or newer; its log may say more", "RedisError")
    # fmt: on

    def __init__(self, what: str, remedy: str, signs: str) -> None:
        self.what = what
        self.remedy = remedy
        self.signs = signs.split("|")


_SIGNS = {sign: cause for cause in Cause for sign in cause.signs}
_WORDS = [sign for sign in _SIGNS if not sign.endswith("Error")]
_SAID = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")
# Whether a script that has caught the `text` of an error was refused for what its keys hold, not by Redis.
OF_ITS_KEYS = f"""
local function of_its_keys(text)
  for _, sign in ipairs({{{", ".join(repr(each) for each in _WORDS if _SIGNS[each] is not Cause.WRONG_TYPE)}}}) do
    if string.find(text, sign, 1, true) then return false end
  end
  return true
end
"""


class RedisUnavailable(StoreUnavailable):
    """Redis at `address` (which has no secret) did not do as it was asked, because of `cause`.

    Its text is a sentence with the address, the cause, the driver's name of the error, and the remedy.
    """

    def __init__(self, address: str, cause: Cause, error: str, key: str = "") -> None:
        which = f": {key}" if key and cause is Cause.WRONG_TYPE else ""
        super().__init__(f"Redis at {address} {cause.what}{which} ({error}); {cause.remedy}")
        self.address = address
        self.cause = cause
        self.error = error


def cause_of(error: BaseException) -> Cause:
    """Return why Redis did not do as it was asked. An error wrapped by kombu is judged by what it wraps."""
    while not isinstance(error, REDIS_ERRORS) and error.__cause__:
        error = error.__cause__
    said = _SAID.search(str(error)) if isinstance(error, RedisError) else None
    classes = (_SIGNS[each.__name__] for each in type(error).__mro__ if each.__name__ in _SIGNS)
    return _SIGNS[said[0]] if said else next(classes, Cause.REFUSED)


def unavailable_by(error: BaseException, client: Any, key: str = "") -> RedisUnavailable:
    """Return `error`, which `client` raised, as the use cases know it."""
    return RedisUnavailable(address_of(client), cause_of(error), type(error).__name__, key)


@contextmanager
def unavailable(client: Any, key: str = "") -> Iterator[None]:
    """Turn any error of `client`'s Redis, or of the way to it, into RedisUnavailable.

    If only `key` is involved, it is named if it has another type.
    """
    try:
        yield
    except REDIS_ERRORS as error:
        raise unavailable_by(error, client, key) from error
