"""Each point of the checklist: what passes, what fails, and what only a person can confirm."""

from __future__ import annotations

import dataclasses

import pytest

from gates import BrakeState, Ceilings, Controls
from tasks.operations import preflight
from tasks.operations.fleet import WorkerInfo
from tasks.operations.preflight import CheckResult
from tests.builders import an_allowlist
from tests.tasks.operations.past import an_outcome

HELD = an_outcome(status="STUB", error_code="KILL_SWITCH", path="stub")


def controls(allowlist):
    return Controls.parse({"kill": b"true", "allowlist": allowlist}, Ceilings())


def a_card(**changes):
    info = WorkerInfo("w1", "box", 7, "0.1.0", "2026-11-1", 0, None, None, True, 1, 1)
    return dataclasses.replace(info, **changes)


def marks(findings):
    return {each.name: each.mark for each in findings}


def test_nobody_here_can_see_the_ci():
    assert preflight.ci_is_green().mark is CheckResult.TO_CONFIRM


@pytest.mark.parametrize(
    ("limit", "mark"),
    [(128, CheckResult.PASS), (129, CheckResult.TO_CONFIRM), (None, CheckResult.TO_CONFIRM)],
)
def test_a_redis_that_takes_too_large_a_message_is_for_a_person_to_see(limit, mark):
    finding = preflight.largest_message(limit, 128)

    assert (finding.mark, bool(finding.remedy)) == (mark, mark is CheckResult.TO_CONFIRM)
    assert ("not examined" in finding.evidence) == (limit is None)


class TestAllowlist:
    @pytest.mark.parametrize("raw", [None, an_allowlist().encode(), an_allowlist(enabled=False).encode()])
    def test_that_is_valid_or_absent_denies_by_default(self, raw):
        assert preflight.allowlist(controls(raw)).mark is CheckResult.PASS

    def test_that_is_malformed_fails_with_a_remedy(self):
        finding = preflight.allowlist(controls(b"{"))

        assert (finding.mark, finding.remedy) == (CheckResult.FAIL, "slotgen allowlist push FILE")
        assert "is malformed" in finding.evidence


class TestWorkers:
    def test_of_one_mind_pass(self):
        found = preflight.workers([a_card(), a_card(worker_id="w2")], controls(None))

        assert set(marks(found).values()) == {CheckResult.PASS}

    def test_that_are_none_fail(self):
        (finding,) = preflight.workers([], controls(None))

        assert (finding.mark, finding.remedy) == (CheckResult.FAIL, "slotgen worker")

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"version": "0.2.0"}, "workers are of one version"),
            ({"executor_version": "2026-12-1"}, "workers are of one version"),
            ({"has_api_key": False}, "workers have an API key"),
            ({"policy_hash": "6dfb333ca9f2"}, "workers see the policy in force"),
        ],
    )
    def test_of_which_one_differs_fail_at_that_point_alone(self, changes, name):
        found = preflight.workers([a_card(), a_card(worker_id="w2", **changes)], controls(None))

        assert [each.name for each in found if each.mark is CheckResult.FAIL] == [name]
        assert all(each.remedy for each in found if each.mark is CheckResult.FAIL)


class TestModel:
    # 2026-11-27.
    NOW_MS = 1_795_750_000_000

    def look(self, *changes):
        known = {"model": "m", "model_listed": True, "model_shutdown": "", "model_unknown": ""}
        found = preflight.model([a_card(**known | each) for each in changes], self.NOW_MS)
        return found.mark, found.evidence, bool(found.remedy)

    def test_that_stays_passes(self):
        assert self.look({}, {}) == (CheckResult.PASS, "m: no shutdown is announced", False)

    def test_whose_end_is_near_is_for_a_person_to_confirm(self):
        said = "the model m will be shut down on 2026-12-11, in 14 days"

        assert self.look({}, {"model_shutdown": "2026-12-11"}) == (CheckResult.TO_CONFIRM, said, True)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            (
                {"model_listed": False},
                "the key cannot use the model m: GET /v1/models does not list it",
            ),
            ({"model_shutdown": "2026-11-27"}, "the model m was shut down on 2026-11-27"),
        ],
    )
    def test_that_cannot_be_used_by_one_worker_fails(self, changes, said):
        assert self.look({}, changes) == (CheckResult.FAIL, said, True)

    def test_of_which_nothing_is_known_is_no_alarm_and_no_pass(self):
        unknown = {"model_listed": None, "model_unknown": "GET /v1/models: HTTP 404"}

        assert self.look(unknown) == (
            CheckResult.TO_CONFIRM,
            "m: not known (GET /v1/models: HTTP 404)",
            True,
        )
        assert self.look() == (CheckResult.TO_CONFIRM, "no worker has asked its server", True)


class TestRoundTrip:
    def test_of_every_probe_with_a_valid_event_passes(self):
        assert preflight.telemetry([HELD] * 3, 3).mark is CheckResult.PASS

    def test_with_a_probe_missing_or_an_invalid_event_fails(self):
        assert preflight.telemetry([HELD] * 2, 3).mark is CheckResult.FAIL
        broken = dataclasses.replace(HELD, telemetry_valid=False)
        assert preflight.telemetry([HELD, HELD, broken], 3).mark is CheckResult.FAIL

    def test_proves_dominance_only_while_the_brake_is_on(self):
        assert preflight.dominance([HELD] * 3, 3, BrakeState.ENGAGED).mark is CheckResult.PASS
        assert preflight.dominance([HELD] * 3, 3, BrakeState.RELEASED).mark is CheckResult.TO_CONFIRM

    @pytest.mark.parametrize(
        "stray", [an_outcome(), an_outcome(status="STUB", error_code="NOT_ALLOWLISTED", path="stub")]
    )
    def test_disproves_dominance_by_one_outcome_that_is_not_the_brakes(self, stray):
        finding = preflight.dominance([HELD, HELD, stray], 3, BrakeState.ENGAGED)

        assert finding.mark is CheckResult.FAIL
        assert finding.evidence == "2 of 3 opted-in probe jobs were STUB by the kill switch"


@pytest.mark.parametrize(
    ("local_ms", "mark"), [(2000, CheckResult.PASS), (2001, CheckResult.FAIL), (-2001, CheckResult.FAIL)]
)
def test_clocks_may_be_two_seconds_apart(local_ms, mark):
    assert preflight.clock(0, local_ms).mark is mark
