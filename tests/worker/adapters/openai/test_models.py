"""Whatever a server answers to GET /v1/models, something true is known of the model soon, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.operations.model_listing import ModelListing
from tests.fakes.openai.server import FakeOpenAI
from worker.adapters.openai import models
from worker.adapters.openai.models import list_model, read_models

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["data", "id"]), each),
)


def ask(base_url, key="any"):
    return asyncio.run(list_model(key, base_url, "gpt-6-luna"))


@pytest.mark.parametrize(
    ("served", "listing"),
    [
        ({"gpt-6-luna": None}, ModelListing("gpt-6-luna", True, "", "")),
        ({"gpt-6-luna": "2027-01-14", "o9": None}, ModelListing("gpt-6-luna", True, "2027-01-14", "")),
        ({"gpt-6-luna": "soon"}, ModelListing("gpt-6-luna", True, None, "")),
        ({"gpt-6-luna-2026": None}, ModelListing("gpt-6-luna", False, None, "")),
        ({}, ModelListing("gpt-6-luna", False, None, "")),
        (None, ModelListing("gpt-6-luna", None, None, "GET /v1/models: HTTP 404")),
    ],
    ids=["listed", "with a day", "with something else", "another", "none", "no such page"],
)
def test_it_is_what_the_server_lists(served, listing):
    with FakeOpenAI() as fake_openai:
        fake_openai.models = served

        assert ask(fake_openai.base_url) == listing
        assert fake_openai.journal.counts().begun == 0


def test_a_key_that_the_server_refuses_says_nothing_of_the_model():
    with FakeOpenAI() as fake_openai:
        listing = ask(fake_openai.base_url, key="wrong")

    assert listing == ModelListing("gpt-6-luna", unknown="GET /v1/models: HTTP 401 invalid_api_key")


def test_without_a_server_nothing_is_known():
    with FakeOpenAI() as gone:
        base_url = gone.base_url

    assert ask(base_url) == ModelListing("gpt-6-luna", unknown="GET /v1/models: ConnectionRefusedError")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
RAW = {
    "a page": HEAD + b"Content-Length: 6\r\n\r\n<html>",
    "null": HEAD + b"Content-Length: 4\r\n\r\nnull",
    "no list": HEAD + b'Content-Length: 10\r\n\r\n{"data":{}}',
    "deep": HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
    "too long": HEAD + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
    "cut off": HEAD + b"Content-Length: 100\r\n\r\n{",
    "redirected": b"HTTP/1.1 302 Found\r\nLocation: /v1/responses\r\nContent-Length: 0\r\n\r\n",
    "a key refused": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "a scope refused": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "out of order": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
    "headers without end": HEAD + b"X-Very: " + b"y" * 100_000,
    "never": None,
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_what_is_no_list_says_nothing_and_that_within_the_bound(monkeypatch, raw):
    monkeypatch.setattr(models, "_SECONDS", 0.5)

    async def asked():
        served = asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if raw is not None:
                writer.write(raw)
                writer.write_eof()
            # Until the client has gone.
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
            served.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            listing = await list_model("any", f"http://127.0.0.1:{port}/v1", "gpt-6-luna")
            await served.wait()
            return listing

    listing = asyncio.run(asked())

    assert (listing.listed, listing.shutdown_date) == (None, None)
    assert 0 < len(listing.unknown) < 100
    assert "html" not in listing.unknown


@given(JSON)
def test_no_json_breaks_it(document):
    assert read_models(json.dumps(document).encode(), "m").listed in {None, True, False}


def test_a_model_that_may_be_on_the_next_page_is_not_missing():
    listing = read_models(b'{"data": [{"id": "a"}], "has_more": true}', "b")

    assert (listing.listed, listing.unknown) == (None, "the list of models goes on, on another page")
