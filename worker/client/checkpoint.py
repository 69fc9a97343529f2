"""Where an interrupted `slotgen enqueue` stopped, and from where it continues: a small file."""

import hashlib
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from worker.client.sources import Item

_VERSION = "enqueue.v1"


class BadCheckpoint(Exception):  # noqa: N818 - says what is the matter
    """The file is not a checkpoint, or its input has changed since; the text says which, and what to do."""


@dataclass(slots=True)
class Waiting:
    """A spec that was sent, and whose answer has not been passed on yet."""

    source: str
    number: int
    task_id: str


@dataclass(slots=True)
class Checkpoint:
    """What was done in `folder` for `inputs`: `position` items taken, those in `waiting` not answered yet.

    `queue` names the queue and its Redis, `terms` are the options of the run, `again` is the file of answers
    by which it chooses its jobs, if it does. `counts` has sent and refused specs, specs without an answer,
    and outcomes as `STUB KILL_SWITCH`.
    """

    folder: str
    inputs: list[str]
    wait: bool
    queue: str = ""
    again: str = ""
    terms: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    # Whether the waiting specs were sent longer ago than results are kept.
    stale: bool = False
    _expected: str = ""
    # None until the items before `position` have been seen again.
    _hash: Any = None

    def advance(self, item: Item) -> None:
        """Note that `item` is dealt with: sent, or refused."""
        self.position += 1
        self._hash.update(item.text + b"\n")

    def remaining(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield what is left of `items`. Raises BadCheckpoint if the earlier ones have changed."""
        position, seen = self.position, hashlib.sha256()
        before = 0
        for item in itertools.islice(items, position):
            before += 1
            seen.update(item.text + b"\n")
        how = f"it had {position} specs, and now has {before}" if before < position else ""
        if not how and position and seen.hexdigest() != self._expected:
            how = "what was sent already is not what is there now"
        if how:
            raise BadCheckpoint(
                f"the input has changed since: {how}; "
                "restore it, or start again from the beginning (what was paid for is not paid for again)"
            )
        self._hash = seen
        yield from items

    def write(self, path: Path) -> None:
        """Write it as JSON; an existing file is replaced whole or left as it is. Raises OSError."""
        document = {
            "version": _VERSION,
            "folder": self.folder,
            "inputs": self.inputs,
            "wait": self.wait,
            "queue": self.queue,
            "again": self.again,
            "terms": self.terms,
            "written": int(time.time()),
            "position": self.position,
            "sha256": self._hash.hexdigest() if self._hash else self._expected,
            "waiting": [[each.source, each.number, each.task_id] for each in self.waiting],
            "counts": self.counts,
        }
        beside = path.with_name(f"{path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def read(cls, path: Path, result_ttl_seconds: int) -> Self:
        """Return the checkpoint in the file `path`; results live `result_ttl_seconds`.

        Raises BadCheckpoint.
        """
        try:
            document = json.loads(path.read_bytes())
            if document["version"] != _VERSION:
                raise BadCheckpoint(f"{path}: has version {document['version']!r}, not {_VERSION!r}")
            return cls(
                folder=str(document["folder"]),
                inputs=[str(each) for each in document["inputs"]],
                wait=bool(document["wait"]),
                queue=str(document["queue"]),
                again=str(document["again"]),
                terms=dict(document["terms"]),
                stale=time.time() - float(document["written"]) > result_ttl_seconds,
                position=int(document["position"]),
                waiting=[Waiting(*each) for each in document["waiting"]],
                counts=Counter(document["counts"]),
                _expected=document["sha256"],
            )
        except OSError as error:
            raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError):
            raise BadCheckpoint(f"{path}: is not a file that `slotgen enqueue` left") from None
