"""Every request is preceded by a read of all dials, by which the whole chain of gates decides again."""

from __future__ import annotations

import pytest

from tasks.errors import ErrorCode, ModelError
from tests.builders import a_spec, controls
from tests.fakes.ports import answer
from tests.tasks.generate.use_case import UseCase

NARROWED = [
    ({"feature": b"false"}, "FEATURE_DISABLED", "feature"),
    ({"rollout_percent": b"0"}, "ROLLOUT_EXCLUDED", "rollout"),
    ({"allowlist": None}, "NOT_ALLOWLISTED", "allowlist"),
    ({"kill": b"true"}, "KILL_SWITCH", "kill"),
]


@pytest.mark.parametrize(("change", "code", "gate"), NARROWED, ids=[each[1] for each in NARROWED])
def test_narrowing_reaches_an_admitted_job(change, code, gate):
    case = UseCase()

    def narrow_after_admission(reads: int) -> None:
        if reads == 2:
            case.controls.current = controls(**change)

    case.controls.on_read = narrow_after_admission

    case.run(a_spec())

    assert case.outcomes == [("STUB", code, "stub")]
    assert case.model.requests == []
    assert case.records[0][4].gate == gate
    assert case.records[0][4].policy_hash == case.controls.current.policy_hash
    assert case.budget.spent == 0


@pytest.mark.parametrize(("change", "code", "gate"), NARROWED, ids=[each[1] for each in NARROWED])
def test_narrowing_reaches_a_job_between_two_attempts(change, code, gate):
    case = UseCase()
    failed = ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True)

    async def fail_and_narrow():
        case.controls.current = controls(**change)
        raise failed

    case.model.script = [fail_and_narrow, answer()]

    case.run(a_spec())

    assert case.outcomes == [("STUB", code, "openai")]
    assert len(case.model.requests) == 1


class EngagesTheBrake(list):
    """Stands for whoever follows the kill switch, between the decision and the request."""

    case: UseCase

    def append(self, result: str) -> None:
        self.case.brake.engage(ErrorCode.KILL_SWITCH)


def test_a_read_from_before_the_brake_came_on_lets_no_request_leave():
    case = UseCase(cache=EngagesTheBrake())
    case.cache.case = case

    case.run(a_spec())

    # The stepped clock stands still: the read is no younger than the halt.
    assert case.outcomes == [("STUB", "KILL_SWITCH", "stub")]
    assert case.model.requests == []
