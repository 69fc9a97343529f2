"""Reads the fleet's account of the running window, for the console and the metrics."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self, cast

import redis

from tasks.operations.changes import spend_cap
from tasks.operations.money import Account
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import BUDGET, BUDGET_CAP
from worker.adapters.redis.wrong_keys import check
from worker.settings.settings import Settings

_KINDS = ("spent", "held", "written_off")
_RULE = "rule:"


@dataclass(frozen=True, slots=True)
class RedisAccount:
    """The account of one namespace; `cap_nano_usd` is the deployment's own cap, None for none."""

    client: redis.Redis
    namespace: str
    cap_nano_usd: int | None
    window_seconds: int

    @classmethod
    def of(cls, client: redis.Redis, settings: Settings) -> Self:
        """Return the account with the cap and the window of `settings`."""
        return cls(client, settings.namespace, settings.budget_nano_usd, settings.budget_window_seconds)

    @classmethod
    def of_fleet(cls, client: redis.Redis, settings: Settings) -> Self:
        """Return the account with the cap and the window of the fleet. Raises StoreUnavailable."""
        return cls.of(client, as_the_fleet_spends(client, settings))

    def read(self) -> Account:
        """Return the account of the window that runs now. Raises StoreUnavailable."""
        with unavailable(self.client):
            now = self.client.time()[0]
            began = now - now % self.window_seconds
            account = BUDGET(self.namespace, began)
            raw = cast("dict[bytes, bytes]", self.client.hgetall(account))
            key = BUDGET_CAP(self.namespace)
            (dial,) = cast("list[bytes | None]", self.client.mget([key]))
            if dial is None and self.client.exists(key):
                dial = b"not a string"  # which covers no call, as every cap that needs guessing
        check(BUDGET, account, raw)
        amounts = {name.decode(errors="backslashreplace"): int(value) for name, value in raw.items()}
        rules = {name: amounts.pop(name) for name in sorted(amounts) if name.startswith(_RULE)}
        models = sorted({name.partition(":")[2] for name in amounts if ":" in name})
        return Account(
            cap=spend_cap.DIAL.read(dial, self.cap_nano_usd).value,
            spent=amounts.get("spent", 0),
            held=amounts.get("held", 0),
            written_off=amounts.get("written_off", 0),
            by_model={model: _of(model, amounts) for model in models},
            began=began,
            ends=began + self.window_seconds,
            by_rule={name.removeprefix(_RULE): spent for name, spent in rules.items()},
        )


def as_the_fleet_spends(client: redis.Redis, settings: Settings) -> Settings:
    """Return `settings` with the strictest cap of theirs and the workers', and the newest worker's window.

    An operator's environment need not have what the workers' has. Raises StoreUnavailable.
    """
    workers = RedisFleet(client, settings.namespace).workers()
    caps = [settings.budget_nano_usd, *(each.cap_nano_usd for each in workers)]
    strictest = min((each for each in caps if each is not None), default=None)
    windows = [each.window_seconds for each in workers if each.window_seconds]
    return settings.model_copy(
        update={
            "budget_usd": None if strictest is None else f"{Decimal(strictest).scaleb(-9):f}",
            "budget_window_seconds": windows[-1] if windows else settings.budget_window_seconds,
        }
    )


def _of(model: str, amounts: dict[str, int]) -> tuple[int, int, int]:
    spent, held, written_off = (amounts.get(f"{kind}:{model}", 0) for kind in _KINDS)
    return spent, held, written_off
