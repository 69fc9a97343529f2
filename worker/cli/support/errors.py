"""The one way in which a command says no: a sentence on stderr, exit 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class CliError(Exception):
    """What was wrong, with the value, and what to do."""


@contextmanager
def redis_errors_refused(url: str) -> Iterator[None]:
    """Turn a Redis that does not answer into a sentence."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - heavy, and only needed once a command needs Redis

    try:
        yield
    except (RedisError, OSError) as error:
        shown = url.rpartition("@")[2]
        raise CliError(
            f"Redis at {shown} did not answer ({type(error).__name__}); "
            "start it, or correct SLOTGEN_REDIS_URL"
        ) from None


def print_json(value: Any) -> None:
    """Print `value` as one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    # A command that goes on running has a reader that waits for this.
    sys.stdout.flush()
