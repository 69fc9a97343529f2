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
def redis_errors_refused(client: Any) -> Iterator[None]:
    """Turn a Redis that does not answer into a sentence."""
    from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy, and only needed once a command needs Redis
    from worker.adapters.redis.errors import unavailable  # noqa: PLC0415

    try:
        with unavailable(client):
            yield
    except StoreUnavailable as error:
        raise CliError(str(error)) from None


def print_json(value: Any) -> None:
    """Print `value` as one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    # A command that goes on running has a reader that waits for this.
    sys.stdout.flush()
