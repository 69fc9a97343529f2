"""`python -m tests.benchmarks.sdk loop|async NUMBER CONCURRENCY`: the bare OpenAI SDK, as JSON.

It makes the request that a worker makes, to OPENAI_BASE_URL. `loop` calls the sync client one after another,
`async` the async one, CONCURRENCY at a time. Prints the CPU and the seconds of the calls alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import openai

from schemas import output_type
from tasks import executor_config
from tasks.prompting import Prompts, build_request
from tasks.spec import Spec
from tests.builders import a_job, a_spec

WARM_UP = 10


def request(number: int) -> dict[str, Any]:
    config = executor_config.load(None)
    job = Spec.of(a_spec(a_job(f"job-{number}", input={"topic": number}))).jobs[0]
    output = output_type(job.output_type)
    asked = build_request(job, output, Prompts.load(config.prompts), config)
    form = {"type": "json_schema", "name": asked.output_name, "schema": asked.wire_schema, "strict": True}
    return {
        "model": asked.model,
        "instructions": asked.instructions,
        "input": asked.input_text,
        "text": {"format": form},
        "max_output_tokens": asked.max_output_tokens,
        "store": False,
        "timeout": 60,
    }


def loop(requests: list[dict[str, Any]]) -> tuple[float, float]:
    client = openai.OpenAI(max_retries=0)
    for each in requests[:WARM_UP]:
        client.responses.create(**each)
    began_cpu, began = time.process_time(), time.monotonic()
    for each in requests[WARM_UP:]:
        client.responses.create(**each)
    return time.process_time() - began_cpu, time.monotonic() - began


async def concurrently(requests: list[dict[str, Any]], concurrency: int) -> tuple[float, float]:
    client = openai.AsyncOpenAI(max_retries=0)
    slots = asyncio.Semaphore(concurrency)

    async def call(each: dict[str, Any]) -> None:
        async with slots:
            await client.responses.create(**each)

    began_cpu, began = time.process_time(), time.monotonic()
    await asyncio.gather(*(call(each) for each in requests))
    return time.process_time() - began_cpu, time.monotonic() - began


def main() -> None:
    kind, number, concurrency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests = [request(each) for each in range(number + (WARM_UP if kind == "loop" else 0))]
    cpu, seconds = loop(requests) if kind == "loop" else asyncio.run(concurrently(requests, concurrency))
    print(json.dumps({"cpu_seconds": cpu, "seconds": seconds}))


if __name__ == "__main__":
    main()
