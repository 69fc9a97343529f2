"""Reserves a loopback port for a server that will be started or restarted."""

import socket
import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class ReservedPort:
    """A TCP port of 127.0.0.1, `wanted` if it is free, reserved until `release` or the end of this process.

    On Linux it stays reserved while no server runs on it. A server that sets SO_REUSEADDR, as all of ours do,
    can still listen there, since this socket does not listen; but the kernel gives the port to no other
    process, neither for bind(0) nor as a connection's own end. On other systems it is only known to have been
    free.
    """

    wanted: int = 0
    number: int = field(init=False)
    _holder: socket.socket = field(init=False, default_factory=socket.socket)

    def __post_init__(self) -> None:
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._holder.bind(("127.0.0.1", self.wanted))
        except OSError:
            self._holder.bind(("127.0.0.1", 0))
        self.number = self._holder.getsockname()[1]
        if sys.platform != "linux":
            self.release()

    def release(self) -> None:
        """Let the kernel give the port to other processes again."""
        self._holder.close()
