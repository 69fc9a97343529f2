"""The demonstration's acts: shut, opened in the runbook's order, halted in the middle, opened again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.dev.demo.specs import load_allowlist, load_specs
from worker.dev.fake_openai.server import Behaviour

if TYPE_CHECKING:
    from celery import Celery

    from worker.dev.stack import Stack

_ACT_SECONDS = 60.0
# In the halting act a call takes this long, so that some are always in flight when the brake comes on.
_SLOW_SECONDS = 1.0
_QUICK_SECONDS = 0.05
_HALT_AFTER_COMPLETED = 30


class DemonstrationStuck(RuntimeError):  # noqa: N818 - reads as what it is
    """An act did not end in time."""


@dataclass(slots=True)
class Tally:
    """Counts outcomes as their telemetry lines arrive; `(status, errorCode or "", path)` to a number."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    cached: int = 0
    cost_nano_usd: int = 0
    last_mono: float = 0.0
    last_halted_mono: float = 0.0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, line: dict[str, Any]) -> None:
        """Take one log line of the worker; lines without telemetry do not count."""
        event = line.get("telemetry")
        if not event:
            return
        with self._changed:
            code = event["errorCode"] or ""
            self.outcomes[event["status"], code, event["path"]] += 1
            details = line.get("details", {})
            self.cached += bool(details.get("cached"))
            self.cost_nano_usd += details.get("cost_nano_usd") or 0
            self.last_mono = time.monotonic()
            if code == "KILL_SWITCH" and event["path"] == "openai":
                self.last_halted_mono = self.last_mono
            self._changed.notify_all()

    def wait_for(self, enough: Callable[[Tally], bool], watch: Callable[[], None]) -> None:
        """Return once `enough`; `watch` is called now and then. Raises DemonstrationStuck."""
        deadline_mono = time.monotonic() + _ACT_SECONDS
        with self._changed:
            while not enough(self):
                if time.monotonic() > deadline_mono:
                    raise DemonstrationStuck(
                        f"after {_ACT_SECONDS:.0f} s only {self.total} outcomes had come"
                    )
                self._changed.wait(0.2)
                watch()

    @property
    def total(self) -> int:
        """How many outcomes there are."""
        return self.outcomes.total()

    def count(self, status: str) -> int:
        """How many outcomes have `status`."""
        return sum(number for (each, _, _), number in self.outcomes.items() if each == status)


@dataclass(slots=True)
class Act:
    """One act: what was done, what came of it. `halt_ms` is set where the brake was pulled."""

    title: str
    commands: list[str]
    jobs: int
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    halt_ms: float | None = None
    in_flight_ms: float | None = None


@dataclass(slots=True)
class Demonstration:
    """Plays the acts on a running stack. `acts` grows as they are played."""

    celery: Celery
    specs: list[dict[str, Any]] = field(default_factory=load_specs)
    acts: list[Act] = field(default_factory=list)
    # Between the acts, so that a person can read what came of one before the next begins.
    pause_seconds: float = 0.0
    _stack: Stack | None = None

    def on_line(self, line: dict[str, Any]) -> None:
        """Hand a log line of the worker to the act that is on."""
        if self.acts:
            self.acts[-1].tally.add(line)

    def play(self, stack: Stack) -> None:
        """Play all five acts."""
        self._stack = stack
        few = self.specs[:12]
        self._pace(_QUICK_SECONDS)
        self._act("An empty Redis is a stopped fleet", [], few)
        self._act("Brake on, then feature, allowlist and 5 %", _OPENING, few)
        self._act("Brake released: 5 % of the jobs may pass", ["SET slotgen:kill false"], self.specs)
        self._pace(_SLOW_SECONDS)
        self._act(
            "100 %, and the brake pulled in the middle",
            ["SET slotgen:rollout_percent 100"],
            self.specs,
            halt=True,
        )
        self._pace(_QUICK_SECONDS)
        self._act("Released: nothing is paid for twice", ["SET slotgen:kill false"], self.specs)

    def _act(
        self, title: str, commands: list[str], specs: list[dict[str, Any]], *, halt: bool = False
    ) -> None:
        stack = self._running
        act = Act(title, list(commands), _jobs(specs))
        self.acts.append(act)
        for command in commands:
            _run(stack, command)
        began_mono = time.monotonic()
        pending = [self.celery.send_task("slotgen.generate", args=[spec], queue="slotgen") for spec in specs]
        halted_mono = self._halt(act) if halt else None
        act.tally.wait_for(lambda tally: tally.total >= act.jobs, stack.check)
        act.seconds = time.monotonic() - began_mono
        if halted_mono is not None:
            act.halt_ms = (act.tally.last_mono - halted_mono) * 1000
            act.in_flight_ms = (act.tally.last_halted_mono - halted_mono) * 1000
        for each in pending:
            each.get(timeout=_ACT_SECONDS)
        time.sleep(self.pause_seconds)

    def _halt(self, act: Act) -> float:
        stack = self._running
        act.tally.wait_for(lambda tally: tally.count("COMPLETED") >= _HALT_AFTER_COMPLETED, stack.check)
        halted_mono = time.monotonic()
        stack.client.set("slotgen:kill", "true")
        act.commands.append("SET slotgen:kill true   # while calls are in flight")
        return halted_mono

    def _pace(self, seconds: float) -> None:
        if self._running.fake_openai:
            self._running.fake_openai.behave(Behaviour(delay_seconds=seconds))

    @property
    def _running(self) -> Stack:
        if self._stack is None:
            raise DemonstrationStuck("play() has not been given a stack")
        return self._stack


_OPENING = [
    "SET slotgen:kill true",
    "SET slotgen:feature true",
    "SET slotgen:allowlist (the shipped policy)",
    "SET slotgen:rollout_percent 5",
]


def _jobs(specs: list[dict[str, Any]]) -> int:
    return sum(len(spec["jobs"]) for spec in specs)


def _run(stack: Stack, command: str) -> None:
    """Run one `SET key value` as plain Redis, as anyone could."""
    _, key, value = command.split(" ", 2)
    stack.client.set(key, load_allowlist() if key.endswith("allowlist") else value)
