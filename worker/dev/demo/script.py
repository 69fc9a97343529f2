"""The demonstration's acts: shut, opened in the runbook's order, halted in the middle, opened again."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from worker.dev.demo.specs import ALLOWLIST, load_specs
from worker.dev.stack import Stack

ACTS = 5
_ACT_SECONDS = 60.0
# In the act with the halt each call takes this long, so that some are always in flight when it comes.
_SLOW_SECONDS = 1.0
_QUICK_SECONDS = 0.05
_HALT_AFTER_COMPLETED = 30
_OPENING = [
    "SET slotgen:kill true",
    "SET slotgen:feature true",
    "SET slotgen:allowlist (the shipped policy)",
    "SET slotgen:rollout_percent 5",
]
_WHY_SHUT = "Nothing has been set yet, and not knowing is a no: every job comes back as a STUB."
_WHY_HALTED = "The runbook's order: all is opened while the fleet is halted, and the kill switch comes last."
_WHY_FIVE = (
    "Now all gates decide. Whether a job is among the 5 % depends on its id alone, so it never changes."
)
_WHY_HALT = "Calls are slow here, so that some are in flight when one Redis key halts the whole fleet."
_WHY_AGAIN = "The same jobs once more: what was generated before is served again, not paid for again."


class DemonstrationStuck(RuntimeError):  # noqa: N818 - reads as what it is
    """An act did not end in time."""


@dataclass(slots=True)
class Tally:
    """Counts outcomes as their telemetry lines arrive; `(status, errorCode or "", path)` to a number."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    cached: int = 0
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
            self.cached += bool(line.get("details", {}).get("cached"))
            self.last_mono = time.monotonic()
            if code == "KILL_SWITCH" and event["path"] == "openai":
                self.last_halted_mono = self.last_mono
            self._changed.notify_all()

    def wait_for(self, enough: Callable[[], bool], watch: Callable[[], None]) -> None:
        """Return once `enough`; `watch` is called now and then. Raises DemonstrationStuck."""
        deadline_mono = time.monotonic() + _ACT_SECONDS
        with self._changed:
            while not self._changed.wait_for(enough, 0.2):
                if time.monotonic() > deadline_mono:
                    raise DemonstrationStuck(
                        f"after {_ACT_SECONDS:.0f} s only {self.total} outcomes had come"
                    )
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
    """One act: why it is shown, what was done, and what came of it.

    `answers` has each job's result and errorCode, as its producer gets them. `halt_ms` is set if the fleet
    was halted.
    """

    title: str
    why: str
    commands: list[str]
    jobs: int
    tally: Tally = field(default_factory=Tally)
    answers: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)
    seconds: float = 0.0
    halt_ms: float | None = None
    in_flight_ms: float | None = None
    ended: bool = False

    def answer(self, status: str, *, with_cards: bool = False) -> tuple[dict[str, Any], str | None] | None:
        """Return the first answer of `status`, that of flashcards where these are asked for."""
        for result, code in self.answers:
            content = next(iter((result["output"] or {}).values()), None)
            cards = isinstance(content, list) and "front" in content[0]
            if result["status"] == status and (cards or not with_cards):
                return result, code
        return None


@dataclass(slots=True)
class Demonstration:
    """Plays the acts on a running stack, and adds each to `acts`.

    While an act is played, `on_change` is called now and then; `on_end` is called with each act that has
    ended. The thread that plays calls both.
    """

    celery: Celery
    on_change: Callable[[], None] = lambda: None
    on_end: Callable[[Act], None] = lambda _: None
    specs: list[dict[str, Any]] = field(default_factory=load_specs)
    acts: list[Act] = field(default_factory=list)
    # Between the acts, so that a person can read what came of one before the next begins.
    pause_seconds: float = 0.0

    def on_line(self, line: dict[str, Any]) -> None:
        """Hand a log line of the worker to the act that is on."""
        if self.acts:
            self.acts[-1].tally.add(line)

    def play(self, stack: Stack) -> None:
        """Play all five acts."""
        few, release = self.specs[:12], ["SET slotgen:kill false"]
        _pace(stack, _QUICK_SECONDS)
        self._act(stack, "An empty Redis is a stopped fleet", _WHY_SHUT, [], few)
        self._act(stack, "Open but for the kill switch", _WHY_HALTED, _OPENING, few)
        self._act(stack, "Released at 5 %", _WHY_FIVE, release, self.specs)
        _pace(stack, _SLOW_SECONDS)
        everybody = ["SET slotgen:rollout_percent 100"]
        self._act(stack, "100 %, and a halt in the middle", _WHY_HALT, everybody, self.specs, halt=True)
        _pace(stack, _QUICK_SECONDS)
        self._act(stack, "Released again", _WHY_AGAIN, release, self.specs)

    def _act(
        self,
        stack: Stack,
        title: str,
        why: str,
        commands: list[str],
        specs: list[dict[str, Any]],
        *,
        halt: bool = False,
    ) -> None:
        act = Act(title, why, list(commands), sum(len(spec["jobs"]) for spec in specs))
        self.acts.append(act)
        for command in commands:
            # As plain Redis commands, which anyone could give.
            _, key, value = command.split(" ", 2)
            stack.client.set(key, ALLOWLIST.read_text("utf-8") if key.endswith("allowlist") else value)
        began_mono = time.monotonic()
        pending = [self.celery.send_task("slotgen.generate", args=[spec], queue="slotgen") for spec in specs]
        halted_mono = self._halt(stack, act) if halt else None
        self._wait_for(stack, act, lambda: act.tally.total >= act.jobs)
        act.seconds = time.monotonic() - began_mono
        if halted_mono is not None:
            act.halt_ms = (act.tally.last_mono - halted_mono) * 1000
            act.in_flight_ms = (act.tally.last_halted_mono - halted_mono) * 1000
        for each in pending:
            results = each.get(timeout=_ACT_SECONDS)
            reasons = self.celery.backend.get_task_meta(each.id)["reasons"]
            act.answers += zip(results, reasons["errorCodes"], strict=True)
        act.ended = True
        # First: the picture of an act in progress must be gone when its end is drawn.
        self.on_change()
        self.on_end(act)
        if len(self.acts) < ACTS:
            time.sleep(self.pause_seconds)

    def _halt(self, stack: Stack, act: Act) -> float:
        self._wait_for(stack, act, lambda: act.tally.count("COMPLETED") >= _HALT_AFTER_COMPLETED)
        # The calls of a batch end together; halfway through the next batch, all of its calls are in flight.
        time.sleep(_SLOW_SECONDS / 2)
        halted_mono = time.monotonic()
        stack.client.set("slotgen:kill", "true")
        act.commands.append("SET slotgen:kill true   # while calls are in flight")
        return halted_mono

    def _wait_for(self, stack: Stack, act: Act, enough: Callable[[], bool]) -> None:
        def watch() -> None:
            stack.worker.check()
            self.on_change()

        act.tally.wait_for(enough, watch)


def _pace(stack: Stack, seconds: float) -> None:
    if stack.fake_openai:
        stack.fake_openai.delay_seconds = seconds
