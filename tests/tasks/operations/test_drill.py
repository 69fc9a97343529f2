"""What a drill makes of what it saw."""

from __future__ import annotations

import dataclasses

import pytest

from gates import explain
from schemas import violations
from tasks.generate.spec import Spec
from tasks.operations.drill import (
    calls_check,
    confirmation_check,
    drill_jobs,
    foreign_change,
    later,
    outcomes_check,
)
from tasks.operations.probes import is_probe
from tests.builders import a_rule, an_allowlist, controls
from tests.tasks.operations.past import a_change, an_outcome

HELD = an_outcome(status="STUB", error_code="KILL_SWITCH", path="stub")


def a_pull(audit_id, actor="ann"):
    return a_change(audit_id=audit_id, dial="kill", actor=actor, command="slotgen drill")


class TestConfirmation:
    def test_of_every_worker_in_time_passes(self):
        assert confirmation_check(2, 2, 1000.0).passed

    @pytest.mark.parametrize(("workers", "confirmed", "ms"), [(2, 1, 5.0), (2, 2, 1001.0), (0, 0, 1.0)])
    def test_of_some_too_late_or_of_nobody_fails(self, workers, confirmed, ms):
        assert not confirmation_check(workers, confirmed, ms).passed


class TestOutcomes:
    def test_by_the_brake_alone_pass(self):
        check = outcomes_check([HELD] * 3, [HELD] * 2, 2)

        assert check.passed
        assert check.seen == "2 of 2 probes ended, at 1 worker; 0 of 3 outcomes not by the kill switch"

    @pytest.mark.parametrize(
        "stray",
        [
            an_outcome("stray-1"),
            an_outcome("stray-1", status="STUB", error_code="NOT_ALLOWLISTED", path="stub"),
            an_outcome("stray-1", status="FAILED", error_code="OPENAI_TIMEOUT"),
        ],
    )
    def test_of_which_one_is_not_by_the_brake_fail_and_name_it(self, stray):
        check = outcomes_check([HELD] * 3 + [stray], [HELD] * 3, 3)

        assert not check.passed
        assert f"1 of 4 outcomes not by the kill switch, such as stray-1 {stray.status}" in check.seen

    def test_without_every_probe_fail(self):
        assert not outcomes_check([HELD] * 2, [HELD] * 2, 3).passed
        assert not outcomes_check([], [], 0).passed


class TestForeignChanges:
    def test_are_none_where_there_is_only_our_own(self):
        assert foreign_change([a_pull("5-0")], "ann", "slotgen drill") is None
        assert foreign_change([], "ann", "slotgen drill") is None

    def test_are_everybody_elses(self):
        kill = a_change(audit_id="6-0", dial="kill", actor="bob", command="slotgen kill")

        assert foreign_change([kill, a_pull("5-0")], "ann", "slotgen drill") is kill

    def test_are_a_second_drill_of_the_same_person_too(self):
        second = a_pull("6-0")

        assert foreign_change([second, a_pull("5-0")], "ann", "slotgen drill") is second


@pytest.mark.parametrize(("one", "other"), [("10-0", "9-9"), ("10-10", "10-9"), ("1-0", "0-0")])
def test_places_in_the_audit_are_ordered_by_number(one, other):
    for noticed in (False, True):

        def after(place: str, than: str, noticed: bool = noticed) -> bool:
            version = f"99-0 {than}" if noticed else f"{than} 99-0"
            return later(dataclasses.replace(a_pull(place), noticed=noticed), version)

        assert after(one, other)
        assert not after(other, one)
        assert not after(one, one)


class TestJobs:
    @pytest.mark.parametrize("percent", ["100", "0.01"])
    def test_of_a_drill_pass_every_gate(self, percent):
        open_to = controls(
            rollout_percent=percent.encode(), allowlist=an_allowlist(a_rule(slotIds=["b", "a"])).encode()
        )

        found = drill_jobs(open_to, 3).specs

        jobs = [job for each in found for job in Spec.of(each).jobs]
        assert len(jobs) == 3
        assert all(is_probe(each.subject) for each in jobs)
        assert all(decision.allowed for each in jobs for decision in explain(each.subject, open_to))
        assert [violations("job.v1", each) for each in found] == [[]] * 3

    @pytest.mark.parametrize(
        ("dials", "why"),
        [
            ({"kill": b"true"}, "the kill switch is on"),
            ({"rollout_percent": b"0"}, "is outside 0 %"),
            (
                {"allowlist": an_allowlist(a_rule(enabled=False)).encode()},
                "no rule of the allowlist is enabled",
            ),
            ({"allowlist": None}, "no rule of the allowlist is enabled"),
        ],
    )
    def test_where_none_can_pass_there_is_none_and_it_is_said_why(self, dials, why):
        found = drill_jobs(controls(**dials), 3)

        assert found.specs == ()
        assert why in found.why


class TestCalls:
    def test_that_ended_before_the_halt_prove_nothing_and_say_how(self):
        covered_by_no_cap = an_outcome(status="STUB", error_code="BUDGET_EXCEEDED", path="stub")

        check = calls_check(0, [covered_by_no_cap], "")

        assert (
            check.seen == "none was in flight (its own ended as STUB BUDGET_EXCEEDED), so nothing is proved"
        )

    def test_that_had_begun_are_the_proof(self):
        begun = an_outcome(status="STUB", error_code="KILL_SWITCH", cost_nano_usd=5_000_000)

        check = calls_check(2, [begun, begun], "")

        assert check.passed
        assert check.seen == "2; the drill's own are charged $0.01"

    @pytest.mark.parametrize(("cancelled", "own"), [(0, []), (1, [HELD])])
    def test_without_one_nothing_is_proved(self, cancelled, own):
        check = calls_check(cancelled, own, "the kill switch is on")

        assert not check.passed
        assert check.seen == "none was in flight (the kill switch is on), so nothing is proved"
