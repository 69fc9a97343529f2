"""`python -m tests.benchmarks.calls.bare_requests NUMBER`: the yardstick of a halt, plain asyncio requests.

Prints "ready", then takes words from stdin: `begin` sends NUMBER requests at once to OPENAI_BASE_URL, the
ones of a worker, through one aiohttp session; `cancel` cancels them all, as asyncio does it.
"""

from __future__ import annotations

import asyncio
import os
import sys

import aiohttp

from tests.benchmarks.calls.sdk import request
from worker.adapters.openai.model import _parameters


async def serve(number: int) -> None:
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    url, headers = f"{os.environ['OPENAI_BASE_URL']}/responses", {"Authorization": "Bearer stand-in"}
    bodies = [_parameters(request(each)) for each in range(number)]
    pending: list[asyncio.Task[None]] = []
    # Nothing may end by itself, and no connection may wait for another.
    options = {"connector": aiohttp.TCPConnector(limit=0), "timeout": aiohttp.ClientTimeout(None)}
    async with aiohttp.ClientSession(headers=headers, **options) as session:

        async def call(body: dict[str, object]) -> None:
            async with session.post(url, json=body) as response:
                await response.read()

        print("ready", flush=True)
        while word := (await words.readline()).strip():
            if word == b"begin":
                pending = [asyncio.create_task(call(body)) for body in bodies]
            else:
                for each in pending:
                    each.cancel()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
