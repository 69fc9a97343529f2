"""The real SDK, to ask a stand-in with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import openai

from tests.fakes.openai.server import Behaviour
from worker.dev.fake_openai.server import LoopbackServer

AnyFake = TypeVar("AnyFake", bound=LoopbackServer)
WIRE = {
    "type": "object",
    "properties": {"value": {"type": "string"}},
    "required": ["value"],
    "additionalProperties": False,
}


def text_format(schema: dict[str, Any] = WIRE) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "text", "schema": schema, "strict": True}}


@dataclass(frozen=True)
class Asker:
    """Asks the stand-in through openai's own client, without its retries."""

    fake_openai: LoopbackServer

    @asynccontextmanager
    async def client(
        self, *, api_key: str = "any", connections: int = 100
    ) -> AsyncIterator[openai.AsyncOpenAI]:
        limits = httpx2.Limits(max_connections=connections)
        async with openai.AsyncOpenAI(
            api_key=api_key,
            base_url=self.fake_openai.base_url,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(limits=limits),
        ) as client:
            yield client

    def ask(self, behaviour: Behaviour | None = None, *, api_key: str = "any", **changes: Any) -> Any:
        """Send one request and return what the SDK returns."""
        if behaviour:
            self.fake_openai.play_next(behaviour)

        async def once() -> Any:
            async with self.client(api_key=api_key) as client:
                return await client.responses.create(**(parameters() | changes))

        return asyncio.run(once())


def parameters() -> dict[str, Any]:
    return {
        "model": "gpt-6-luna",
        "instructions": "Write for a student.",
        "input": '<<<JOB_DATA\n{"appliesTo": {"subject": "Biology", "topic": "Cell division"}}\nJOB_DATA>>>',
        "text": text_format(),
        "max_output_tokens": 4096,
        "store": False,
    }


@asynccontextmanager
async def served_here(fake_openai: AnyFake) -> AsyncIterator[AnyFake]:
    """Serve it on the running loop, so that its waits are by that loop's clock."""
    serving = Future()
    served = asyncio.create_task(fake_openai._serve(serving))
    await asyncio.wrap_future(serving)
    yield fake_openai
    fake_openai._stop_asked.set()
    await served
