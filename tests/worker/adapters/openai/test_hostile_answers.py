"""Whatever bytes a server sends, a request ends as an answer or as a ModelError that names what came."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ErrorCode, ModelError
from tasks.ports import ModelAnswer, TokenUsage
from tests.worker.adapters.openai.test_errors import status_error
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.openai.errors import retry_after_seconds, translate
from worker.adapters.openai.model import OpenAIModel, open_client, read_answer

USAGE = {"input_tokens": 5, "output_tokens": 7}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}]} | fields


def body(**fields: Any) -> bytes:
    document = {"object": "response", "status": "completed", "output": [message("x")], "usage": USAGE}
    return json.dumps(document | fields).encode()


class TestPhases:
    def test_only_the_final_answer_is_read(self):
        output = [message("let me think", phase="commentary"), message("42", phase="final_answer")]

        assert read_answer(body(output=output), None).text == "42"

    @pytest.mark.parametrize("phase", ["analysis", None, "later", 7])
    def test_where_there_is_a_final_answer_nothing_else_is_read(self, phase):
        output = [message("hm", phase=phase), message("42", phase="final_answer"), message("!", phase=phase)]

        assert read_answer(body(output=output), None).text == "42"

    def test_a_message_without_a_phase_is_an_answer(self):
        assert read_answer(body(output=[message("4"), message("2")]), None).text == "42"

    def test_nothing_but_commentary_is_no_answer(self):
        with pytest.raises(ModelError) as error:
            read_answer(body(output=[message("hm", phase="commentary")]), None)

        assert error.value.code is ErrorCode.OPENAI_BAD_RESPONSE


class TestStatus:
    @pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled", "done", None, 7, ["completed"]])
    def test_only_what_is_completed_or_incomplete_is_an_answer(self, status):
        with pytest.raises(ModelError) as error:
            read_answer(body(status=status), None)

        assert (error.value.code, error.value.billed) == (ErrorCode.OPENAI_BAD_RESPONSE, True)

    @pytest.mark.parametrize("code", ["invalid_prompt", "invalid_image", "something_new"])
    def test_a_failure_that_would_come_again_is_terminal_and_costs_what_it_says(self, code):
        with pytest.raises(ModelError) as error:
            read_answer(body(status="failed", error={"code": code, "message": "the prompt is quoted"}), None)

        assert (error.value.code, error.value.retryable) == (ErrorCode.OPENAI_BAD_REQUEST, False)
        assert error.value.usage == TokenUsage(5, 0, 0, 7)
        assert "quoted" not in str(error.value)

    @pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", None])
    def test_a_failure_of_the_moment_may_be_retried(self, code):
        with pytest.raises(ModelError) as error:
            read_answer(body(status="failed", error={"code": code}, usage=None), None)

        assert (error.value.code, error.value.retryable) == (ErrorCode.OPENAI_SERVER_ERROR, True)
        assert (error.value.usage, error.value.billed) == (None, True)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": True, "output_tokens": 7},
        {"input_tokens": 5, "output_tokens": 7.0},
        {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": None}},
    ],
)
def test_what_is_no_whole_number_is_no_usage(usage):
    assert read_answer(body(usage=usage), None).usage is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"object": "response", "output": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"object": "response", "status": "completed", "usage": {"output_tokens": ' + b"9" * 5_000 + b"}}",
        b"\xff\xfe\x00",
        b'"\xed\xa0\x80"',
    ],
    ids=["nested", "digits", "utf-16", "surrogate"],
)
def test_odd_bodies_are_bad_responses(raw):
    with pytest.raises(ModelError) as error:
        read_answer(raw, None)

    assert (error.value.code, error.value.billed) == (ErrorCode.OPENAI_BAD_RESPONSE, True)


@pytest.mark.parametrize("code", [7, ["insufficient_quota"], {"a": 1}, "x" * 10_000, "a b", "\x1b[31m"])
def test_an_error_code_that_is_no_word_is_not_said(code):
    error = translate(status_error(429, code=code))

    assert error.code is ErrorCode.OPENAI_RATE_LIMITED
    assert error.detail == "HTTP 429"


@pytest.mark.parametrize(
    "date",
    [
        "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
        "Wed, 21 Oct 9999 07:28:00 -9999",
        "Wed, 99 Foo 2015 07:28:00 GMT",
        "\x00",
    ],
)
def test_a_date_that_is_none_asks_for_nothing(date):
    wait = retry_after_seconds({"retry-after": date})

    assert wait is None or wait >= 0


def test_a_refusal_of_one_request_is_not_one_of_the_account():
    page = status_error(403)
    known = status_error(403, code="unsupported_country_region_territory")

    assert translate(page).code is ErrorCode.OPENAI_BAD_REQUEST
    assert translate(known).code is ErrorCode.OPENAI_AUTH_ERROR
    assert translate(status_error(401)).code is ErrorCode.OPENAI_AUTH_ERROR


@pytest.mark.parametrize("error", [RecursionError(), OverflowError(), KeyError("x"), TypeError("x")])
def test_whatever_reading_an_answer_raises_is_a_bad_response(error):
    assert translate(error).code is ErrorCode.OPENAI_BAD_RESPONSE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "status": JSON | st.sampled_from(["completed", "incomplete", "failed"]),
        "error": JSON | st.fixed_dictionaries({"code": JSON}),
        "incomplete_details": JSON,
        "usage": JSON | st.fixed_dictionaries({"input_tokens": JSON, "output_tokens": JSON}),
        "output": JSON
        | st.lists(
            JSON
            | st.fixed_dictionaries(
                {"type": st.just("message"), "content": JSON | st.lists(JSON, max_size=3)},
                optional={"phase": JSON},
            ),
            max_size=3,
        ),
    },
)


@settings(max_examples=2_000)
@given(FIELDS)
def test_no_document_is_read_as_anything_else(fields):
    with contextlib.suppress(ModelError):
        assert isinstance(read_answer(body(**fields), None), ModelAnswer)


@settings(max_examples=1_000)
@given(st.integers(100, 999), JSON, st.text(max_size=20))
def test_no_refusal_is_read_as_anything_else(status, code, wait):
    error = status_error(418, code=code, headers=[(b"retry-after", wait.encode("latin-1", "replace"))])
    error.status_code = status

    assert isinstance(translate(error), ModelError)


def test_a_servers_cookie_is_sent_with_no_other_request():
    """One that no header can carry would break every request after it."""
    sent = []

    async def respond(request):
        sent.append(request.headers.get("Cookie"))
        return web.json_response({}, headers={"Set-Cookie": "a=é"})

    async def call():
        app = web.Application()
        app.router.add_post("/v1/responses", respond)
        async with TestServer(app) as server:
            client = open_client("key", str(server.make_url("/v1")), 10)
            model = OpenAIModel(client, lambda *_: None, lambda _: None)
            for _ in range(2):
                with pytest.raises(ModelError) as error:
                    await model.respond(a_request())
                assert error.value.detail == "the body is not a response object"
            await client.close()

    asyncio.run(call())
    assert sent == [None, None]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("req_0123456789abcdef", True),
        ("1f0c5f3e-8a4b-4a67-9d5e-0123456789ab", True),
        ("Bearer sk-secret", False),
        ("sk-proj-0123456789abcdef0123456789", False),
        ("req_" + "a" * 6000, False),
        ("", False),
        (None, False),
    ],
)
def test_a_request_id_that_is_none_is_not_said(said, kept):
    assert read_answer(body(), said).request_id == (said if kept else None)
