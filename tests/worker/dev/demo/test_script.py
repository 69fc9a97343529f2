from __future__ import annotations

from worker.dev.demo.script import Demonstration


def test_what_is_drawn_while_an_act_is_on_is_gone_before_its_end_is_drawn():
    seen = []
    demonstration = Demonstration(celery=None, specs=[])
    demonstration.on_change = lambda: seen.append("gone" if demonstration.acts[-1].ended else "drawn")
    demonstration.on_end = lambda _: seen.append("end")

    demonstration._act(None, "An act", "It has no jobs.", [], [])

    assert seen == ["gone", "end"]
