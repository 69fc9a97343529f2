"""Reads the fleet's account of the running window, for the console and the metrics."""

from dataclasses import dataclass
from typing import cast

import redis

from tasks.operations.changes.spend_cap import nano_usd
from tasks.operations.money import Account
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import BUDGET, BUDGET_CAP

_KINDS = ("spent", "held", "written_off")


@dataclass(frozen=True, slots=True)
class RedisAccount:
    """The account of one namespace; `cap_nano_usd` is the deployment's own cap, None for none."""

    client: redis.Redis
    namespace: str
    cap_nano_usd: int | None
    window_seconds: int

    def read(self) -> Account:
        """Return the account of the window that runs now. Raises StoreUnavailable."""
        with unavailable(self.client):
            now = self.client.time()[0]
            began = now - now % self.window_seconds
            raw = cast("dict[bytes, bytes]", self.client.hgetall(BUDGET(self.namespace, began)))
            (dial,) = cast("list[bytes | None]", self.client.mget([BUDGET_CAP(self.namespace)]))
            set_at_all = bool(self.client.exists(BUDGET_CAP(self.namespace)))
        amounts = {name.decode(): int(value) for name, value in raw.items()}
        models = sorted({name.partition(":")[2] for name in amounts if ":" in name})
        return Account(
            cap=self._cap(dial, set_at_all=set_at_all),
            spent=amounts.get("spent", 0),
            held=amounts.get("held", 0),
            written_off=amounts.get("written_off", 0),
            by_model={model: _of(model, amounts) for model in models},
            began=began,
            ends=began + self.window_seconds,
        )

    def _cap(self, dial: bytes | None, *, set_at_all: bool) -> int | None:
        """Return the strictest cap; a dial of another type reads as nothing, and denies."""
        dialled = nano_usd(dial if dial is not None else b"?") if set_at_all else None
        caps = [cap for cap in (self.cap_nano_usd, dialled) if cap is not None]
        return min(caps, default=None)


def _of(model: str, amounts: dict[str, int]) -> tuple[int, int, int]:
    spent, held, written_off = (amounts.get(f"{kind}:{model}", 0) for kind in _KINDS)
    return spent, held, written_off
