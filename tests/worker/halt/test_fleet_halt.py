"""A halt of the fleet: the key first, whatever surrounds it."""

from __future__ import annotations

from worker.adapters.redis.console.dials import RedisDials
from worker.halt.fleet_halt import halt_fleet


def test_nothing_that_others_may_have_written_is_read_before_the_halt(redis_client, namespace):
    read = []

    def engage():
        read.extend(redis_client.info("commandstats").keys() - before)
        return RedisDials(redis_client, namespace).engage("ann", "slotgen kill", "smoke")

    redis_client.config_resetstat()
    before = redis_client.info("commandstats").keys()

    done = halt_fleet(redis_client, namespace, engage)

    assert done.engaged.by == "SET"
    # The connections' own.
    assert set(read) - {f"cmdstat_{each}" for each in ("client", "hello", "config", "info")} == {
        "cmdstat_subscribe"
    }
    assert redis_client.info("commandstats").keys() >= {"cmdstat_zrange", "cmdstat_xrevrange"}
