"""A worker that Redis is out of reach for stops by itself, lives, and recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.fleet import Fleet, fleet
from tests.faults.halting import closed_after_ms, fill
from tests.faults.tcp_proxy import TcpProxy
from worker.dev.openai_stand_in import Behaviour

GRACE_SECONDS = 2
BOUND_MS = (GRACE_SECONDS + 0.5) * 1000
BOUND = f"<= {BOUND_MS:.0f} ms (grace {GRACE_SECONDS} s + 0.5 s), recovers by itself, nothing lost"


@dataclass(frozen=True)
class Fault:
    """`hurt` puts Redis out of the worker's reach, `heal` takes that back."""

    hurt: Callable[[], object]
    heal: Callable[[], object]


@contextmanager
def frozen(of: Fleet) -> Iterator[tuple[str, Fault]]:
    yield of.server.url, Fault(of.server.freeze, of.server.thaw)


@contextmanager
def killed(of: Fleet) -> Iterator[tuple[str, Fault]]:
    yield of.server.url, Fault(of.server.kill, of.server.restart)


@contextmanager
def black_holed(of: Fleet) -> Iterator[tuple[str, Fault]]:
    with TcpProxy(of.server.port) as proxy:
        yield f"redis://127.0.0.1:{proxy.port}/0", Fault(proxy.black_hole, proxy.heal)


@contextmanager
def cut_off(of: Fleet) -> Iterator[tuple[str, Fault]]:
    with TcpProxy(of.server.port) as proxy:
        yield f"redis://127.0.0.1:{proxy.port}/0", Fault(proxy.cut, proxy.heal)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("partition", [frozen, killed, black_holed, cut_off])
def test_everything_in_flight_is_closed_within_the_grace_and_nothing_is_lost(partition, saw):
    with fleet() as hurt, partition(hurt) as (url, fault):
        hurt.client.config_set("appendfsync", "always")
        grace = {"SLOTGEN_REDIS_URL": url, "SLOTGEN_BRAKE_GRACE_SECONDS": str(GRACE_SECONDS)}
        worker = hurt.start_worker(concurrency=50, **grace)
        pending = fill(hurt, 50)

        halt_ms = closed_after_ms(hurt, fault.hurt)
        assert halt_ms <= BOUND_MS
        hurt.wait_for_codes(len(pending))
        assert set(hurt.codes()) == {"KILL_UNVERIFIED"}
        hurt.stand_in.behave(Behaviour())
        # Behind a proxy Redis itself is well, and producers go on.
        later = hurt.send(5) if partition in {black_holed, cut_off} else []
        began = time.monotonic()
        fault.heal()

        assert set(hurt.statuses(pending)) == {"STUB"}
        later += hurt.send(5)
        assert hurt.statuses(later) == ["COMPLETED"] * len(later)
        seconds = time.monotonic() - began
        assert set(hurt.stand_in.journal.billed_requests().values()) == {1}
        worker.check()
        saw(
            "partition",
            f"50 calls in flight, Redis {partition.__name__.replace('_', ' ')}, then back",
            f"all closed after {halt_ms:.0f} ms; all answered STUB; {len(later)} of {len(later)} later"
            f" jobs COMPLETED, all within {seconds:.1f} s of its return, none billed twice",
            BOUND,
        )
