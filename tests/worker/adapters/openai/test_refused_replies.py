"""A reply that is no 2xx says what it says by its status and its headers, whatever follows them."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import pytest

from tasks.errors import ErrorCode, ModelError
from tests.worker.adapters.openai.test_hostile_answers import body
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.openai.body import MAX_BODY_BYTES
from worker.adapters.openai.model import OpenAIModel, open_client

CODES = {
    401: ErrorCode.OPENAI_AUTH_ERROR,
    403: ErrorCode.OPENAI_BAD_REQUEST,
    429: ErrorCode.OPENAI_RATE_LIMITED,
    500: ErrorCode.OPENAI_SERVER_ERROR,
    503: ErrorCode.OPENAI_SERVER_ERROR,
}
QUOTA = json.dumps({"error": {"code": "insufficient_quota"}}).encode()
# Headers and body, and whether the server closes the connection behind them.
UNREADABLE = {
    "br": (["Content-Encoding: br"], b"x", False),
    "deflate": (["Content-Encoding: deflate"], b"x", False),
    "twice gzip": (["Content-Encoding: gzip, gzip"], b"x", False),
    "broken gzip": (["Content-Encoding: gzip"], b"x", False),
    "too large": ([], b"x" * (MAX_BODY_BYTES + 1), False),
    "bomb": (["Content-Encoding: gzip"], gzip.compress(b"x" * (MAX_BODY_BYTES + 1)), False),
    "truncated and closed": (["Content-Length: 2000"], b"x", True),
    "truncated and open": (["Content-Length: 2000"], b"x", False),
}


@asynccontextmanager
async def a_model(*replies):
    """Give a model whose server sends these bytes, each with whether it then closes, in turn."""
    sent, gone = iter(replies), asyncio.Event()

    async def serve(reader, writer):
        try:
            for reply, closes in sent:
                await reader.readuntil(b"\r\n\r\n")
                await reader.read(1 << 20)
                writer.write(reply)
                if closes:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if not closes:
                await gone.wait()
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = OpenAIModel(
            open_client("key", f"http://127.0.0.1:{port}/v1", 10), lambda *_: None, lambda _: None
        )
        yield model
        gone.set()
        await model.close()


def a_reply(status, headers, content, reason="Reason"):
    length = [] if any(each.startswith("Content-Length") for each in headers) else [len(content)]
    lines = [f"HTTP/1.1 {status} {reason}", "Retry-After: 3", *headers]
    lines += [f"Content-Length: {each}" for each in length]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


async def error_of(model):
    with pytest.raises(ModelError) as caught:
        await model.respond(a_request())
    return caught.value


def asked(*replies, number=1):
    async def scenario():
        async with a_model(*replies) as model:
            return [await error_of(model) for _ in range(number)]

    return asyncio.run(scenario())


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_cannot_be_read_takes_nothing_from_the_status(status, name, monkeypatch):
    monkeypatch.setattr("worker.adapters.openai.body._REFUSAL_SECONDS", 0.2)
    headers, content, closes = UNREADABLE[name]

    (error,) = asked((a_reply(status, headers, content), closes))

    assert (error.code, error.billed) == (CODES[status], False)
    assert error.detail == f"HTTP {status}"
    assert error.retry_after_seconds == (3.0 if status in {429, 500, 503} else None)


@pytest.mark.parametrize("encoding", ["", "identity", "identity, identity", "gzip", " GZIP ,identity"])
def test_what_can_be_read_of_a_refusal_counts(encoding):
    content = gzip.compress(QUOTA) if "gzip" in encoding.lower() else QUOTA

    (error,) = asked((a_reply(429, [f"Content-Encoding: {encoding}"], content), False))

    assert (error.code, error.billed) == (ErrorCode.OPENAI_QUOTA_EXHAUSTED, False)


@pytest.mark.parametrize("encoding", ["", "identity, identity", "x-gzip"])
def test_an_answer_is_read_however_its_server_spells_that_it_has_no_encoding(encoding):
    content = gzip.compress(body()) if "gzip" in encoding else body()

    async def scenario():
        async with a_model((a_reply(200, [f"Content-Encoding: {encoding}"], content), False)) as model:
            return await model.respond(a_request())

    assert asyncio.run(scenario()).text == "x"


def test_an_answer_in_an_encoding_that_was_not_asked_for_is_none():
    (error,) = asked((a_reply(200, ["Content-Encoding: br"], body()), False))

    assert (error.code, error.billed) == (ErrorCode.OPENAI_BAD_RESPONSE, True)


def test_no_bytes_of_a_reason_take_anything_from_an_answer_or_a_status():
    async def scenario():
        answer = a_reply(200, [], body(), reason="Tr\xe8s bien")
        async with a_model((answer, False), (a_reply(503, [], b"", reason="\xff"), False)) as model:
            return (await model.respond(a_request())).text, await error_of(model)

    text, error = asyncio.run(scenario())

    assert text == "x"
    assert (error.code, error.billed, error.retryable) == (ErrorCode.OPENAI_SERVER_ERROR, False, True)
