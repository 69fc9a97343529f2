"""Ports for the servers of tests: none is given twice, whatever else runs on this machine."""

from __future__ import annotations

from worker.dev.processes.ports import ReservedPort

_reserved: list[ReservedPort] = []


def free_port() -> int:
    """Return a loopback port that stays reserved, for a server yet to be started, until this process ends."""
    _reserved.append(ReservedPort())
    return _reserved[-1].number
