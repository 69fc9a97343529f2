"""What one process has taken off the queue and not finished yet."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# A request on a broken connection may reach Redis minutes later, once the network or Redis is back.
_DOUBTFUL_LOOKS = 100
# All specs that one process holds, parsed; 200 small ones have half a megabyte.
MOST_MEMORY_BYTES = 160_000_000
# As a Python object a byte of a message takes at most so many.
_WORST = 64


@dataclass(slots=True)
class InHand:
    """The messages in the hands of the worker `worker_id`: the spec of each, by its delivery tag.

    A tag names the worker, so that the others know what it held if it dies. `doubtful_looks` is how many more
    times to look for messages that are held for this worker without its knowing.
    """

    worker_id: str
    specs: dict[str, Any] = field(default_factory=dict)
    doubtful_looks: int = 0
    _memory: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def prefix(self) -> str:
        """The prefix of its tags."""
        return f"{self.worker_id}:"

    def take(self, tag: str, spec: Any, body: bytes) -> None:
        """Take note of a message, given the JSON that its spec was parsed from."""
        self._memory[tag] = _parsed_bytes(body)
        self.specs[tag] = spec

    def forget(self, tag: str) -> None:
        """Take note that the message has ended, or is back on the queue."""
        self.specs.pop(tag, None)
        self._memory.pop(tag, None)

    @property
    def room_bytes(self) -> int:
        """How many bytes of messages fit into the memory that is left, whatever is in them."""
        return (MOST_MEMORY_BYTES - sum(list(self._memory.values()))) // _WORST

    def next_tags(self) -> str:
        """Return the prefix for as many new tags as one script gives out."""
        return f"{self.prefix}{next(self._numbers)}."

    def doubt(self) -> None:
        """Note that Redis may have given this worker messages that it does not know of."""
        self.doubtful_looks = _DOUBTFUL_LOOKS


def _parsed_bytes(text: bytes) -> int:
    """Return about how much memory JSON takes as Python objects, at the most.

    A character takes four bytes if any of its string does, an item of a list forty, an object two hundred.
    """
    return 4 * len(text) + 40 * text.count(b",") + 70 * text.count(b"[") + 200 * text.count(b"{")
