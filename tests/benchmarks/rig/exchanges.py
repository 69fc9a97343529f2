"""A relay before Redis that notes each exchange: what a client sends between two replies.

One that begins while another is under way is in brackets: nobody waits for it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
from collections import Counter
from typing import Self

from worker.adapters.redis.scripts import LuaScript

_COMMAND = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n(?:\$\d+\r\n([^\r]*)\r\n)?")
# They come before a command on its way, and have no reply.
_NO_EXCHANGE = {"CLIENT", "BLMOVE"}


class Relay:
    """Forwards to `port` of this machine inside `with Relay(port) as relay:`, at `relay.port`."""

    def __init__(self, port: int) -> None:
        self.port, self._target = 0, port
        self.exchanges: Counter[str] = Counter()
        self._under_way: set[asyncio.Event] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        answered = asyncio.Event()
        answered.set()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._requests(reader, back, answered), self._replies(there, writer, answered)
            )
        back.close()
        writer.close()

    async def _requests(
        self, client: asyncio.StreamReader, redis: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        while data := await client.read(1 << 20):
            names = [_name(*found) for found in _COMMAND.findall(data)]
            if answered.is_set():
                answered.clear()
                name = " + ".join(each for each in names if each not in _NO_EXCHANGE)
                # A worker without a job waits for one all the while.
                waits = "BLMOVE" in names
                self.exchanges[f"({name})" if self._under_way and not waits else name] += 1
                if not waits:
                    self._under_way.add(answered)
            redis.write(data)
        redis.close()

    async def _replies(
        self, redis: asyncio.StreamReader, client: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        while data := await redis.read(1 << 20):
            answered.set()
            self._under_way.discard(answered)
            client.write(data)
        client.close()


def _name(command: bytes, first: bytes) -> str:
    """Return the step that a command is: of a script its name in the code."""
    if command == b"MGET" and first.endswith(b":kill"):
        return "decide"
    return _scripts().get(first.decode("latin-1"), command.decode().upper())


def _scripts() -> dict[str, str]:
    return {
        each.sha: name.strip("_").lower()
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("worker.adapters")
        for name, each in vars(module).items()
        if isinstance(each, LuaScript)
    }
