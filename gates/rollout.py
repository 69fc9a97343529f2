"""The deterministic share of jobs."""

import re
from functools import lru_cache

import mmh3

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Dial, Gate, Reading
from gates.subject import Subject


class RolloutReason(Reason):
    """The job is not in the share."""

    ROLLOUT_EXCLUDED = (
        "ROLLOUT_EXCLUDED",
        "the job's bucket is outside the percentage, or there is no percentage",
        "raise the percentage",
    )


NAME = "rollout"
BUCKETS = 100_000
# ASCII digits only, no sign, no blanks, no exponent: never guess at a percentage.
_PERCENT = re.compile(rb"100(?:\.0{1,3})?|[0-9]{1,2}(?:\.[0-9]{1,3})?")


def parse(raw: bytes) -> int | None:
    """Return the percentage times 1,000 (0-100,000), exactly; None if `raw` is not a percentage."""
    if not _PERCENT.fullmatch(raw):
        return None
    whole, _, decimals = raw.partition(b".")
    return int(whole) * 1000 + int(decimals.ljust(3, b"0"))


def bucket(job_id: str) -> int:
    """Return the job's bucket, 0-99,999. Pinned: any change moves jobs in and out of every rollout.

    MurmurHash3_x86_32 with seed 0 over the UTF-8 bytes of "slotgen:" and the id, scaled by multiplication.
    The percentage is not part of the hash, so raising it only ever adds jobs. An id that has no UTF-8 (half a
    surrogate pair, which no message can carry in) gets 100,000: a bucket outside every percentage.
    """
    try:
        key = f"slotgen:{job_id}".encode()
    except UnicodeEncodeError:
        return BUCKETS
    return (mmh3.hash(key, 0, False) * BUCKETS) >> 32  # noqa: FBT003 - unsigned; a named argument costs more


def check(subject: Subject, dial: Reading[int]) -> Decision:
    """Admit only a job whose bucket is below the percentage."""
    own = bucket(subject.job_id)
    thousandths = dial.value
    if own < thousandths:
        return _admitted(thousandths)
    because = f": the rollout_percent dial {dial.trouble}" if dial.trouble else ""
    detail = f"bucket {own} is outside {_percent(thousandths)} %{because}"
    return deny(NAME, RolloutReason.ROLLOUT_EXCLUDED, detail)


# Building a decision takes longer than the other four gates together (1.2 of 2.3 µs), and most are a yes; the
# bucket itself is next to it in the log.
@lru_cache(maxsize=16)
def _admitted(thousandths: int) -> Decision:
    return admit(NAME, f"the bucket is inside {_percent(thousandths)} %")


@lru_cache(maxsize=16)
def _percent(thousandths: int) -> str:
    whole, decimals = divmod(thousandths, 1000)
    return f"{whole}.{decimals:03}".rstrip("0").rstrip(".")


DIAL = Dial(
    name="rollout_percent",
    parse=parse,
    shut=0,
    malformed=0,
    openness=lambda thousandths: thousandths / 1000,
    shown=lambda thousandths: f"{_percent(thousandths)} %",
    opens_when="a decimal from 0 to 100, at most three decimals",
    otherwise="0",
    remedy="set a number from 0 to 100 with at most three decimals",
    command="slotgen rollout 1",
    bound="one number",
    open_value=b"100",
    variable="SLOTGEN_AI_ROLLOUT_PERCENT",
)
GATE = Gate(NAME, "its bucket is inside the percentage", RolloutReason, check, DIAL)
