"""`python -m tests.benchmarks.calls.held_lines`: takes requests and never answers, led as the stand-in is.

The stand-in unwinds each request whose client has gone: 500 of them took it longer than a worker takes to
close them, and halts looked half as slow again. Here a closed connection is a number and a time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import threading
import time

from tests.fakes.openai.server import Counts


class Line(asyncio.Protocol):
    """One connection; what it carries is a request, whole or not."""

    counts = Counts()

    def __init__(self) -> None:
        self.asked = False

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        self.note(open_connections=1)

    def data_received(self, _: bytes) -> None:
        if not self.asked:
            self.asked = True
            self.note(begun=1, in_flight=1)

    def connection_lost(self, _: Exception | None) -> None:
        closed_mono = time.monotonic()
        self.note(open_connections=-1, in_flight=-int(self.asked), cancelled=int(self.asked))
        Line.counts = dataclasses.replace(Line.counts, last_connection_closed_mono=closed_mono)

    def note(self, **changes: int) -> None:
        now = {name: getattr(Line.counts, name) + change for name, change in changes.items()}
        Line.counts = dataclasses.replace(Line.counts, **now)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"base_url": f"http://127.0.0.1:{port}/v1"}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    threading.Thread(target=asyncio.run, args=(serve(),), daemon=True).start()
    for _ in sys.stdin:
        print(json.dumps(dataclasses.asdict(Line.counts)), flush=True)


if __name__ == "__main__":
    main()
