"""Fakes named after the adapters they stand for; tests/contracts holds them to the same behaviour."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gates import Controls
from tasks.errors import ErrorCode, StoreUnavailable
from tasks.limits.guard import GuardFinding, GuardVerdict, JobResult
from tasks.ports import (
    Arrival,
    Arrived,
    Claim,
    Departed,
    Departure,
    ModelAnswer,
    ModelRequest,
    Settlement,
    TokenUsage,
)


@dataclass
class FakeControls:
    """Dials that a test turns; `reads` counts how often they were looked at."""

    current: Controls
    reads: int = 0
    at_once: int = 200
    on_read: Callable[[int], None] = lambda _: None

    def read(self) -> Controls:
        self.reads += 1
        self.on_read(self.reads)
        return self.current

    async def read_each(self, number: int) -> list[Controls]:
        return [self.read() for _ in range(number)]


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


@dataclass
class FakeClaims:
    """Claims in memory; `attempts` is the ledger."""

    holders: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    available: bool = True


@dataclass
class FakeTraffic:
    """Cooldowns and a breaker in memory, by the loop's clock; `probes` are the leases left to hand out."""

    until: dict[str, float] = field(default_factory=dict)
    refused: ErrorCode | None = None
    probes: int = 0
    available: bool = True


@dataclass
class FakeGuard:
    """Notes what it is shown; `breach` is what it answers to the next one."""

    seen: list[tuple[frozenset[JobResult], int, str]] = field(default_factory=list)
    finding: GuardFinding = field(default_factory=lambda: GuardFinding(GuardVerdict.NO_DATA))


@dataclass
class FakeBudget:
    """A cap in nano-dollars, with the account open to the test."""

    cap_nano_usd: int = 10**12
    spent: int = 0
    written_off: int = 0
    reservations: dict[str, int] = field(default_factory=dict)
    amounts: list[int] = field(default_factory=list)
    by_rule: dict[str, int] = field(default_factory=dict)

    def settle(self, settlement: Settlement) -> None:
        if self.reservations.pop(settlement.reservation_id, None) is not None:
            self.spent += settlement.spent_nano_usd
            self.by_rule[settlement.rule] = self.by_rule.get(settlement.rule, 0) + settlement.spent_nano_usd
            self.written_off += 0 if settlement.known else settlement.spent_nano_usd


@dataclass
class FakeSteps:
    """The steps in memory, on parts that are open to the test."""

    answers: FakeAnswers = field(default_factory=FakeAnswers)
    claims: FakeClaims = field(default_factory=FakeClaims)
    traffic: FakeTraffic = field(default_factory=FakeTraffic)
    budget: FakeBudget = field(default_factory=FakeBudget)
    guard: FakeGuard = field(default_factory=FakeGuard)
    _released: dict[str, set[asyncio.Event]] = field(default_factory=dict)

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        if not self.claims.available:
            raise StoreUnavailable
        stored = json.dumps(self.answers.stored[key]).encode() if key in self.answers.stored else b""
        if stored and stored != despite:
            return Claim(ours=False, stored=stored, answer=self.answers.stored[key])
        return Claim(ours=self.claims.holders.setdefault(key, token) == token)

    @contextlib.asynccontextmanager
    async def released(self, key: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        event.set()
        self._released.setdefault(key, set()).add(event)
        yield event

    async def depart(self, departure: Departure) -> Departed:
        if not (self.traffic.available and self.claims.available):
            raise StoreUnavailable
        if departure.token and self.claims.holders.get(departure.key) != departure.token:
            return Departed(left=False, unclaimed=True)
        now = asyncio.get_running_loop().time()
        if (wait := self.traffic.until.get(departure.model, 0.0) - now) > 0:
            return Departed(left=False, wait_seconds=wait)
        if self.traffic.refused and not self.traffic.probes:
            return Departed(left=False, refused=self.traffic.refused)
        used = self.budget.spent + sum(self.budget.reservations.values())
        if used + departure.worst_nano_usd > self.budget.cap_nano_usd:
            return Departed(left=False, uncovered=(self.budget.cap_nano_usd, used))
        begun = self.claims.attempts.get(departure.key, 0)
        if begun >= departure.most_begun:
            return Departed(left=False, begun=begun)
        self.traffic.probes -= self.traffic.refused is not None
        self.budget.reservations[departure.reservation_id] = departure.worst_nano_usd
        self.budget.amounts.append(departure.worst_nano_usd)
        self.claims.attempts[departure.key] = begun + 1
        return Departed(left=True, begun=begun + 1, probe=self.traffic.refused is not None)

    async def arrive(self, arrival: Arrival) -> Arrived:
        finding = None
        if arrival.settlement:
            self.budget.settle(arrival.settlement)
        if arrival.answer is not None and self.answers.writable:
            self.answers.stored[arrival.key] = json.loads(arrival.answer)
        if arrival.cooldown_seconds:
            until = asyncio.get_running_loop().time() + arrival.cooldown_seconds
            self.traffic.until[arrival.model] = max(until, self.traffic.until.get(arrival.model, 0.0))
        self.traffic.refused = arrival.opened_by or self.traffic.refused
        if arrival.closes_breaker:
            self.traffic.refused = None
        if arrival.taken_back and self.claims.attempts.get(arrival.key) == arrival.taken_back:
            self.claims.attempts[arrival.key] -= 1
        if end := arrival.ending:
            is_held = self.claims.holders.get(arrival.key) == end.token
            if end.observation and (is_held or not end.token or arrival.settlement):
                self.guard.seen.append(dataclasses.astuple(end.observation))
                finding = self.guard.finding
            if is_held:
                self._release(arrival.key, concluded=end.concluded)
        return Arrived(arrival.answer is None or self.answers.writable, finding)

    def _release(self, key: str, *, concluded: bool) -> None:
        del self.claims.holders[key]
        if concluded:
            self.claims.attempts.pop(key, None)
        for event in self._released.get(key, ()):
            event.set()
