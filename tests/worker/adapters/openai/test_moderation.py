"""Moderation in the same request: what is sent, what is read of it, and that not knowing is a no."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.moderation import Categories

from tasks.errors import ErrorCode, ModelError
from tasks.executor_config import load
from tasks.ports import FLAGS, NOT_JUDGED
from tests.fakes.openai.server import Behaviour
from tests.worker.adapters.openai.test_hostile_answers import JSON, body
from tests.worker.adapters.openai.test_model import a_request, respond
from worker.adapters.openai.model import read_answer
from worker.dev.fake_openai.answer import moderation_result

MODERATED = {"moderation": {"model": "omni-moderation-latest"}}
CLEAN = moderation_result("omni-moderation-latest", flagged=False)
VIOLENT = moderation_result("omni-moderation-latest", flagged=True)
ERROR = {"type": "error", "code": "server_error", "message": "words of the prompt"}
UNJUDGED = {"input": (NOT_JUDGED,), "output": (NOT_JUDGED,)}


def read(moderation, **fields):
    return read_answer(body(moderation=moderation, **fields), None, moderated=True).flagged


def test_the_words_are_those_of_the_sdk():
    theirs = {field.alias or name for name, field in Categories.model_fields.items()}

    assert set(FLAGS) == theirs | {NOT_JUDGED}


def test_only_what_the_config_sets_is_sent():
    assert "moderation" not in load(None).options
    asked = replace(load(None), moderation="omni-moderation-latest").options
    assert asked["moderation"] == {"model": "omni-moderation-latest"}


@pytest.mark.parametrize(
    ("words", "flagged"),
    [
        ("Cells", {}),
        ("stand-in: input flagged", {"input": ["violence"]}),
        ("stand-in: output flagged", {"output": ["violence"]}),
        ("stand-in: input error", {"input": (NOT_JUDGED,)}),
        (
            "stand-in: output error and stand-in: input flagged",
            {"input": ["violence"], "output": (NOT_JUDGED,)},
        ),
    ],
)
def test_the_stand_in_plays_each_result(words, flagged):
    moderated, _, _ = respond(Behaviour(), replace(a_request(**MODERATED), input_text=words))
    without, _, _ = respond(Behaviour(), replace(a_request(), input_text=words))

    assert moderated.flagged == flagged
    assert without.flagged == {}
    # Whatever was found, what it used is known.
    assert moderated.usage == without.usage


@pytest.mark.parametrize(
    "moderation",
    [
        None,
        {},
        [],
        "clean",
        {"input": ERROR, "output": ERROR},
        {"input": None, "output": []},
        {"input": CLEAN | {"type": "moderation"}, "output": CLEAN | {"flagged": "false"}},
        {"input": CLEAN | {"categories": None}, "output": {**CLEAN, "flagged": None}},
    ],
)
def test_what_is_no_whole_result_was_not_judged(moderation):
    assert read(moderation) == UNJUDGED


def test_a_server_that_ignores_the_wish_has_not_judged():
    answer, _, _ = respond(Behaviour(moderation=""), a_request(**MODERATED))

    assert answer.flagged == UNJUDGED


@pytest.mark.parametrize(
    ("result", "flags"),
    [
        (VIOLENT, ["violence"]),
        # One of the two says so.
        (CLEAN | {"flagged": True}, ("other",)),
        (VIOLENT | {"flagged": False}, ["violence"]),
        # A newer server's category is one all the same, and no label of its own; older models leave some out.
        (CLEAN | {"flagged": True, "categories": {"x" * 9999: True, "hate": True}}, ["hate", "other"]),
        (CLEAN | {"categories": {"illicit": None}}, ()),
    ],
)
def test_a_flag_is_one_wherever_it_stands(result, flags):
    found = read({"input": CLEAN, "output": result})

    assert found == ({"output": flags} if flags else {})


@given(st.dictionaries(st.sampled_from(["input", "output"]), JSON | st.just(CLEAN) | st.just(VIOLENT)))
def test_only_two_clean_results_are_clean(moderation):
    clean = moderation == {"input": CLEAN, "output": CLEAN}

    flagged = read(moderation)

    assert (flagged == {}) is clean
    assert {each for part in flagged.values() for each in part} <= {*FLAGS, "other"}


@pytest.mark.parametrize("model", ["gpt-6", "stand-in"])
def test_a_server_that_refuses_the_parameter_is_answered_with_the_remedy(model):
    refused, _, _ = respond(Behaviour(), a_request(moderation={"model": model}))

    assert isinstance(refused, ModelError)
    assert refused.code is ErrorCode.OPENAI_BAD_REQUEST
    remedy = "the server refuses moderation; change or remove moderation in the executor config"
    assert refused.detail == f"HTTP 400 invalid_value: {remedy}"


def test_a_server_that_knows_no_such_parameter_is_answered_with_the_remedy():
    said = {
        "error": {"message": "words", "type": "invalid_request_error", "param": "moderation", "code": None}
    }
    text = json.dumps(said).encode()
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        text
    )

    refused, _, _ = respond(Behaviour(raw=head + text), a_request(**MODERATED))

    assert refused.detail.startswith("HTTP 400: the server refuses moderation; ")
    assert not refused.retryable


@pytest.mark.parametrize("fields", [{"output": []}, {"status": "failed", "output": []}], ids=str)
def test_a_flag_counts_though_nothing_was_answered(fields):
    flagged = read({"input": VIOLENT, "output": CLEAN}, **fields)

    assert flagged == {"input": ["violence"]}
    for moderation in ({"input": CLEAN, "output": CLEAN}, None):
        with pytest.raises(ModelError):
            read(moderation, **fields)
