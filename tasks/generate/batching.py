"""Answers requests made on one event loop at the same moment in one batch; each caller gets its own reply."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(slots=True)
class Batcher(Generic[Request, Reply]):
    """One batch, of at most `most()` requests, is under way at a time, so the next one grows with the load.

    `answer(requests)` returns a reply or an exception for each, in order; what it raises goes to every
    caller. Requests are passed on in the order in which they came.
    """

    answer: Callable[[list[Request]], Awaitable[Sequence[Reply | Exception]]]
    most: Callable[[], int]
    _waiting: list[tuple[Request, asyncio.Future[Reply]]] = field(default_factory=list)
    _under_way: list[tuple[Request, asyncio.Future[Reply]]] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    def submit(self, request: Request) -> asyncio.Future[Reply]:
        """Return a future of the reply; cancelling it does not take the request back."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, reply))
        if self._task is None:
            self._task = asyncio.create_task(self._answer_all())
            self._task.add_done_callback(self._forsake)
        return reply

    async def _answer_all(self) -> None:
        while self._waiting:
            most = self.most()
            self._under_way, self._waiting = self._waiting[:most], self._waiting[most:]
            replies: Sequence[Reply | Exception]
            try:
                replies = await self.answer([request for request, _ in self._under_way])
            except Exception as error:  # noqa: BLE001 - it is each asker's, who knows which ones it expects
                replies = [error] * len(self._under_way)
            for (_, reply), said in zip(self._under_way, replies, strict=True):
                if reply.done():
                    continue  # its caller was cancelled meanwhile
                if isinstance(said, Exception):
                    reply.set_exception(said)
                else:
                    reply.set_result(said)
        self._under_way, self._task = [], None

    def _forsake(self, task: asyncio.Task[None]) -> None:
        """Cancel all waiting callers when the answering was cancelled (as when the loop ends) or broke."""
        if task.cancelled() or task.exception():
            forsaken = [*self._under_way, *self._waiting]
            self._under_way, self._waiting, self._task = [], [], None
            for _, reply in forsaken:
                reply.cancel()
