"""Sends any number of specs while keeping the queue short and memory flat, and passes answers on in order."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from schemas import UnacceptableJson, parse_json
from tasks.delivery import Delivery
from tasks.errors import InvalidMessage, StoreUnavailable
from worker.client.checkpoint import Checkpoint, Waiting
from worker.client.producer import AnswerLate, Producer, Sent
from worker.client.reader import Reader
from worker.client.results import TaskResult
from worker.client.sources import MAX_DOCUMENT_BYTES, Item

# One LPUSH takes this many; one look at the results covers the whole window.
_BATCH = 100
_FIRST_PAUSE_SECONDS = 0.02
_LAST_PAUSE_SECONDS = 0.25
# A restarted Redis is back by then; after that the run ends, and can be resumed.
_PATIENCE_SECONDS = 30.0
_LONG_AGO = float("-inf")


class Listener(Protocol):
    """Hears what happens, in the order of the input."""

    def sent(self, item: Item, sent: Sent) -> None:
        """Hear that a spec was sent, in a run that does not wait."""
        ...

    def delivered(self, delivery: Delivery) -> None:
        """Hear one job's answer."""
        ...

    def failed(self, place: str, task_id: str | None, problem: str) -> None:
        """Hear that the spec at `place` was not sent (no task id), or will get no answer here."""
        ...

    def looked(self, queue_depth: int, problem: str) -> None:
        """Hear, several times a second, how long the queue is, and what is in the way."""
        ...


class RefusedSpec(Exception):  # noqa: N818 - says what happened
    """A strict run met an invalid spec; those before it were sent."""


@dataclass(frozen=True, slots=True)
class FlowControl:
    """`window`: specs sent and not yet passed on; `max_queue`: messages on the queue before sending pauses.

    `timeout_seconds`: how long one spec may take, None for any time. `strict`: an invalid spec ends the run.
    """

    window: int = 1000
    max_queue: int = 10_000
    timeout_seconds: float | None = None
    strict: bool = False


@dataclass(slots=True)
class _Awaited:
    sent: Waiting
    since_mono: float
    result: TaskResult | None = None


@dataclass(slots=True)
class BulkSender:
    """One run. `interruptible` is entered only where an interruption leaves nothing half done.

    `sleep` and `mono` are the clock by which it waits.
    """

    producer: Producer
    reader: Reader
    checkpoint: Checkpoint
    listener: Listener
    flow: FlowControl
    interruptible: Callable[[], AbstractContextManager[None]]
    sleep: Callable[[float], None] = time.sleep
    mono: Callable[[], float] = time.monotonic
    _awaited: deque[_Awaited] = field(default_factory=deque)
    _outgoing: list[tuple[Item, Sent | str]] = field(default_factory=list)
    _depth: int = 0
    _looked_mono: float = _LONG_AGO
    _trouble_since_mono: float | None = None
    _answered_once: bool = False
    _stopped_by: str = ""

    def run(self) -> None:
        """Send everything, and pass every answer on if the checkpoint waits for them.

        However it ends, the checkpoint says what was done.

        Raises:
            BadCheckpoint: the input is not what it was.
            BadSource: an input cannot be read.
            RefusedSpec: a spec is invalid, and the run strict.
            StoreUnavailable: Redis has not answered for half a minute.

        """
        since, pause = _LONG_AGO if self.checkpoint.stale else self.mono(), _FIRST_PAUSE_SECONDS
        self._awaited.extend(_Awaited(each, since) for each in self.checkpoint.waiting)
        try:
            while not self._done:
                moved = self._step()
                pause = _FIRST_PAUSE_SECONDS if moved else min(pause * 1.5, _LAST_PAUSE_SECONDS)
                with self.interruptible():
                    # At full speed, just let the reader's thread or an interruption have a turn.
                    self.sleep(0 if moved and not self.checkpoint.wait else pause)
        finally:
            self.checkpoint.waiting = [each.sent for each in self._awaited]
        if self._stopped_by:
            raise RefusedSpec(self._stopped_by)

    @property
    def _done(self) -> bool:
        nothing_comes = self.reader.ended or bool(self._stopped_by)
        return nothing_comes and not self._outgoing and not self._awaited

    def _step(self) -> bool:
        now, full = self.mono(), ""
        try:
            moved = self._feed()
            moved |= self._collect()
        except StoreUnavailable as error:
            self._trouble_since_mono = self._trouble_since_mono or now
            # If it has never answered, the address is more likely wrong.
            if not self._answered_once or now - self._trouble_since_mono > _PATIENCE_SECONDS:
                raise
            self.listener.looked(self._depth, f"{error}; trying again")
            return False
        self._trouble_since_mono, self._answered_once = None, True
        if self._depth >= self.flow.max_queue:
            full = f"the queue has {self._depth:,} messages; waiting for room"
        self.listener.looked(self._depth, full)
        return moved

    def _feed(self) -> bool:
        if self.mono() - self._looked_mono > _LAST_PAUSE_SECONDS:
            self._depth, self._looked_mono = self.producer.queue_depth(), self.mono()
        if self._depth >= self.flow.max_queue:
            return False
        window = self.flow.window - len(self._awaited) if self.checkpoint.wait else _BATCH
        room = min(window, _BATCH, self.flow.max_queue - self._depth)
        if not self._outgoing and not self._stopped_by:
            self._outgoing = [(item, self._prepared(item)) for item in self.reader.take(room)]
            self._heed_strictness()
        if not self._outgoing:
            return False
        # A push whose reply was lost is repeated with the same task ids, so there is still one answer each.
        self._depth = self.producer.push([sent for _, sent in self._outgoing if isinstance(sent, Sent)])
        outgoing, self._outgoing = self._outgoing, []
        for item, sent in outgoing:
            self._note(item, sent)
        return True

    def _prepared(self, item: Item) -> Sent | str:
        if item.problem:
            return item.problem
        try:
            return self.producer.prepare(parse_json(item.text, max_bytes=MAX_DOCUMENT_BYTES))
        except UnacceptableJson as refusal:
            return f"the spec {refusal}"
        except InvalidMessage as invalid:
            return str(invalid)

    def _heed_strictness(self) -> None:
        for index, (item, sent) in enumerate(self._outgoing):
            if self.flow.strict and isinstance(sent, str):
                self._stopped_by = f"{item}: {sent}"
                self._outgoing = self._outgoing[:index]
                return

    def _note(self, item: Item, sent: Sent | str) -> None:
        self.checkpoint.advance(item)
        if isinstance(sent, str):
            self.checkpoint.counts["refused"] += 1
            self.listener.failed(str(item), None, sent)
            return
        self.checkpoint.counts["sent"] += 1
        if self.checkpoint.wait:
            waiting = Waiting(item.source, item.number, sent.task_id)
            self._awaited.append(_Awaited(waiting, self.mono()))
        else:
            self.listener.sent(item, sent)

    def _collect(self) -> bool:
        open_ = {each.sent.task_id: each for each in self._awaited if not each.result}
        results = self.producer.results(list(open_)) if open_ else []
        for each in results:
            open_.pop(each.task_id).result = each
        for task_id, awaited in open_.items():
            if late := self._late(awaited):
                awaited.result = TaskResult(task_id, error=AnswerLate(late))
        handed_on = False
        while self._awaited and (result := self._awaited[0].result):
            # Removed only once it is passed on: if the listener fails, it is left for the next run.
            self._hand_on(self._awaited[0].sent, result)
            self._awaited.popleft()
            handed_on = True
        return handed_on or bool(results)

    def _late(self, awaited: _Awaited) -> str:
        if awaited.since_mono == _LONG_AGO:
            return "its answer is gone, since results are kept for a day; send it again"
        longest = self.flow.timeout_seconds
        overdue = longest is not None and self.mono() - awaited.since_mono > longest
        return f"no answer in {longest:g} s" if overdue else ""

    def _hand_on(self, sent: Waiting, result: TaskResult) -> None:
        if result.error:
            self.checkpoint.counts["unanswered"] += 1
            self.listener.failed(f"{sent.source}:{sent.number}", sent.task_id, str(result.error))
            return
        for delivery in result.deliveries:
            self.listener.delivered(delivery)
        self.checkpoint.counts.update(
            f"{each.status} {each.error_code}" if each.error_code else str(each.status)
            for each in result.deliveries
        )
        self.checkpoint.counts["answered"] += 1
