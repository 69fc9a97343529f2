"""`slotgen preflight` and `slotgen drill` where there is no worker."""

from __future__ import annotations


def test_without_a_worker_the_checklist_fails_and_says_what_to_start(slotgen):
    slotgen.open(kill="true")

    code, said = slotgen("preflight")

    assert code == 1
    assert "fail       a worker is running: none\n             slotgen worker" in said
    assert "fail       telemetry is validated on the real route: 0 of 3 probe jobs ended" in said


def test_without_a_worker_there_is_nothing_to_drill(slotgen):
    slotgen.open()

    code, said = slotgen("drill", "--yes")

    assert code == 1
    assert "no worker is running, so there is nothing to halt" in said
    assert slotgen.raw("kill") == b"false"
