"""The stand-in that ships, as openai's own client experiences it."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import openai
import pytest

from tests.fakes import clock
from tests.fakes.openai.asker import Asker, parameters, served_here
from tests.waiting import eventually
from worker.dev.fake_openai.server import FakeOpenAI


@pytest.fixture
def fake_openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture
def asker(fake_openai: FakeOpenAI) -> Asker:
    return Asker(fake_openai)


def test_answers_with_content_that_fits_the_schema_and_with_what_it_cost(asker: Asker) -> None:
    response = asker.ask()

    assert (response.object, response.status, response.model) == ("response", "completed", "gpt-6-luna")
    assert (response.error, response.incomplete_details) == (None, None)
    assert response._request_id.startswith("req_")
    assert "Cell division" in json.loads(response.output_text)["value"]
    usage = response.usage
    assert usage.input_tokens > 0 < usage.output_tokens
    assert usage.input_tokens + usage.output_tokens == usage.total_tokens
    assert usage.input_tokens_details.cached_tokens == usage.output_tokens_details.reasoning_tokens == 0


def test_gives_the_same_request_the_same_answer_with_another_id(asker: Asker) -> None:
    first, second = asker.ask(), asker.ask()

    assert first.output_text == second.output_text
    assert first.id != second.id
    assert first._request_id != second._request_id


def test_writes_prose_where_no_schema_is_asked_for(asker: Asker) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(asker.ask(text={"format": {"type": "text"}}).output_text)


@pytest.mark.parametrize(
    ("asked", "named"),
    [("default", "default"), ("flex", "flex"), ("fast", "priority"), ("auto", None), (openai.omit, None)],
)
def test_names_the_tier_where_one_was_asked_for(asker: Asker, asked: object, named: str | None) -> None:
    response = asker.ask(service_tier=asked, prompt_cache_options={"mode": "explicit"})

    assert response.service_tier == named


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": ""}, "model", "missing_required_parameter"),
        ({"extra_body": {"effort": "low"}}, "effort", "unknown_parameter"),
        (
            {"text": {"format": parameters()["text"]["format"] | {"schema": {"type": "object"}}}},
            "text.format.schema",
            "invalid_json_schema",
        ),
        ({"service_tier": "cheap"}, "service_tier", "invalid_value"),
        (
            {"model": "gpt-5.4-mini", "prompt_cache_options": {"mode": "explicit"}},
            "prompt_cache_options",
            "unsupported_parameter",
        ),
    ],
    ids=["parameter", "option", "schema", "tier", "cache"],
)
def test_refuses_what_the_real_api_would(asker: Asker, changes: dict, param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        asker.ask(**changes)

    assert (refused.value.param, refused.value.code) == (param, code)
    assert refused.value.request_id.startswith("req_")


def test_lists_the_models_that_the_shipped_config_prices(fake_openai: FakeOpenAI) -> None:
    with urllib.request.urlopen(f"{fake_openai.base_url}/models", timeout=10) as answer:
        listed = json.load(answer)["data"]

    assert {each["id"]: each["shutdown_date"] for each in listed} == {
        "gpt-6-luna": None,
        "gpt-5.6-luna": None,
    }


def test_serves_nothing_else(fake_openai: FakeOpenAI) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{fake_openai.base_url}/files", timeout=10)

    with refused.value as answer:
        assert "POST /v1/responses and GET /v1/models, and nothing else" in answer.read().decode()


def test_waits_before_it_answers() -> None:
    async def scenario() -> None:
        async with served_here(FakeOpenAI()) as fake_openai, Asker(fake_openai).client() as client:
            fake_openai.delay_seconds = 20
            waits = asyncio.create_task(client.responses.create(**parameters()))
            await asyncio.to_thread(fake_openai.wait_for_calls, 1)
            fake_openai.delay_seconds = 0
            await client.responses.create(**parameters())
            assert not waits.done()
            clock.advance(20)
            await waits

    clock.run(scenario())


def test_a_call_whose_client_has_gone_is_in_flight_no_more(asker: Asker, fake_openai: FakeOpenAI) -> None:
    fake_openai.delay_seconds = 3600

    async def give_up() -> None:
        async with asker.client() as client:
            call = asyncio.create_task(client.responses.create(**parameters()))
            await asyncio.to_thread(fake_openai.wait_for_calls, 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(give_up())

    eventually(lambda: fake_openai._in_flight == 0)


def test_says_what_it_counts_when_a_wait_was_in_vain(fake_openai: FakeOpenAI) -> None:
    with pytest.raises(TimeoutError, match=r"after 0\.01 s 0 calls are in flight, not 1"):
        fake_openai.wait_for_calls(1, timeout_seconds=0.01)


def test_stopping_ends_the_thread_and_cancels_what_waits() -> None:
    before = set(threading.enumerate())
    with FakeOpenAI() as fake_openai:
        fake_openai.delay_seconds = 3600
        asking = threading.Thread(target=_ask_in_vain, args=(Asker(fake_openai),))
        asking.start()
        fake_openai.wait_for_calls(1)
    asking.join()

    assert set(threading.enumerate()) <= before


def _ask_in_vain(asker: Asker) -> None:
    with pytest.raises(openai.APIConnectionError):
        asker.ask()
