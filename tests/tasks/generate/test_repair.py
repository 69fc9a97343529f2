"""An answer that cannot be used was paid for: it is asked for once more, saying what was wrong with it."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from dataclasses import replace

import pytest

from tasks.errors import ErrorCode, ModelError
from tests.builders import a_spec, controls
from tests.fakes.ports import FakeBudget, FakeModel, answer
from tests.tasks.generate.use_case import UseCase

MARKED = "First sentence.\n\n# A heading\n\nMore."
UNUSABLE = {
    "OUTPUT_POLICY_VIOLATION": answer(MARKED),
    "OUTPUT_SCHEMA_INVALID": answer(42),
    "OUTPUT_NOT_JSON": answer(text="Here you are: a text."),
}


@pytest.mark.parametrize("first", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_answer_is_asked_for_once_more(first):
    case = UseCase(model=FakeModel([first, answer()]))

    (result,) = case.run(a_spec())

    assert result["status"] == "COMPLETED"
    context = case.records[0][4]
    assert (context.attempts, context.repairs) == (2, 1)
    assert case.budget.spent == context.cost_nano_usd == 2 * one_answer_costs()
    assert len(case.guard.seen) == 1


def one_answer_costs():
    case = UseCase()
    case.run(a_spec())
    return case.budget.spent


def test_the_second_request_says_where_and_what_but_not_what_was_written():
    case = UseCase(model=FakeModel([answer(MARKED), answer()]))

    case.run(a_spec())

    first, second = case.model.requests
    assert second.instructions.startswith(first.instructions)
    added = second.instructions.removeprefix(first.instructions)
    assert "output" in added
    assert "heading" in added.lower()
    assert "A heading" not in added
    assert second.size_bytes == first.size_bytes + len(added.encode())


def test_the_second_request_names_all_that_was_wrong():
    marked = "# A heading\n\nPlants need **light**:\n- plenty of it\n- every day"
    case = UseCase(model=FakeModel([answer(marked), answer()]))

    case.run(a_spec())

    added = case.model.requests[1].instructions.removeprefix(case.model.requests[0].instructions)
    assert all(rule in added for rule in ("strong on line 3", "heading on line 1", "bullet_list on line 4"))


def test_what_is_unusable_twice_fails_as_the_last_one_did_and_counts_once():
    case = UseCase(model=FakeModel([answer(42), answer(MARKED)]))

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_POLICY_VIOLATION", "openai")]
    assert len(case.model.requests) == 2
    assert case.records[0][4].policy_rule == "heading"
    assert len(case.guard.seen) == 1


@pytest.mark.parametrize("changes", [{"repair_attempts": 0}, {"attempts": 1}])
def test_is_not_asked_for_again_beyond_the_configured_numbers(changes):
    case = UseCase(model=FakeModel([answer(42)]), changes=changes)

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_SCHEMA_INVALID", "openai")]
    assert len(case.model.requests) == 1


def test_attempts_that_broke_leave_fewer_for_a_repair():
    broken = ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True)
    case = UseCase(model=FakeModel([broken, broken, answer(42)]))

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_SCHEMA_INVALID", "openai")]
    assert len(case.model.requests) == 3


@pytest.mark.parametrize(
    "unusable",
    [answer(refused=True, text=None), answer(truncated=True, text=None)],
    ids=["refused", "truncated"],
)
def test_what_the_model_would_do_again_is_not_asked_for_again(unusable):
    case = UseCase(model=FakeModel([unusable]))

    case.run(a_spec())

    assert len(case.model.requests) == 1


def test_a_repair_that_would_be_too_long_is_not_made():
    probe = UseCase()
    probe.run(a_spec())
    case = UseCase(
        model=FakeModel([answer(42)]), changes={"max_input_tokens": probe.model.requests[0].size_bytes}
    )

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_SCHEMA_INVALID", "openai")]


def test_a_repair_that_the_cap_does_not_cover_is_not_made_and_the_job_says_what_was_wrong():
    async def spend_the_rest():
        case.budget.cap_nano_usd = 0
        return answer(42)

    case = UseCase(model=FakeModel([spend_the_rest, answer()]), budget=FakeBudget())

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_SCHEMA_INVALID", "openai")]
    assert "BUDGET_EXCEEDED" in case.records[0][4].detail
    assert len(case.model.requests) == 1


def test_a_repair_that_gets_no_answer_leaves_the_job_with_what_was_wrong():
    broken = ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True)
    case = UseCase(model=FakeModel([answer(42), broken]))

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "OUTPUT_SCHEMA_INVALID", "openai")]
    assert len(case.model.requests) == 3


def test_no_repair_leaves_once_the_brake_is_on():
    async def halt_meanwhile():
        case.controls.current = controls(kill=b"true")
        return answer(42)

    case = UseCase(model=FakeModel([halt_meanwhile, answer()]))

    case.run(a_spec())

    assert case.outcomes == [("STUB", "KILL_SWITCH", "openai")]
    assert len(case.model.requests) == 1


def test_a_halt_cancels_a_repair_in_flight():
    async def never():
        case.brake.engage(ErrorCode.KILL_SWITCH)
        await asyncio.Event().wait()

    case = UseCase(model=FakeModel([answer(42), never]))

    case.run(a_spec())

    assert case.outcomes == [("STUB", "KILL_SWITCH", "openai")]
    assert case.model.cancelled == 1


def test_a_repaired_answer_is_kept_like_any_other():
    case = UseCase(model=FakeModel([answer(42), answer()]))

    case.run(a_spec())
    case.run(a_spec())

    assert case.cache == ["miss", "hit"]


class Said(str):
    """An answer's text that can be followed."""

    __slots__ = ("__weakref__",)


def test_an_unusable_answer_is_let_go_before_another_is_asked_for():
    kept = []

    async def unusable():
        text = Said(json.dumps({"value": "# Cells"}))
        kept.append(weakref.ref(text))
        return replace(answer(), text=text)

    async def look():
        gc.collect()
        kept.append(kept[0]())
        return answer()

    case = UseCase(model=FakeModel([unusable, look]))

    case.run(a_spec())

    assert kept[1] is None
