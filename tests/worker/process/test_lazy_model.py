"""Opens its client beside the work: what needs a model waits, the loop does not, and a failure is told."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from tests.fakes import clock
from tests.fakes.openai.server import FakeOpenAI
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.openai.model import OpenAIModel, open_client
from worker.process.lazy_model import LazyModel

WAIT_SECONDS = 10


class Opening:
    """Opens a real client of a stand-in, once `let_go` is set; `failures` are raised first."""

    def __init__(self, base_url: str = "http://127.0.0.1:1/v1") -> None:
        self.base_url = base_url
        self.failures: list[Exception] = []
        self.begun = 0
        self.has_begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self) -> OpenAIModel:
        self.begun += 1
        self.has_begun.set()
        assert self.let_go.wait(WAIT_SECONDS)
        if self.failures:
            raise self.failures.pop(0)
        return OpenAIModel(open_client("key", self.base_url, 10), lambda *_: None, lambda _: None)


def play(scene, opening):
    """Run `scene(model)` on a loop whose clock stands still while the client is being opened."""

    async def run():
        model = LazyModel(asyncio.get_running_loop(), opening)
        try:
            return await scene(model)
        finally:
            opening.let_go.set()
            await model.close()

    return clock.run(run())


def test_requests_that_come_before_the_client_wait_for_the_one_opening_and_are_answered():
    async def scene(model):
        requests = [asyncio.create_task(model.respond(a_request())) for _ in range(5)]
        await asyncio.to_thread(opening.has_begun.wait, WAIT_SECONDS)  # the loop goes on meanwhile
        waiting = [each.done() for each in requests]
        opening.let_go.set()
        return waiting, await asyncio.gather(*requests)

    with FakeOpenAI() as fake_openai:
        opening = Opening(fake_openai.base_url)
        waiting, answers = play(scene, opening)

    assert waiting == [False] * 5
    assert all(each.text for each in answers)
    assert opening.begun == 1


def test_opens_by_itself_when_no_job_asks():
    async def scene(model):
        await asyncio.to_thread(model.open_soon, 10)
        await asyncio.sleep(9)
        before = opening.begun
        await asyncio.sleep(2)
        return before, opening.begun

    opening = Opening()
    opening.let_go.set()

    assert play(scene, opening) == (0, 1)


def test_a_job_that_needs_it_sooner_does_not_wait_for_the_appointed_time():
    async def scene(model):
        model.open_soon(10)
        await model.ready()
        soon, opened_mono = opening.begun, clock.now_mono()
        await asyncio.sleep(20)
        return soon, opened_mono, opening.begun

    opening = Opening()
    opening.let_go.set()

    assert play(scene, opening) == (1, 0, 1)


def test_a_halt_before_there_is_a_client_ends_who_waits_and_leaves_the_opening_to_the_others():
    async def scene(model):
        halted = asyncio.create_task(model.ready())
        other = asyncio.create_task(model.ready())
        await asyncio.to_thread(opening.has_begun.wait, WAIT_SECONDS)
        model.abort_connections()
        halted.cancel()
        await asyncio.gather(halted, return_exceptions=True)
        opening.let_go.set()
        await other
        return halted.cancelled()

    opening = Opening()

    assert play(scene, opening) is True
    assert opening.begun == 1


def test_a_client_that_cannot_be_opened_is_told_to_all_who_wait_and_tried_again_by_the_next(caplog):
    async def scene(model):
        opening.let_go.set()
        both = await asyncio.gather(model.ready(), model.ready(), return_exceptions=True)
        await model.ready()
        return both

    opening = Opening()
    opening.failures = [ImportError("no such SDK")]
    with caplog.at_level(logging.ERROR, "slotgen.worker"):
        both = play(scene, opening)

    assert [type(each) for each in both] == [ImportError, ImportError]
    assert opening.begun == 2
    assert [record.msg for record in caplog.records] == ["model_not_opened"]


def test_a_failure_that_nobody_waits_for_is_told_once_and_the_next_job_tries_again(caplog):
    async def scene(model):
        opening.let_go.set()
        model.open_soon(0)
        await clock.idle()
        await model.ready()

    opening = Opening()
    opening.failures = [ImportError("no such SDK")]
    with caplog.at_level(logging.ERROR):
        play(scene, opening)

    assert [(record.name, record.msg) for record in caplog.records] == [
        ("slotgen.worker", "model_not_opened")
    ]


@pytest.mark.parametrize("is_open", [True, False])
def test_closes_what_there_is(is_open):
    async def scene(model):
        opening.let_go.set()
        if is_open:
            await model.ready()
        await model.close()
        return model._model.client.is_closed() if model._model else None

    opening = Opening()

    assert play(scene, opening) is (True if is_open else None)
