"""A TCP proxy on loopback that can turn into a black hole, or cut every connection, and heal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

_CONTROL_SECONDS = 5


class TcpProxy:
    """Forwards to `port` of this machine inside `with TcpProxy(port) as proxy:`, at `proxy.port`."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._passing = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._fatal: list[bytes] = []
        self._unheard: list[bytes] = []
        self.replies_lost = 0
        self.requests_lost = 0

    def lose_reply_to(self, *words: str) -> None:
        """Let the next request with all `words` in it through, and reset its connection before the reply."""
        self._fatal = [word.encode() for word in words]

    def lose_request(self, *words: str) -> None:
        """Let the next request with all `words` in it not through, and reset its connection."""
        self._unheard = [word.encode() for word in words]

    def black_hole(self) -> None:
        """Keep every connection open and accept new ones, but let nothing through, in either direction."""
        self._run(self._hold())

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._run(self._cut())

    def heal(self) -> None:
        """Accept and forward again; what the black hole held back arrives late, as after a partition."""
        self._run(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._cut())
        self._run(self._await_ends())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_CONTROL_SECONDS)

    async def _listen(self) -> None:
        self._passing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _hold(self) -> None:
        self._passing.clear()

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in self._open:
            _reset(each)

    async def _await_ends(self) -> None:
        self._passing.set()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        await self._passing.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            await self._close(writer)
            return
        self._open.add(back)
        lost = asyncio.Event()
        await asyncio.gather(self._requests(reader, back, writer, lost), self._replies(there, writer, lost))

    async def _requests(
        self,
        client: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        lost: asyncio.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await self._passed(client):
                if self._unheard and all(word in data for word in self._unheard):
                    self._unheard = []
                    self.requests_lost += 1
                    _reset(back)
                    break
                if self._fatal and all(word in data for word in self._fatal):
                    self._fatal = []
                    lost.set()
                server.write(data)
                await server.drain()
        await self._close(server)

    async def _replies(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await self._passed(server):
                if lost.is_set():
                    self.replies_lost += 1
                    _reset(client)
                    break
                client.write(data)
                await client.drain()
        await self._close(client)

    async def _passed(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(65536)
        finally:
            # The end of a connection is news as well: a black hole does not let it through.
            await self._passing.wait()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    # A linger of 0 seconds makes it a RST; a plain close would say goodbye in order.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
