"""What the stand-in sees, as tests of the halt rely on it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.fakes.openai.asker import Asker, parameters
from tests.fakes.openai.server import Behaviour, Counts, FakeOpenAI, Play, Reply


def test_sees_a_hundred_requests_begin_and_be_cancelled(asker: Asker, fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(play=Play.HANG))

    def all_gone(counts: Counts) -> bool:
        return not (counts.open_connections or counts.in_flight)

    async def halt() -> tuple[float, Counts]:
        async with asker.client(connections=200) as client:
            calls = [asyncio.create_task(client.responses.create(**parameters())) for _ in range(100)]
            await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 100)
            halted_mono = time.monotonic()
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            gone = await asyncio.to_thread(fake_openai.journal.wait_until, all_gone)
            return halted_mono, gone

    halted_mono, counts = asyncio.run(halt())

    assert (counts.begun, counts.cancelled, counts.in_flight, counts.billed_tokens) == (100, 100, 0, 0)
    assert counts.last_connection_closed_mono is not None
    assert counts.last_connection_closed_mono > halted_mono
    ended = fake_openai.journal.records()
    assert {record.outcome for record in ended} == {Reply.CANCELLED}
    assert all(record.ended_mono and record.ended_mono > halted_mono for record in ended)


def test_holds_600_slow_requests_at_once(fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(play=Play.HANG))

    async def crowd() -> Counts:
        async with _session() as session:
            url = f"{fake_openai.base_url}/responses"
            calls = [asyncio.create_task(session.post(url, json=parameters())) for _ in range(600)]
            counts = await asyncio.to_thread(
                fake_openai.journal.wait_until, lambda now: now.in_flight == 600, 30
            )
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            return counts

    assert asyncio.run(crowd()).open_connections == 600
    fake_openai.journal.wait_until(lambda counts: counts.cancelled == 600)


@asynccontextmanager
async def _session():
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer any"}) as session:
        yield session


def test_a_client_that_goes_in_the_middle_of_a_drip_counts_as_cancelled(
    asker: Asker, fake_openai: FakeOpenAI
) -> None:
    fake_openai.behave(Behaviour(play=Play.DRIP, drip_seconds=30))

    async def give_up() -> None:
        async with asker.client() as client:
            call = asyncio.create_task(client.responses.create(**parameters()))
            await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(give_up())

    counts = fake_openai.journal.wait_until(lambda counts: counts.cancelled == 1)
    assert counts.billed_tokens > 0, "the work was done before the first drop"


def test_knows_a_request_by_the_hash_of_its_body_and_keeps_no_content(fake_openai: FakeOpenAI) -> None:
    body = b'{"model": "gpt-6-luna", "input": "a secret"}'

    async def send() -> None:
        async with (
            _session() as session,
            session.post(f"{fake_openai.base_url}/responses", data=body) as answer,
        ):
            await answer.read()

    asyncio.run(send())
    asyncio.run(send())

    digest = hashlib.sha256(body).hexdigest()
    assert fake_openai.journal.billed_requests() == {digest: 2}
    assert "secret" not in repr(fake_openai.journal.records())


def test_a_request_in_flight_has_no_outcome_yet(asker: Asker, fake_openai: FakeOpenAI) -> None:
    fake_openai.behave(Behaviour(play=Play.HANG))

    async def look() -> None:
        async with asker.client() as client:
            call = asyncio.create_task(client.responses.create(**parameters()))
            await asyncio.to_thread(fake_openai.journal.wait_until, lambda counts: counts.in_flight == 1)
            [record] = fake_openai.journal.records()
            assert (record.outcome, record.ended_mono, record.status) == (None, None, None)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(look())


def test_says_what_it_counts_when_a_wait_was_in_vain(fake_openai: FakeOpenAI) -> None:
    with pytest.raises(TimeoutError, match=r"not so after 0\.01 s.*begun=0"):
        fake_openai.journal.wait_until(lambda counts: counts.begun == 1, timeout_seconds=0.01)
