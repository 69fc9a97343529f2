"""Reads ahead in a thread, so that a slow standard input does not hold up the collection of answers."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.client.sources import Item

# With specs of the largest size this is 50 MB of memory.
_AHEAD = 200


@dataclass(slots=True)
class Reader:
    """Hands out what has been read of `items`; an error in reading is raised when its turn comes."""

    items: Iterator[Item]
    _read: queue.Queue[Item | Exception | None] = field(default_factory=lambda: queue.Queue(_AHEAD))
    ended: bool = False

    def start(self) -> None:
        """Begin to read; the thread ends with the process, since nothing can interrupt a read of a pipe."""
        threading.Thread(target=self._run, name="reader", daemon=True).start()

    def take(self, most: int) -> list[Item]:
        """Return what is there now, at most `most`; set `ended` after the last."""
        taken: list[Item] = []
        while len(taken) < most and not self.ended:
            try:
                each = self._read.get_nowait()
            except queue.Empty:
                break
            if isinstance(each, Exception):
                self.ended = True
                raise each
            if each is None:
                self.ended = True
            else:
                taken.append(each)
        return taken

    def _run(self) -> None:
        try:
            for each in self.items:
                self._read.put(each)
        except Exception as error:  # noqa: BLE001 - raised again by `take`, in the thread that can say it
            self._read.put(error)
        self._read.put(None)
