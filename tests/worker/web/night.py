"""A night in which somebody has to look: what `slotgen web` shows of it, made up."""

from __future__ import annotations

from dataclasses import replace
from math import sin
from random import Random

from gates import Ceilings
from tasks.operations.changes.dials import DialValues
from tasks.operations.fleet import WorkerInfo
from tasks.operations.money import Account
from tasks.operations.overview import Overview
from tests.builders import OPEN, an_allowlist
from tests.tasks.operations.past import NOW_MS, a_change, an_outcome
from worker.web.status import Status

# How jobs end while all is well, and in the last minutes.
_WELL = (("COMPLETED", None, 0.9), ("STUB", "ROLLOUT_EXCLUDED", 0.97), ("FAILED", "OPENAI_TIMEOUT", 1))
_ILL = (("COMPLETED", None, 0.35), ("FAILED", "OUTPUT_SCHEMA_INVALID", 0.85), ("FAILED", "OPENAI_TIMEOUT", 1))
_HALTED = (("STUB", "KILL_SWITCH", 0.95), ("STUB", "NOT_OPTED_IN", 1))


def a_night(*, halted: bool = True) -> Status:
    """Return the fleet as it was found at three o'clock, before or after its halt."""
    rng = Random(3)
    past = []
    for number in range(1400):
        minutes_ago = 60 * (1 - number / 1400)
        if rng.random() > 0.75 + 0.25 * sin(number / 60):
            continue
        ends = _HALTED if halted and minutes_ago < 6 else _ILL if minutes_ago < 16 else _WELL
        share = rng.random()
        status, code, _ = next(each for each in ends if share <= each[2])
        past.append(an_outcome(f"job-{number}", minutes_ago=minutes_ago, status=status, error_code=code))
    guard = a_change(
        minutes_ago=6,
        dial="kill",
        before=b"false",
        after=None,
        actor="guard",
        command="guard",
        reason="50 % of 40 outputs unusable",
        widened=(),
        noticed=True,
    )
    changes = [
        a_change(minutes_ago=140, after=b"25"),
        a_change(minutes_ago=150, dial="kill", before=b"true", after=b"false", reason="drilled, all well"),
        a_change(minutes_ago=4000, dial="allowlist", actor="bob"),
        a_change(minutes_ago=4001, dial="feature", actor="bob"),
        a_change(minutes_ago=4002, dial="budget_usd", actor="bob", after=b"20"),
    ]
    policy = an_allowlist().encode()
    dials = OPEN | {"allowlist": policy, "rollout_percent": b"25", "budget_usd": b"20", "kill": b"false"}
    overview = Overview(
        values=DialValues(dials | ({"kill": None} if halted else {}), "1-0"),
        ceilings=Ceilings(),
        audit=[guard, *changes] if halted else changes,
        workers=(),
        past=past,
        queue_depth=212,
        oldest_seconds=None,
        dead_letters=2,
        queue="slotgen",
        strays=(),
        dead_letters_filled=0.01,
        now_wall_ms=NOW_MS,
        since_seconds=3600,
    )
    brake = "KILL_SWITCH" if halted else None
    workers = [
        WorkerInfo(
            f"w{number}",
            f"worker-{number}",
            7,
            "0.1.0",
            "2026-11-1",
            0 if halted else calls,
            brake,
            overview.controls.policy_hash,
            True,
            NOW_MS,
            NOW_MS,
        )
        for number, calls in ((1, 48), (2, 51), (3, 44))
    ]
    dollars = 10**9
    account = Account(
        20 * dollars, 7 * dollars + 421_000_000, 0, 0, {}, NOW_MS // 1000 - 7000, NOW_MS // 1000 + 75_000, {}
    )
    return Status(replace(overview, workers=workers), account)
