"""`slotgen demo`, interrupted where it would hurt; tests/worker/test_demo.py runs it."""

from __future__ import annotations

import signal
from contextlib import contextmanager

import pytest
from rich.console import Console

from worker.cli.commands.running import demo


def test_an_interruption_in_the_middle_of_starting_or_ending_waits_until_nothing_is_left(monkeypatch):
    seen = []

    @contextmanager
    def interrupted(**_):
        signal.raise_signal(signal.SIGINT)
        seen.append("started")
        try:
            yield
        finally:
            signal.raise_signal(signal.SIGINT)
            seen.append("ended")

    monkeypatch.setattr(demo, "stack", interrupted)

    with pytest.raises(KeyboardInterrupt):
        demo._play(Console(), real=False, quiet=True)

    assert seen == ["started", "ended"]
