"""How far the fault suite goes: `make faults` sets SLOTGEN_FAULTS=full, all else takes the short form."""

from __future__ import annotations

import os

import pytest

FULL = os.environ.get("SLOTGEN_FAULTS") == "full"

full_length_only = pytest.mark.skipif(not FULL, reason="takes too long for every run; `make faults` does it")


def in_full(full: int, *, short: int) -> int:
    """Return the number that goes with the length of this run."""
    return full if FULL else short
