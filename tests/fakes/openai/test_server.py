"""Each behaviour, as openai's own client experiences it."""

from __future__ import annotations

import asyncio
import email.utils
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.fakes import clock
from tests.fakes.openai.asker import Asker, parameters, served_here
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play, Reply


def test_answers_as_the_responses_api_does(asker: Asker, fake_openai: FakeOpenAI) -> None:
    response = asker.ask()

    assert (response.object, response.status, response.model) == ("response", "completed", "gpt-6-luna")
    assert response.id.startswith("resp_")
    assert response._request_id.startswith("req_")
    assert json.loads(response.output_text).keys() == {"value"}
    usage = response.usage
    assert (
        usage.input_tokens + usage.output_tokens
        == usage.total_tokens
        == fake_openai.journal.counts().billed_tokens
    )
    assert usage.input_tokens_details.cached_tokens == usage.output_tokens_details.reasoning_tokens == 0


def test_gives_the_same_request_the_same_answer_with_another_id(asker: Asker) -> None:
    first, second = asker.ask(), asker.ask()

    assert first.output_text == second.output_text
    assert first.id != second.id


@pytest.mark.parametrize("api_key", ["wrong", " "])
def test_refuses_a_key_that_is_wrong_or_blank(asker: Asker, api_key: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        asker.ask(api_key=api_key)


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, "server_error"),
        (503, openai.InternalServerError, "server_error"),
    ],
)
def test_refuses_with_the_status_it_is_told_to(
    asker: Asker,
    fake_openai: FakeOpenAI,
    status: int,
    expected: type[openai.APIStatusError],
    code: str | None,
) -> None:
    with pytest.raises(expected) as refused:
        asker.ask(Behaviour(status=status))

    assert (refused.value.status_code, refused.value.code) == (status, code)
    assert refused.value.request_id
    counts = fake_openai.journal.counts()
    assert (counts.rejected, counts.billed_tokens) == (1, 0)


def test_plays_what_stands_before_the_api(asker: Asker) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        asker.ask(Behaviour(play=Play.HTML, status=403))

    assert (refused.value.code, refused.value.request_id) == (None, None)
    assert refused.value.response.text.startswith("<!doctype html>")


def test_names_an_empty_purse_by_its_code(asker: Asker) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        asker.ask(Behaviour(status=429, error_code="insufficient_quota"))

    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize(
    ("behaviour", "header", "value"),
    [
        (Behaviour(status=429, retry_after="7"), "retry-after", "7"),
        (
            Behaviour(status=503, retry_after=email.utils.formatdate(0, usegmt=True)),
            "retry-after",
            "Thu, 01 Jan",
        ),
        (Behaviour(status=429, retry_after_ms=1500), "retry-after-ms", "1500"),
    ],
    ids=["seconds", "date", "milliseconds"],
)
def test_says_when_to_come_back(asker: Asker, behaviour: Behaviour, header: str, value: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        asker.ask(behaviour)

    assert refused.value.response.headers[header].startswith(value)


def test_never_answers_while_it_hangs(asker: Asker, fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(play=Play.HANG))

    async def scenario() -> None:
        async with asker.client() as client:
            call = asyncio.create_task(client.responses.create(**parameters(), timeout=60))
            await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 1)
            clock.advance(61)
            with pytest.raises(openai.APITimeoutError):
                await call

    clock.run(scenario())

    assert fake_openai.journal.wait_until(lambda counts: counts.cancelled == 1).billed_tokens == 0


def test_drips_past_a_timeout_that_is_per_read() -> None:
    async def scenario() -> str:
        async with (
            served_here(FakeOpenAI(behaviour=Behaviour(play=Play.DRIP, drip_seconds=60))) as fake_openai,
            Asker(fake_openai).client() as client,
            client.responses.with_streaming_response.create(**parameters(), timeout=40) as response,
        ):
            body = b""
            clock.advance(3)
            async for piece in response.iter_bytes():
                body += piece
                clock.advance(3)
            assert clock.now_mono() > 40
            return json.loads(body)["status"]

    assert clock.run(scenario()) == "completed"


def test_bills_the_work_whose_answer_a_reset_swallowed(asker: Asker, fake_openai: FakeOpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        asker.ask(Behaviour(play=Play.RESET_AFTER_WORK))

    counts = fake_openai.journal.wait_until(lambda counts: counts.reset == 1)
    assert counts.billed_tokens > 0
    assert counts.cancelled == 0


def test_resets_with_a_rst_and_not_with_an_end_of_stream(fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(play=Play.RESET_AFTER_WORK))
    body = json.dumps(parameters()).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"

    with socket.create_connection(("127.0.0.1", fake_openai.port)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_sends_raw_bytes_as_they_are_and_closes(fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(raw=b"HTTP/9.9 -200 \0\r\n"))
    body = json.dumps(parameters()).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"

    with socket.create_connection(("127.0.0.1", fake_openai.port)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        assert connection.makefile("rb").read() == b"HTTP/9.9 -200 \0\r\n"

    counts = fake_openai.journal.wait_until(lambda counts: counts.in_flight == 0)
    assert (counts.reset, counts.billed_tokens) == (1, 0)


def test_html_comes_back_as_a_string(asker: Asker) -> None:
    assert asker.ask(Behaviour(play=Play.HTML)).startswith("<!doctype html>")


def test_null_comes_back_as_none(asker: Asker) -> None:
    assert asker.ask(Behaviour(play=Play.NULL)) is None


def test_half_a_document_escapes_the_sdks_own_errors(asker: Asker) -> None:
    with pytest.raises(json.JSONDecodeError):
        asker.ask(Behaviour(play=Play.MALFORMED_JSON))


def test_a_truncated_answer_has_half_of_its_text_and_its_usage(asker: Asker) -> None:
    response = asker.ask(Behaviour(play=Play.TRUNCATED))

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text.startswith('{"value"')
    assert not response.output_text.endswith("}")
    assert response.usage.output_tokens == 4096


def test_an_answer_lost_in_reasoning_has_no_message_item(asker: Asker) -> None:
    response = asker.ask(Behaviour(play=Play.TRUNCATED_REASONING))

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert [item.type for item in response.output] == ["reasoning"]
    assert response.usage.output_tokens_details.reasoning_tokens == 4096


def test_truncates_what_max_output_tokens_does_not_cover(asker: Asker) -> None:
    assert asker.ask(max_output_tokens=16).status == "incomplete"


def test_a_filtered_answer_is_incomplete(asker: Asker) -> None:
    response = asker.ask(Behaviour(play=Play.CONTENT_FILTER))

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "content_filter")


def test_a_refusal_is_completed_and_has_no_text(asker: Asker) -> None:
    response = asker.ask(Behaviour(play=Play.REFUSAL))

    assert (response.status, response.output_text) == ("completed", "")
    assert response.output[0].content[0].type == "refusal"


def test_markdown_still_fits_the_schema(asker: Asker) -> None:
    assert json.loads(asker.ask(Behaviour(play=Play.MARKDOWN)).output_text)["value"].startswith("**")


def test_prose_is_not_json(asker: Asker) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(asker.ask(Behaviour(play=Play.NOT_JSON)).output_text)


def test_a_schema_invalid_answer_is_json_of_another_shape(asker: Asker) -> None:
    assert json.loads(asker.ask(Behaviour(play=Play.SCHEMA_INVALID)).output_text) == {
        "value": {"unexpected": True}
    }


def test_missing_usage_is_none_and_billed_all_the_same(asker: Asker, fake_openai: FakeOpenAI) -> None:
    assert asker.ask(Behaviour(play=Play.MISSING_USAGE)).usage is None
    assert fake_openai.journal.counts().billed_tokens > 0


def test_an_empty_output_has_no_items(asker: Asker) -> None:
    assert asker.ask(Behaviour(play=Play.EMPTY_OUTPUT)).output == []


def test_a_failed_response_carries_an_error(asker: Asker, fake_openai: FakeOpenAI) -> None:
    response = asker.ask(Behaviour(play=Play.FAILED))

    assert (response.status, response.error.code) == ("failed", "server_error")
    assert fake_openai.journal.counts().billed_tokens == 0


def test_plays_the_queue_in_order_and_then_the_standing_behaviour(
    asker: Asker, fake_openai: FakeOpenAI
) -> None:
    fake_openai.behave(Behaviour(play=Play.EMPTY_OUTPUT))
    fake_openai.play_next(Behaviour(status=500), Behaviour(play=Play.NULL))

    with pytest.raises(openai.InternalServerError):
        asker.ask()
    assert asker.ask() is None
    assert asker.ask().output == []


def test_a_request_that_is_refused_leaves_the_queue_alone(asker: Asker, fake_openai: FakeOpenAI) -> None:
    fake_openai.play_next(Behaviour(play=Play.NULL))

    with pytest.raises(openai.AuthenticationError):
        asker.ask(api_key="wrong")
    assert asker.ask() is None


def test_waits_before_it_answers() -> None:
    async def scenario() -> None:
        async with served_here(FakeOpenAI()) as fake_openai, Asker(fake_openai).client() as client:
            fake_openai.play_next(Behaviour(delay_seconds=20))
            waits = asyncio.create_task(client.responses.create(**parameters()))
            await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.begun == 1)
            await client.responses.create(**parameters())
            first, second = fake_openai.journal.records()
            assert (first.outcome, second.outcome) == (Reply.COMPLETED, None)
            clock.advance(20)
            await waits

    clock.run(scenario())


def test_answers_what_waits_when_it_is_released_and_lets_what_comes_later_wait(
    asker: Asker, fake_openai: FakeOpenAI
) -> None:
    fake_openai.behave(Behaviour(delay_seconds=3600))
    with ThreadPoolExecutor() as askers:
        first = askers.submit(asker.ask)
        fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1)
        fake_openai.release()
        assert first.result().status == "completed"

        later = askers.submit(asker.ask)
        fake_openai.journal.wait_until(lambda counts: counts.begun == 2)
        assert fake_openai.journal.counts().completed == 1
        fake_openai.release()
        assert later.result().status == "completed"


def test_serves_nothing_but_post_responses_and_the_models(fake_openai: FakeOpenAI) -> None:
    with socket.create_connection(("127.0.0.1", fake_openai.port)) as connection:
        connection.sendall(b"GET /v1/files HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 404")
    assert fake_openai.journal.counts().begun == 0


def test_a_missing_model_is_a_bad_request(asker: Asker) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        asker.ask(model="")

    assert (refused.value.param, refused.value.code) == ("model", "missing_required_parameter")


def test_a_schema_outside_the_strict_subset_is_a_bad_request(asker: Asker) -> None:
    loose = parameters()["text"]
    loose["format"] = loose["format"] | {"schema": {"type": "object", "properties": {}}}

    with pytest.raises(openai.BadRequestError) as refused:
        asker.ask(text=loose)

    assert (refused.value.param, refused.value.code) == ("text.format.schema", "invalid_json_schema")


def test_a_taken_port_is_an_error_of_the_caller(fake_openai: FakeOpenAI) -> None:
    with pytest.raises(OSError, match="in use"), FakeOpenAI(port=fake_openai.port):
        pass


def test_stopping_ends_the_thread_and_cancels_what_hangs() -> None:
    before = set(threading.enumerate())
    with FakeOpenAI(behaviour=Behaviour(play=Play.HANG)) as fake_openai:
        asking = threading.Thread(target=_ask_in_vain, args=(Asker(fake_openai),))
        asking.start()
        fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1)
    asking.join()

    counts = fake_openai.journal.counts()
    assert (counts.in_flight, counts.cancelled, counts.open_connections) == (0, 1, 0)
    assert set(threading.enumerate()) <= before


def _ask_in_vain(asker: Asker) -> None:
    with pytest.raises(openai.APIConnectionError):
        asker.ask()


def test_a_behaviour_cannot_refuse_with_a_success() -> None:
    with pytest.raises(ValueError, match="status 200 is no error"):
        Behaviour(status=200)


def test_a_behaviour_cannot_answer_before_it_was_asked() -> None:
    with pytest.raises(ValueError, match="seconds from 0"):
        Behaviour(delay_seconds=-1)
