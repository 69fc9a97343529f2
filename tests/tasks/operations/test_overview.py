"""What stands between now and the first generated job, and where workers disagree."""

from __future__ import annotations

import dataclasses

from gates import BrakeState, Ceilings
from tasks.operations.changes.dials import DialValues
from tasks.operations.fleet import WorkerInfo
from tasks.operations.overview import Overview, StrayList
from tests.builders import OPEN, an_allowlist
from tests.tasks.operations.past import NOW_MS, a_change, an_outcome


def look(*, ceilings=None, workers=(), strays=(), **dials):
    return Overview(
        values=DialValues(OPEN | {"allowlist": an_allowlist().encode()} | dials, "1-0"),
        ceilings=ceilings or Ceilings(),
        audit=[a_change(), a_change(minutes_ago=9, actor="bob")],
        workers=workers,
        past=[an_outcome(), an_outcome(), an_outcome(status="STUB", error_code="RUN_LIMIT")],
        queue_depth=0,
        oldest_seconds=0,
        dead_letters=0,
        queue="slotgen",
        strays=strays,
        dead_letters_filled=0.0,
        now_wall_ms=NOW_MS,
        since_seconds=300,
    )


def a_worker():
    return WorkerInfo("w", "box", 1, "0.1.0", "c", 0, None, None, True, NOW_MS, NOW_MS)


def test_only_a_brake_that_is_off_leads_to_a_job():
    info = a_worker()

    assert look(workers=[info]).blockers == []
    assert look(workers=[info]).controls.brake is BrakeState.RELEASED
    assert [each.command for each in look(workers=[info], kill=b"true").blockers] == [
        'slotgen resume --reason "…"'
    ]


def test_a_disabled_policy_is_enabled_and_not_pushed_again():
    found = look(allowlist=an_allowlist(enabled=False).encode()).blockers

    assert [each.command for each in found] == ["slotgen worker", "slotgen allowlist enable"]


def test_a_model_that_the_key_cannot_use_is_named_once():
    worker = dataclasses.replace(a_worker(), model="m", model_listed=False)

    assert look(workers=[a_worker()]).model_problems == []
    assert look(workers=[worker, worker]).model_problems == [
        "the key cannot use the model m: GET /v1/models does not list it"
    ]


def test_each_dial_names_who_set_it_last():
    lines = {each.dial.name: each for each in look().dials}

    assert lines["rollout_percent"].last.actor == "ann"
    assert lines["kill"].last is None


def test_outcomes_are_counted_most_frequent_first():
    assert look().outcomes == [(("COMPLETED", ""), 2), (("STUB", "RUN_LIMIT"), 1)]


def test_the_ceilings_show():
    ceilings = Ceilings.parse({"SLOTGEN_AI_ROLLOUT_PERCENT": "5"})

    (line,) = [each for each in look(ceilings=ceilings).dials if each.restricted]

    assert (line.dial.name, line.effective) == ("rollout_percent", "5 %")


def test_what_lies_on_a_list_that_no_worker_takes_is_mentioned_with_the_way_to_move_it():
    ours, shared = StrayList("celery\x06\x163", 12, shared=False), StrayList("celery", 7, shared=True)

    first, second = look(workers=[a_worker()], strays=[ours, shared]).blockers

    assert (
        first.command
        == r"""redis-cli -u "$SLOTGEN_REDIS_URL" -r 12 LMOVE $'celery\x06\x163' slotgen RIGHT LEFT"""
    )
    assert 'send with queue="slotgen"' in first.what
    assert "LMOVE" not in second.command
    assert "other applications" in second.what
