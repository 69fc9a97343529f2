"""Fakes named after the adapters they stand for; tests/contracts holds them to the same behaviour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gates import Controls
from tasks.errors import ErrorCode, StoreUnavailable
from tasks.limits.guard import GuardFinding, GuardVerdict, JobResult
from tasks.ports import Claim, ModelAnswer, ModelRequest, RateLimitState, Reservation, TokenUsage


@dataclass
class FakeControls:
    """Dials that a test turns; `reads` counts how often they were looked at."""

    current: Controls
    reads: int = 0
    at_once: int = 200
    on_read: Callable[[int], None] = lambda _: None

    def read(self) -> Controls:
        return self.read_each(1)[0]

    def read_each(self, number: int) -> list[Controls]:
        found = []
        for _ in range(number):
            self.reads += 1
            self.on_read(self.reads)
            found.append(self.current)
        return found


def answer(value: Any = "A cell has a membrane.", **changes: Any) -> ModelAnswer:
    fields = {
        "text": json.dumps({"value": value}),
        "refused": False,
        "truncated": False,
        "usage": TokenUsage(100, 0, 0, 50, "default"),
        "request_id": "req-1",
    }
    return ModelAnswer(**(fields | changes))


@dataclass
class FakeModel:
    """Plays `script` in order, its last entry for ever: an answer, an exception, or an awaitable factory."""

    script: list[Any] = field(default_factory=lambda: [answer()])
    requests: list[ModelRequest] = field(default_factory=list)
    cancelled: int = 0
    opening: Callable[[], Awaitable[None]] | None = None

    async def ready(self) -> None:
        if self.opening:
            await self.opening()

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, BaseException):
            raise step
        if not callable(step):
            return step
        try:
            return await step()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def abort_connections(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class FakeAnswers:
    stored: dict[str, Any] = field(default_factory=dict)
    writable: bool = True

    async def put(self, key: str, value: Any) -> bool:
        if self.writable:
            self.stored[key] = value
        return self.writable


@dataclass
class FakeClaims:
    """Claims in memory; `attempts` is the ledger, `answers` what a claim finds first."""

    answers: FakeAnswers = field(default_factory=FakeAnswers)
    holders: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    available: bool = True

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        if not self.available:
            raise StoreUnavailable
        stored = json.dumps(self.answers.stored[key]).encode() if key in self.answers.stored else b""
        if stored and stored != despite:
            return Claim(ours=False, stored=stored, answer=self.answers.stored[key])
        return Claim(ours=self.holders.setdefault(key, token) == token)

    async def release(self, key: str, token: str, *, concluded: bool) -> None:
        if self.holders.get(key) == token:
            del self.holders[key]
            if concluded:
                self.attempts.pop(key, None)

    async def end_attempt(self, key: str, begun: int) -> None:
        if self.attempts.get(key) == begun:
            self.attempts[key] -= 1

    async def begin_attempt(self, key: str) -> int:
        if not self.available:
            raise StoreUnavailable
        self.attempts[key] = self.attempts.get(key, 0) + 1
        return self.attempts[key]


@dataclass
class FakeTraffic:
    """Cooldowns and a breaker in memory, by the loop's clock; `probes` are the leases left to hand out."""

    until: dict[str, float] = field(default_factory=dict)
    refused: ErrorCode | None = None
    probes: int = 0
    available: bool = True

    async def state(self, model: str) -> RateLimitState:
        if not self.available:
            raise StoreUnavailable
        wait = max(0.0, self.until.get(model, 0.0) - asyncio.get_running_loop().time())
        probe = self.refused is not None and self.probes > 0
        self.probes -= probe
        return RateLimitState(wait, self.refused, probe)

    async def cool_down(self, model: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self.until[model] = max(until, self.until.get(model, 0.0))

    async def open_breaker(self, code: ErrorCode) -> None:
        self.refused = code

    async def close_breaker(self) -> None:
        self.refused = None


@dataclass
class FakeGuard:
    """Notes what it is shown; `breach` is what it answers to the next one."""

    seen: list[tuple[frozenset[JobResult], int, str]] = field(default_factory=list)
    finding: GuardFinding = field(default_factory=lambda: GuardFinding(GuardVerdict.NO_DATA))
    available: bool = True

    async def observe(self, marked: frozenset[JobResult], cost_nano_usd: int, cause: str) -> GuardFinding:
        if not self.available:
            raise StoreUnavailable
        self.seen.append((marked, cost_nano_usd, cause))
        return self.finding


@dataclass
class FakeBudget:
    """A cap in nano-dollars, with the account open to the test."""

    cap_nano_usd: int = 10**12
    spent: int = 0
    written_off: int = 0
    reservations: dict[str, int] = field(default_factory=dict)
    amounts: list[int] = field(default_factory=list)

    async def standing(self) -> tuple[int, int]:
        return self.cap_nano_usd, self.spent + sum(self.reservations.values())

    async def reserve(self, reservation: Reservation) -> bool:
        if self.spent + sum(self.reservations.values()) + reservation.amount_nano_usd > self.cap_nano_usd:
            return False
        self.reservations[reservation.reservation_id] = reservation.amount_nano_usd
        self.amounts.append(reservation.amount_nano_usd)
        return True

    async def settle(self, reservation_id: str, spent_nano_usd: int, *, known: bool) -> None:
        if self.reservations.pop(reservation_id, None) is not None:
            self.spent += spent_nano_usd
            self.written_off += 0 if known else spent_nano_usd
