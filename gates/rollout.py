"""Gate 5: the deterministic share of jobs."""

from __future__ import annotations

import mmh3

from gates.controls import Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.subject import Subject

BUCKETS = 100_000


def bucket(job_id: str) -> int:
    """Return the job's bucket, 0-99,999. Pinned: any change moves every job in or out of every rollout.

    MurmurHash3_x86_32 with seed 0 over the UTF-8 bytes of "slotgen:" and the id, scaled by multiplication.
    The percentage never enters, so that raising it only ever adds jobs.
    """
    # Half a surrogate pair has no UTF-8; the schema's parser refuses it, and here it must not raise.
    key = ("slotgen:" + job_id).encode("utf-8", "surrogatepass")
    return (mmh3.hash(key, seed=0, signed=False) * BUCKETS) >> 32


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only a job whose bucket lies below the percentage."""
    own = bucket(subject.job_id)
    percent = controls.rollout_thousandths / 1000
    if own < controls.rollout_thousandths:
        return admit(Gate.ROLLOUT, f"bucket {own} is inside {percent:g} %")
    return deny(Gate.ROLLOUT, Reason.ROLLOUT_EXCLUDED, f"bucket {own} is outside {percent:g} %")
