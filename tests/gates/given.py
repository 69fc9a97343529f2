"""What the tests of the gates start from: a job that every dial lets through, and the dials that do."""

from __future__ import annotations

import json
from typing import Any

from gates import DIALS, Ceilings, Controls, Subject

# In the first bucket (0) and in the last (99,999): inside and outside of any percentage between.
FIRST_BUCKET, LAST_BUCKET = "job-13329", "job-248785"


def a_subject(**changes: Any) -> Subject:
    fields = {
        "job_id": "job-1",
        "slot_id": "lesson.intro",
        "kind": "explanatory",
        "subject": "Biology",
        "level": "GCSE",
        "board": "AQA",
        "spec_version": "8461",
        "opted_in": True,
    }
    return Subject(**(fields | changes))


def a_rule(rule_id: str = "biology", **changes: Any) -> dict[str, Any]:
    return {
        "id": rule_id,
        "enabled": True,
        "appliesTo": {"subject": ["Biology"], "level": ["GCSE"], "board": ["AQA"], "specVersion": ["8461"]},
        "kinds": ["explanatory"],
        "slotIds": [],
        "maxJobsPerRun": 10,
    } | changes


def a_policy(*rules: dict[str, Any], **changes: Any) -> bytes:
    document = {
        "version": "allowlist.v1",
        "enabled": True,
        "mode": "deny_by_default",
        "rules": list(rules),
    } | changes
    return json.dumps(document).encode()


# As open as each gets.
OPEN: dict[str, bytes | None] = {dial.name: dial.open_value for dial in DIALS} | {
    "allowlist": a_policy(a_rule())
}


def restricted(**texts: str) -> Ceilings:
    """Return the ceilings of an environment that says `texts`, each named as the dial that it restricts."""
    return Ceilings.parse({dial.variable: texts[dial.name] for dial in DIALS if dial.name in texts})


def dials(*, ceilings: Ceilings | None = None, **changes: bytes | None) -> Controls:
    """Return dials that let `a_subject()` through, but for `changes` (None is an absent key)."""
    return Controls.parse(OPEN | changes, ceilings or Ceilings())
