"""Hands results to consumers that wait on no task id: one entry for each job in a bounded Redis stream."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.delivery import Delivery
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.keys import RESULTS
from worker.adapters.redis.scripts import LuaScript

# KEYS: the stream. ARGV: how many entries it keeps, then the entries, all of them or none.
_ADD = LuaScript("""
for i = 2, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'delivery', ARGV[i]) end
""")


@dataclass(frozen=True, slots=True)
class ResultsStream:
    """Writes deliveries before their message is acknowledged: each arrives at least once.

    About `kept` entries stay; who reads more slowly than they are written finds the older ones gone.
    """

    redis: RedisBatches
    namespace: str
    kept: int

    async def add(self, deliveries: Iterable[Delivery]) -> None:
        """Add one entry for each of `deliveries`, its field `delivery` being delivery v1 as JSON.

        Waits for a Redis that does not take them, as the result backend does; the message meanwhile stays.
        """
        documents = [json.dumps(each.as_document(), ensure_ascii=False) for each in deliveries]
        await self.redis.run_patiently(
            _ADD,
            [RESULTS(self.namespace)],
            self.kept,
            *documents,
            refused_event="results_stream_refused",
        )
