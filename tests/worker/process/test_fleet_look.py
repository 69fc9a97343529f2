"""One thread records what has changed of the dials and reads the fleet's figures; none hinders the other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tasks.errors import StoreUnavailable
from worker.process.composition import _FleetLook


class Looks:
    def __init__(self):
        self.done = []
        self.refused = self.answered = False
        note = self.done.append
        self.look = _FleetLook(
            SimpleNamespace(notice=self.notice, last_changes=dict),
            SimpleNamespace(read=lambda: note("dials")),
            SimpleNamespace(beat=lambda: note("beat")),
            SimpleNamespace(sample=lambda: note("figures")),
            SimpleNamespace(changes_recorded=lambda _: note("changes")),
            SimpleNamespace(step=self.step),
        )

    def step(self):
        self.done.append("model")
        return self.answered

    def notice(self):
        if self.refused:
            raise StoreUnavailable("full")
        self.done.append("record")


def test_the_figures_are_read_each_time_and_a_change_is_recorded_once():
    looks = Looks()
    looks.look.changed.set()

    looks.look()
    looks.look()

    assert looks.done == [
        *("model", "record", "dials", "changes", "beat", "figures"),
        *("model", "figures"),
    ]


def test_an_answer_on_the_model_is_told_with_a_heartbeat():
    looks = Looks()
    looks.answered = True

    looks.look()

    assert looks.done == ["model", "beat", "figures"]


def test_a_record_that_is_refused_is_tried_again_and_the_figures_are_read_all_the_same():
    looks = Looks()
    looks.look.changed.set()
    looks.refused = True
    with pytest.raises(StoreUnavailable):
        looks.look()
    looks.refused = False

    looks.look()

    assert looks.done == [
        *("model", "figures"),
        *("model", "record", "dials", "changes", "beat", "figures"),
    ]


def test_a_change_while_one_is_recorded_is_recorded_as_well():
    looks = Looks()
    looks.look.changed.set()
    object.__setattr__(looks.look, "controls", SimpleNamespace(read=looks.look.changed.set))

    looks.look()
    looks.look()

    assert looks.done.count("record") == 2
