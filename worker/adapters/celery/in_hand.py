"""What one process has taken off the queue and not ended yet."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# A request of a broken connection may reach Redis minutes later, once the network or Redis itself is back.
_DOUBTFUL_LOOKS = 100


@dataclass(slots=True)
class InHand:
    """The messages in the hands of the worker `worker_id`: the spec of each, by its delivery tag.

    A tag names the worker, so that the others know what it held when it dies. `doubtful_looks` is how many
    more times it is worth looking for messages that are held for this worker, and that it knows nothing of.
    """

    worker_id: str
    specs: dict[str, Any] = field(default_factory=dict)
    doubtful_looks: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def prefix(self) -> str:
        """What its tags begin with."""
        return f"{self.worker_id}:"

    def next_tags(self) -> str:
        """Return the beginning of as many new tags as one script gives out."""
        return f"{self.prefix}{next(self._numbers)}."

    def doubt(self) -> None:
        """Redis may have given this worker what it knows nothing of."""
        self.doubtful_looks = _DOUBTFUL_LOOKS
