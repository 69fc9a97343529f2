"""The OpenAI adapter through the real SDK, against a loopback server that plays every kind of answer."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import replace
from threading import Thread

import pytest

from tasks.errors import ErrorCode, ModelError
from tasks.ports import ModelRequest, TokenUsage
from tests.fakes import clock
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from worker.adapters.openai.body import MAX_BODIES_BYTES, MAX_BODY_BYTES
from worker.adapters.openai.model import OpenAIModel, open_client, read_answer

WIRE = {
    "type": "object",
    "properties": {"value": {"type": "string"}},
    "required": ["value"],
    "additionalProperties": False,
}


def a_request(timeout_seconds: float = 10.0, **options) -> ModelRequest:
    return ModelRequest("gpt-6-luna", "Write.", "data", "text", WIRE, 512, options, timeout_seconds, 1000)


def respond(behaviour: Behaviour, request: ModelRequest | None = None):
    """Return (answer, the noted request, the changes of the gauge) of one call."""
    counted, flights = [], []

    async def call():
        client = open_client("key", fake_openai.base_url, 10)
        try:
            model = OpenAIModel(client, lambda *each: counted.append(each), flights.append)
            return await model.respond(request or a_request())
        finally:
            await client.close()

    with FakeOpenAI(behaviour=behaviour) as fake_openai:
        try:
            return asyncio.run(call()), counted, flights
        except ModelError as error:
            return error, counted, flights


def test_returns_text_usage_and_request_id():
    answer, counted, flights = respond(Behaviour())

    assert isinstance(json.loads(answer.text)["value"], str)
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert answer.request_id.startswith("req_")
    assert counted[0][0] == "ok"
    assert counted[0][3] > 0
    assert flights == [1, -1]


def test_sends_the_reasoning_effort_that_the_config_sets():
    answer, _, _ = respond(Behaviour(), a_request(reasoning_effort="low"))

    assert answer.text


def test_reads_a_compressed_answer():
    answer, _, _ = respond(Behaviour(play=Play.GZIP))

    assert isinstance(json.loads(answer.text)["value"], str)


@pytest.mark.parametrize(
    "play", [Play.GZIP_BOMB, Play.ENDLESS_BODY, Play.ENDLESS_HEADERS, Play.STRANGE_ENCODING]
)
def test_a_body_without_a_measure_is_a_bad_response_that_is_not_asked_for_again(play):
    error, counted, _ = respond(Behaviour(play=play))

    assert (error.code, error.retryable, error.billed) == (ErrorCode.OPENAI_BAD_RESPONSE, False, True)
    assert len(counted) == 1


@pytest.mark.parametrize(("characters", "fits"), [(512 * 32, True), (512 * 32 + 1, False)])
def test_an_answer_that_its_tokens_cannot_carry_is_refused_at_the_price_that_it_names(characters, fits):
    part = {"type": "output_text", "text": "x" * characters}
    document = {
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "content": [part]}],
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }
    body = json.dumps(document)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"

    answer, _, _ = respond(Behaviour(raw=(head + body).encode()))

    assert answer.usage == TokenUsage(5, 0, 0, 7)
    if fits:
        assert len(answer.text) == characters
    else:
        assert (answer.code, answer.retryable, answer.billed) == (ErrorCode.OPENAI_BAD_RESPONSE, False, True)


def test_what_a_flood_took_is_free_again():
    async def calls():
        client = open_client("key", fake_openai.base_url, 20)
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        try:
            # Together more than all bodies may take: some are refused although they have room of their own.
            floods = await asyncio.gather(
                *(model.respond(a_request()) for _ in range(MAX_BODIES_BYTES // MAX_BODY_BYTES * 2)),
                return_exceptions=True,
            )
            fake_openai.behave(Behaviour())
            return floods, await model.respond(a_request())
        finally:
            await client.close()

    with FakeOpenAI(behaviour=Behaviour(play=Play.ENDLESS_BODY)) as fake_openai:
        floods, answer = asyncio.run(calls())

    assert {each.code for each in floods} == {ErrorCode.OPENAI_BAD_RESPONSE}
    assert answer.text


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable", "billed"),
    [
        (Behaviour(status=400), ErrorCode.OPENAI_BAD_REQUEST, False, False),
        (Behaviour(status=401), ErrorCode.OPENAI_AUTH_ERROR, False, False),
        (Behaviour(status=403), ErrorCode.OPENAI_BAD_REQUEST, False, False),
        (Behaviour(status=429), ErrorCode.OPENAI_RATE_LIMITED, True, False),
        (
            Behaviour(status=429, error_code="insufficient_quota"),
            ErrorCode.OPENAI_QUOTA_EXHAUSTED,
            False,
            False,
        ),
        (Behaviour(status=500), ErrorCode.OPENAI_SERVER_ERROR, True, False),
        (Behaviour(status=503), ErrorCode.OPENAI_SERVER_ERROR, True, False),
        (Behaviour(play=Play.FAILED), ErrorCode.OPENAI_SERVER_ERROR, True, True),
        (Behaviour(play=Play.RESET_AFTER_WORK), ErrorCode.OPENAI_CONNECTION_ERROR, True, True),
        (Behaviour(play=Play.HTML), ErrorCode.OPENAI_BAD_RESPONSE, False, True),
        (Behaviour(play=Play.NULL), ErrorCode.OPENAI_BAD_RESPONSE, False, True),
        (Behaviour(play=Play.MALFORMED_JSON), ErrorCode.OPENAI_BAD_RESPONSE, False, True),
        (Behaviour(play=Play.EMPTY_OUTPUT), ErrorCode.OPENAI_BAD_RESPONSE, False, True),
    ],
)
def test_every_failure_has_its_word(behaviour, code, retryable, billed):
    error, counted, flights = respond(behaviour)

    assert isinstance(error, ModelError)
    assert (error.code, error.retryable, error.billed) == (code, retryable, billed)
    assert [each[0] for each in counted] == [code.value]
    assert flights == [1, -1]


def test_honours_the_servers_wish_to_wait():
    error, _, _ = respond(Behaviour(status=429, retry_after="7"))

    assert error.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("play", "refused", "truncated"),
    [
        (Play.REFUSAL, True, False),
        (Play.CONTENT_FILTER, True, False),
        (Play.TRUNCATED, False, True),
        (Play.TRUNCATED_REASONING, False, True),
    ],
)
def test_tells_a_refusal_from_a_truncation_and_keeps_the_usage(play, refused, truncated):
    answer, _, _ = respond(Behaviour(play=play))

    assert (answer.refused, answer.truncated) == (refused, truncated)
    assert answer.usage is not None


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "output_text", "text": ""}, TokenUsage(5, 0, 0, 0)),
        ({"type": "refusal", "refusal": "no"}, None),
    ],
)
def test_nothing_can_have_been_used_only_where_nothing_was_said(part, expected):
    usage = {"input_tokens": 5, "output_tokens": 0}
    output = [{"type": "message", "content": [part]}]
    body = {"object": "response", "status": "completed", "output": output, "usage": usage}

    assert read_answer(json.dumps(body).encode(), "r").usage == expected


def test_a_missing_usage_is_unknown_rather_than_nothing():
    answer, _, _ = respond(Behaviour(play=Play.MISSING_USAGE))

    assert answer.usage is None


def test_a_request_that_is_never_answered_ends_with_its_timeout():
    counted = []

    async def call(fake_openai):
        client = open_client("key", fake_openai.base_url, 10)
        model = OpenAIModel(client, lambda *each: counted.append(each), lambda _: None)
        request = asyncio.create_task(model.respond(a_request(timeout_seconds=60)))
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 1)
        clock.advance(60)
        with pytest.raises(ModelError) as late:
            await request
        await client.close()
        return late.value

    with FakeOpenAI(behaviour=Behaviour(play=Play.HANG)) as fake_openai:
        error = clock.run(call(fake_openai))

    assert (error.code, error.billed) == (ErrorCode.OPENAI_TIMEOUT, True)
    assert counted[0][3] == 60


def test_the_timeout_is_for_the_whole_request_not_for_each_read():
    # Some of it comes every 0.25 s: for each read by itself, that is soon enough.
    error, _, _ = respond(Behaviour(play=Play.DRIP, drip_seconds=5), a_request(timeout_seconds=0.6))

    assert (error.code, error.billed) == (ErrorCode.OPENAI_TIMEOUT, True)


def test_a_refused_connection_costs_nothing():
    async def call():
        client = open_client("key", "http://127.0.0.1:1/v1", 10)
        try:
            await OpenAIModel(client, lambda *_: None, lambda _: None).respond(a_request())
        finally:
            await client.close()

    with pytest.raises(ModelError) as refused:
        asyncio.run(call())

    assert (refused.value.code, refused.value.billed) == (ErrorCode.OPENAI_CONNECTION_ERROR, False)


def test_cancelling_closes_the_connection():
    counted = []

    async def call(fake_openai):
        client = open_client("key", fake_openai.base_url, 10)
        model = OpenAIModel(client, lambda *each: counted.append(each), lambda _: None)
        request = asyncio.create_task(model.respond(a_request(60)))
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 1)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.cancelled == 1)
        await client.close()

    with FakeOpenAI(behaviour=Behaviour(play=Play.HANG)) as fake_openai:
        asyncio.run(call(fake_openai))

    assert counted[0][0] == "cancelled"


def test_cutting_closes_every_connection_and_the_next_request_opens_a_new_one():
    async def call(fake_openai):
        client = open_client("key", fake_openai.base_url, 10)
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        requests = [asyncio.create_task(model.respond(a_request(60))) for _ in range(5)]
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 5)
        model.abort_connections()
        for each in requests:
            each.cancel()
        ended = await asyncio.gather(*requests, return_exceptions=True)
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.open_connections == 0)
        fake_openai.behave(Behaviour())
        answer = await model.respond(a_request())
        await client.close()
        return ended, answer

    with FakeOpenAI(behaviour=Behaviour(play=Play.HANG)) as fake_openai:
        ended, answer = asyncio.run(call(fake_openai))

    assert {type(each) for each in ended} == {asyncio.CancelledError}
    assert answer.text


def test_cutting_closes_what_goes_through_a_proxy(monkeypatch):
    async def call():
        asked, closed = asyncio.Event(), asyncio.Event()

        async def proxy(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            while await reader.read(1 << 16):
                pass
            closed.set()
            writer.close()

        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            client = open_client("key", "http://model.test/v1", 10)
            model = OpenAIModel(client, lambda *_: None, lambda _: None)
            request = asyncio.create_task(model.respond(a_request(60)))
            await asked.wait()

            model.abort_connections()

            await asyncio.wait_for(closed.wait(), 10)
            request.cancel()
            with pytest.raises((asyncio.CancelledError, ModelError)):
                await request
            await client.close()

    asyncio.run(call())


@pytest.mark.parametrize("in_thread", [False, True])
def test_cutting_waits_for_no_turn_of_the_loop(in_thread):
    async def call(fake_openai):
        client = open_client("key", fake_openai.base_url, 10)
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        requests = [asyncio.create_task(model.respond(a_request(60))) for _ in range(5)]
        await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 5)
        if in_thread:
            Thread(target=model.abort_connections).start()
        else:
            model.abort_connections()
        # On the loop itself, which has no turn before it is over.
        fake_openai.journal.wait_until(lambda counts: counts.open_connections == 0)
        for each in requests:
            each.cancel()
        ended = await asyncio.gather(*requests, return_exceptions=True)
        await client.close()
        return ended

    with FakeOpenAI(behaviour=Behaviour(play=Play.HANG)) as fake_openai:
        ended = asyncio.run(call(fake_openai))

    assert {type(each) for each in ended} == {asyncio.CancelledError}


@pytest.mark.filterwarnings("ignore:Sending a large body directly")
def test_what_was_not_yet_sent_of_a_request_is_never_sent_once_it_is_cut():
    # More than the kernel has room for between the two.
    whole = "x" * 32_000_000

    async def call(server):
        client = open_client("key", f"http://127.0.0.1:{server.getsockname()[1]}/v1", 10)
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        request = asyncio.create_task(model.respond(replace(a_request(60), input_text=whole)))
        connection, _ = await asyncio.get_running_loop().sock_accept(server)
        head = await asyncio.get_running_loop().sock_recv(connection, 1024)
        model.abort_connections()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        connection.setblocking(True)
        with connection, connection.makefile("rb") as received:
            rest = await asyncio.to_thread(received.read)
        await client.close()
        return head + rest

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        received = asyncio.run(call(server))

    assert received.startswith(b"POST /v1/responses")
    assert len(received) < len(whole)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"<html>", b'{"object": "response", "status": "completed", "output": "x"}'],
)
def test_reads_no_answer_out_of_nonsense(body):
    with pytest.raises(ModelError) as nonsense:
        read_answer(body, None)

    assert nonsense.value.code is ErrorCode.OPENAI_BAD_RESPONSE


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 5, "output_tokens": 7}, TokenUsage(5, 0, 0, 7)),
        (
            {
                "input_tokens": 5,
                "output_tokens": 7,
                "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
            },
            TokenUsage(5, 2, 1, 7),
        ),
        ({"input_tokens": 5}, None),
        ({"input_tokens": -1, "output_tokens": 7}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": 5, "output_tokens": 0}, None),
        ({"input_tokens": 0, "output_tokens": 7}, None),
        ({"input_tokens": "5", "output_tokens": 7}, None),
        (None, None),
    ],
)
def test_reads_usage_or_says_that_it_is_unknown(usage, expected):
    message = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    body = {"object": "response", "status": "completed", "output": [message], "usage": usage}

    assert read_answer(json.dumps(body).encode(), "r").usage == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("gpt-6-luna-2026-10-01", "gpt-6-luna-2026-10-01"),
        ("ft:gpt-6:acme/beta@2", "ft:gpt-6:acme/beta@2"),
        ("the answer to your question", None),
        ("é", None),
        ("gpt\n", None),
        ("x" * 65, None),
        ("", None),
        (["gpt"], None),
        (None, None),
    ],
)
def test_the_servers_name_of_the_model_is_a_name_or_none(named, expected):
    message = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    body = {"object": "response", "status": "completed", "output": [message], "model": named}

    assert read_answer(json.dumps(body).encode(), "r").model == expected


@pytest.mark.parametrize("charset", ["punycode", "hex", "undefined"])
def test_no_charset_of_an_error_holds_up_the_loop_or_hides_its_status(charset):
    # 400 kB of it in punycode take Python six seconds.
    sent = b"baaa" * 100_000
    head = f"HTTP/1.1 401 No\r\nContent-Type: application/json; charset={charset}\r\n"
    raw = f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent
    began = time.process_time()

    error, _, _ = respond(Behaviour(raw=raw))

    assert (error.code, error.billed) == (ErrorCode.OPENAI_AUTH_ERROR, False)
    assert time.process_time() - began < 3
