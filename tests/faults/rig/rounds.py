"""Rounds of abuse by chance, halts in the midst of them, and an operator who mends what is theirs to mend."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import redis

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.abuse import ABUSES, Abuser
from tests.faults.rig.fleet import Fleet
from tests.faults.rig.halting import CALL_SECONDS, closed_after_ms
from tests.faults.rig.honest_load import Answer
from tests.faults.rig.memory import resident_mb
from tests.waiting import eventually
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.kill_switch_lever import pull

# Of a call that nothing is wrong with: so that there are always some.
ANSWER_SECONDS = 0.2
# The stand-in counts tokens, whatever their kind: one price for all of them, in nano-dollars each.
TOKEN_NANO_USD = 250
WINDOW_SECONDS = 2_678_400
_LONGEST_SECONDS = 4
# So many rounds have a trouble of Redis beside the rest, and so many a halt.
_TROUBLED_SHARE = 0.4
_HALTED_SHARE = 0.4
_DOLLAR = 10**9
# What the cap leaves for the next round: plenty, or too little.
_HEADROOMS = [_DOLLAR, _DOLLAR, _DOLLAR, _DOLLAR // 200]


@dataclass(frozen=True)
class Round:
    """What was done when, in wall seconds, and which errorCodes it explains."""

    kinds: tuple[str, ...]
    began_wall: float
    ended_wall: float
    explains: frozenset[str]


@dataclass
class Rounds:
    """What has been done to a fleet so far, and how it bore that. `kinds` are what is drawn from.

    `resident_mb` has the memory of each worker, second by second.
    """

    hurt: Fleet
    abuser: Abuser
    kinds: list[str]
    done: list[Round] = field(default_factory=list)
    halts_ms: list[float] = field(default_factory=list)
    resident_mb: list[list[float]] = field(default_factory=list)
    _cap: int = 0
    _tight: bool = False

    def __post_init__(self) -> None:
        self._chance: random.Random = self.abuser.chance
        self._account = RedisAccount(self.hurt.client, "slotgen", None, WINDOW_SECONDS)
        self._answer_soon()
        self.mend()

    def one(self) -> None:
        """Do what chance says for some seconds, and check that every worker lives and the cap has held."""
        kinds, seconds = self._drawn(), self._chance.uniform(0.5, _LONGEST_SECONDS)
        moment, halted = self._chance.random() * seconds, self._chance.random() < _HALTED_SHARE
        explains = frozenset(code for each in kinds for code in ABUSES[each].explains)
        explains |= {"KILL_SWITCH"} if halted else set()
        explains |= {"BUDGET_EXCEEDED"} if self._tight else set()
        began_wall = time.time()
        said = f"{', '.join(kinds)}, for {seconds:.1f} s" + (
            f", a halt after {moment:.1f} s" if halted else ""
        )
        print(f"{len(self.done) + 1}: {said}", flush=True)
        with ExitStack() as ending:
            for each in kinds:
                ending.enter_context(ABUSES[each].act(self.abuser))
            time.sleep(moment)  # no waiting: where everything is by then is what is tried
            if halted and all(ABUSES[each].audible for each in kinds):
                self._halt()
            time.sleep(seconds - moment)  # the same
        self.mend()
        self.done.append(Round(kinds, began_wall, time.time(), explains))
        for worker in self.hurt.workers:
            worker.check()

    def look_after(self) -> None:
        """Measure, and let requests leave where a server has refused the account, or made all wait."""
        self.resident_mb.append([resident_mb(each.pid) for each in self.hurt.workers])
        with contextlib.suppress(redis.RedisError):
            self.hurt.client.delete("slotgen:cooldown:gpt-6-luna", "slotgen:breaker", "slotgen:breaker:probe")

    def mend(self) -> None:
        """Open the dials, and look after the money, once Redis lets one."""

        def mended() -> bool:
            try:
                self.hurt.open_dials()
                self._raise_cap()
            except redis.RedisError:
                return False
            return True

        eventually(mended, saying="Redis never came back")

    def spent(self) -> int:
        """Return the account's sum in nano-dollars: within the cap, and at least what was billed."""
        billed = self.hurt.fake_openai.journal.counts().billed_tokens * TOKEN_NANO_USD
        account = self._account.read()
        total = account.spent + account.held + account.written_off
        assert billed <= total
        assert total <= self._cap
        return total

    def unexplained(self, answers: list[Answer], afterwards_seconds: float) -> Counter[tuple[str, ...]]:
        """Return how often an errorCode came that nothing explains, with what went on when its job was there.

        An abuse may still be why for some seconds after its end.
        """
        odd: Counter[tuple[str, ...]] = Counter()
        for each in answers:
            during = [
                one
                for one in self.done
                if one.began_wall <= each.answered_wall
                and each.sent_wall <= one.ended_wall + afterwards_seconds
            ]
            # A dial that is read too late on a busy machine makes a STUB.
            allowed = {None, "KILL_UNVERIFIED"}.union(*(one.explains for one in during))
            if each.code not in allowed:
                odd[str(each.code), *sorted({kind for one in during for kind in one.kinds})] += 1
        return odd

    def _drawn(self) -> tuple[str, ...]:
        beside = [each for each in self.kinds if not ABUSES[each].excludes]
        alone = [each for each in self.kinds if ABUSES[each].excludes]
        drawn = self._chance.sample(beside, min(len(beside), self._chance.randint(1, 3)))
        if alone and (not beside or self._chance.random() < _TROUBLED_SHARE):
            drawn.append(self._chance.choice(alone))
        return tuple(drawn)

    def _halt(self) -> None:
        """Let calls gather that end by nothing else, halt them, and release the fleet soon."""
        fake_openai = self.hurt.fake_openai
        fake_openai.behave(Behaviour(delay_seconds=CALL_SECONDS))
        time.sleep(self._chance.uniform(0.2, 1))  # no waiting: as many as there are by then
        if in_flight := fake_openai.journal.counts().in_flight:
            words = {"actor": "rig", "command": "kill", "reason": "to measure"}
            ms = closed_after_ms(self.hurt, lambda: pull(self.hurt.client, "slotgen", **words))
            print(f"   {in_flight} calls, closed after {ms:.0f} ms", flush=True)
            self.halts_ms.append(ms)
        self._answer_soon()
        fake_openai.release()
        time.sleep(self._chance.random() / 2)  # the same
        with contextlib.suppress(redis.RedisError):
            self.hurt.open_dials()

    def _answer_soon(self) -> None:
        self.hurt.fake_openai.behave(Behaviour(delay_seconds=ANSWER_SECONDS))

    def _raise_cap(self) -> None:
        spent = self.spent()
        self._cap = max(self._cap, spent + self._chance.choice(_HEADROOMS))
        self._tight = self._cap - spent < _DOLLAR // 10
        self.hurt.client.set("slotgen:budget_usd", f"{self._cap / _DOLLAR:.9f}")
