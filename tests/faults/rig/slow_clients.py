"""Holds thousands of HTTP connections to one port, in a process of its own; each that is dropped comes again.

By hand: `python -m tests.faults.rig.slow_clients PORT NUMBER MANNER`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import StrEnum

_AGAIN_SECONDS = 1.0
# So many begin at once; a burst of all would only try the kernel's queue of connections.
_AT_ONCE = 200


class Manner(StrEnum):
    """How a client takes its time."""

    DRIP = "drip"  # a byte of its request every second
    DEAF = "deaf"  # asks for /metrics, and never reads
    HEADERS = "headers"  # sends headers without end
    IDLE = "idle"  # has its answer, and stays
    SILENT = "silent"  # says nothing


@contextmanager
def slow_clients(port: int, number: int, manner: Manner) -> Iterator[None]:
    """Keep `number` clients at the port; entered once each has tried to connect."""
    command = [sys.executable, "-m", "tests.faults.rig.slow_clients", str(port), str(number), manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline(), "the slow clients ended"
            yield
        finally:
            process.kill()


async def _pieces(manner: Manner) -> AsyncIterator[bytes]:
    request = b"GET /metrics HTTP/1.1\r\nHost: slow\r\n"
    match manner:
        case Manner.DRIP:
            for each in request * 100:
                yield bytes([each])
                await asyncio.sleep(1)
        case Manner.HEADERS:
            yield request
            while True:
                yield b"X-Header: " + b"x" * 1000 + b"\r\n"
                await asyncio.sleep(0.01)
        case Manner.DEAF | Manner.IDLE:
            yield request + b"Connection: keep-alive\r\n\r\n"


async def _client(port: int, manner: Manner, starting: asyncio.Semaphore) -> AsyncIterator[None]:
    """Come once, and yield when the connection stands or has failed."""
    try:
        async with starting, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    except (OSError, TimeoutError):
        yield
        return
    yield
    try:
        if manner is Manner.DEAF:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed as one that only writes
        async for piece in _pieces(manner):
            writer.write(piece)
            await writer.drain()
        if manner is Manner.DEAF:
            # Who does not read never learns that the server has had enough.
            await asyncio.Event().wait()
        while await reader.read(1024):
            pass
    except OSError:
        pass
    finally:
        writer.transport.abort()


async def _hold(port: int, number: int, manner: Manner) -> None:
    starting = asyncio.Semaphore(_AT_ONCE)
    tried, all_tried = 0, asyncio.Event()

    async def again_and_again() -> None:
        nonlocal tried
        async for _ in _client(port, manner, starting):
            tried += 1
            if tried == number:
                all_tried.set()
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            async for _ in _client(port, manner, starting):
                pass

    async with asyncio.TaskGroup() as clients:
        for _ in range(number):
            clients.create_task(again_and_again())
        await all_tried.wait()
        print("all", flush=True)


if __name__ == "__main__":
    asyncio.run(_hold(int(sys.argv[1]), int(sys.argv[2]), Manner(sys.argv[3])))
