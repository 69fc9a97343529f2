"""`python -m tests.benchmarks.calls.held_lines`: takes requests and never answers, led as the stand-in is.

The stand-in unwinds each request whose client has gone: 500 of them took it longer than a worker takes to
close them, and halts looked half as slow again; a loop of asyncio still took as long as the worker. Here a
closed connection is a number and a time, 0.02 ms after the kernel has it.
"""

from __future__ import annotations

import dataclasses
import json
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

from tests.fakes.openai.server import Counts


@dataclass(slots=True)
class HeldLines:
    """Connections of one listening socket; what each carries is a request, whole or not."""

    listening: socket.socket
    begun: int = 0
    closed_mono: float | None = None
    _open: dict[int, socket.socket] = field(default_factory=dict)
    _asked: set[int] = field(default_factory=set)

    def counts(self) -> Counts:
        return Counts(
            begun=self.begun,
            in_flight=len(self._asked),
            cancelled=self.begun - len(self._asked),
            open_connections=len(self._open),
            last_connection_closed_mono=self.closed_mono,
        )

    def serve(self) -> None:
        with select.epoll() as poll:
            poll.register(self.listening, select.EPOLLIN)
            while True:
                for fd, _ in poll.poll():
                    if fd == self.listening.fileno():
                        connection, _ = self.listening.accept()
                        self._open[connection.fileno()] = connection
                        poll.register(connection, select.EPOLLIN)
                    else:
                        self._hear(fd)

    def _hear(self, fd: int) -> None:
        try:
            heard = self._open[fd].recv(1 << 16)
        except ConnectionError:
            heard = b""
        if heard.startswith(b"GET "):
            # Whether there is the model. It is no call, and would be held until the worker gives it up.
            self._open.pop(fd).close()
        elif not heard:
            self.closed_mono = time.monotonic()
            self._asked.discard(fd)
            self._open.pop(fd).close()
        elif fd not in self._asked:
            self._asked.add(fd)
            self.begun += 1


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        lines = HeldLines(listening)
        threading.Thread(target=lines.serve, daemon=True).start()
        print(json.dumps({"base_url": f"http://127.0.0.1:{listening.getsockname()[1]}/v1"}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(dataclasses.asdict(lines.counts())), flush=True)


if __name__ == "__main__":
    main()
