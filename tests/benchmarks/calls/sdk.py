"""`python -m tests.benchmarks.calls.sdk loop|async|adapter NUMBER CONCURRENCY`: model calls without a worker.

They go to OPENAI_BASE_URL with the request that a worker makes. `loop` calls the plain SDK's sync client, one
call after another; `async` its async client on one event loop, CONCURRENCY calls at a time; `adapter` does
that with the worker's own OpenAIModel. It prints "ready" once it is warm, waits for a line on stdin, so that
several begin together, and prints the CPU and the seconds of the calls alone as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import openai

from schemas import output_type
from tasks import executor_config
from tasks.generate.prompting import Prompts, build_request
from tasks.generate.spec import Spec
from tasks.ports import ModelRequest
from tests.benchmarks.rig.workers import memory_mb
from tests.builders import a_job, a_spec
from worker.adapters.openai.model import OpenAIModel, _parameters, open_client

WARM_UP = 10


def request(number: int) -> ModelRequest:
    """Return what the worker asks for a job of that number."""
    config = executor_config.load(None)
    job = Spec.of(a_spec(a_job(f"job-{number}", input={"topic": number}))).jobs[0]
    return build_request(job, output_type(job.output_type), Prompts.load(config.prompts), config)


def plainly(asked: ModelRequest) -> dict[str, Any]:
    """Return the same in the words of `responses.create`."""
    return _parameters(asked) | {"timeout": asked.timeout_seconds}


def loop(requests: list[ModelRequest]) -> None:
    client = openai.OpenAI(max_retries=0)
    asked = list(map(plainly, requests))
    for each in asked[:WARM_UP]:
        client.responses.create(**each)
    with measured():
        for each in asked[WARM_UP:]:
            client.responses.create(**each)


async def plain(requests: list[ModelRequest], concurrency: int) -> None:
    asked = list(map(plainly, requests))
    async with openai.AsyncOpenAI(max_retries=0) as client:
        await concurrently(lambda each: client.responses.create(**each), asked, concurrency)


async def adapter(requests: list[ModelRequest], concurrency: int) -> None:
    async with open_client("stand-in", None, concurrency) as client:
        model = OpenAIModel(client, lambda *_: None, lambda _: None)
        await concurrently(model.respond, requests, concurrency)


async def concurrently(call: Callable[[Any], Awaitable[object]], requests: list[Any], most: int) -> None:
    slots = asyncio.Semaphore(most)

    async def one(each: Any) -> None:
        async with slots:
            await call(each)

    await asyncio.gather(*map(one, requests[:WARM_UP]))
    with measured():
        await asyncio.gather(*map(one, requests[WARM_UP:]))


class measured:  # noqa: N801 - reads as what it does
    """Waits for the sign to begin, and prints what the block took."""

    def __enter__(self) -> None:
        print("ready", flush=True)
        sys.stdin.readline()
        self.began = time.process_time(), time.monotonic()

    def __exit__(self, *_: object) -> None:
        cpu, mono = self.began
        took = {"cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - mono}
        print(json.dumps(took | {"memory_mb": memory_mb(os.getpid())}), flush=True)


def main() -> None:
    kind, number, concurrency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests = [request(each) for each in range(number + WARM_UP)]
    if kind == "loop":
        loop(requests)
    else:
        asyncio.run({"async": plain, "adapter": adapter}[kind](requests, concurrency))


if __name__ == "__main__":
    main()
