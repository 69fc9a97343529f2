"""Judges answers, long ones in a separate thread, so that no halt and no other job waits for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from schemas import OutputType
from tasks.generate.acceptance import accept, acceptable
from tasks.ports import ModelAnswer

T = TypeVar("T")
# The slowest text takes 2 µs a character, so none holds up the loop for much longer than 10 ms.
_LONG_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides whether answers may become content; lives on one event loop.

    It judges one at a time, so the loop gets its turn after at most one other (5 ms).
    """

    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def accept(self, output: OutputType, answer: ModelAnswer) -> Any:
        """Return the value of `output`'s type that `answer` carries. Raises Failed, as `acceptance` does."""
        return await self._judged(len(answer.text or ""), accept, output, answer)

    async def acceptable(self, output: OutputType, value: Any, size_bytes: int) -> bool:
        """Whether a stored `value` of this many bytes of JSON may be content."""
        return await self._judged(size_bytes, acceptable, output, value)

    async def _judged(self, size: int, judge: Callable[..., T], *what: Any) -> T:
        if size <= _LONG_BYTES:
            return judge(*what)
        async with self._turn:
            return await asyncio.to_thread(judge, *what)
