"""What the tests of the dials say and do as operators, one or several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gates import rollout
from tasks.operations.changes.dials import Change
from worker.adapters.redis.console.dials import RedisDials


def to(percent: bytes | None, **changes: Any) -> Change:
    return Change(rollout.DIAL, percent, "ann", "slotgen rollout", **changes)


def key(dials: RedisDials, dial: str) -> str:
    return f"{dials.namespace}:{dial}"


def all_at_once(*calls: Callable[[], object]) -> None:
    threads = [threading.Thread(target=each) for each in calls]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
