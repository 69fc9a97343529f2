"""Reads what the page shows, once for all who ask at the same time, and within a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis

from tasks.errors import StoreUnavailable
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.money import Account
from tasks.operations.overview import Overview
from telemetry.pages import Shared
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.overview import read_overview
from worker.adapters.redis.jobs.history import RedisHistory
from worker.settings.settings import Settings

# Whatever the role by which it came: a page needs no content, and no names of keys.
_ROLE = "web"
_SINCE_SECONDS = 3600
MOST_OUTCOMES = 10_000
_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Status:
    """The fleet and its account at one moment; `problem` says why there is no account."""

    overview: Overview
    account: Account | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There is nothing to show, because of `problem`, a sentence."""

    problem: str


class StatusReader:
    """Calls `read` in threads of its own: however long it takes, who asks has an answer within `seconds`."""

    def __init__(self, read: Callable[[], Status | Unreadable], seconds: float = _SECONDS) -> None:
        self._read, self._seconds = Shared(read), seconds
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="status")

    async def __call__(self) -> Status | Unreadable:
        """Return what was read after this call."""
        reading = asyncio.get_running_loop().run_in_executor(self._threads, self._read)
        try:
            return await asyncio.wait_for(reading, self._seconds)
        except TimeoutError:
            return Unreadable(f"Redis has not answered within {self._seconds:g} s")

    def close(self) -> None:
        """Begin no more reads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class StatusSource:
    """Reads what can be read now, however long that takes; not for two threads at once.

    The outcomes of the hour it keeps, and asks for those alone that came since.
    """

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._history = RedisHistory(client, settings.namespace)
        self._past: list[OutcomeRecord] = []

    def __call__(self) -> Status | Unreadable:
        """Return what there is."""
        try:
            overview = read_overview(self._client, self._settings, _SINCE_SECONDS, self._since, role=_ROLE)
        except StoreUnavailable as error:
            return Unreadable(str(error))
        try:
            return Status(overview, RedisAccount.of_fleet(self._client, self._settings).read())
        except StoreUnavailable as error:
            return Status(overview, None, str(error))

    def _since(self, wall_ms: int) -> list[OutcomeRecord]:
        newest_ms = max(wall_ms, self._past[-1].wall_ms) if self._past else wall_ms
        # What came in the newest millisecond may have come since.
        kept = [each for each in self._past if wall_ms <= each.wall_ms < newest_ms]
        self._past = (kept + self._history.since(newest_ms, MOST_OUTCOMES))[-MOST_OUTCOMES:]
        return self._past
