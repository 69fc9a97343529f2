"""While a long answer is judged, the loop goes on: a halt, and other jobs, wait for none of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from schemas import output_type
from tasks.errors import ErrorCode, Failed
from tasks.generate.judging import Judge
from tests.fakes.ports import answer

RICH = output_type("richText")
# What takes the rules longest, of the length that a richText may have.
SLOWEST = {"paragraphs": ["# A\n" * 1_250] * 50}


def turns_while(coroutine_of):
    """Return how many turns the loop had until `coroutine_of(judge)` had its result, and that."""

    async def scenario():
        judged = asyncio.ensure_future(coroutine_of(Judge()))
        turns = 0
        while not judged.done():
            await asyncio.sleep(0)
            turns += 1
        return turns, judged.result()

    return asyncio.run(scenario())


def test_the_loop_has_its_turns_while_a_long_answer_is_judged():
    turns, value = turns_while(lambda judge: judge.accept(RICH, answer(SLOWEST)))

    assert value == SLOWEST
    assert turns > 10


def test_the_loop_has_its_turns_while_a_long_stored_answer_is_judged():
    size_bytes = len(json.dumps(SLOWEST))
    turns, acceptable = turns_while(lambda judge: judge.acceptable(RICH, SLOWEST, size_bytes))

    assert acceptable
    assert turns > 10


def test_a_short_answer_is_judged_at_once():
    value = {"paragraphs": ["Water moves."]}

    assert turns_while(lambda judge: judge.accept(RICH, answer(value))) == (1, value)


@pytest.mark.parametrize("text", ["**Osmosis**", "**Osmosis** " * 400], ids=["short", "long"])
def test_what_is_refused_is_refused_whatever_its_length(text):
    with pytest.raises(Failed) as refused:
        asyncio.run(Judge().accept(RICH, answer({"paragraphs": [text]})))

    assert refused.value.code is ErrorCode.OUTPUT_POLICY_VIOLATION
