"""A worker that Redis is out of reach for stops by itself, lives, and recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import GRACE_SECONDS, Fleet, fleet
from tests.faults.rig.halting import closed_after_ms, fill
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.tcp_proxy import TcpProxy

GRACE_MS = GRACE_SECONDS * 1000
PROMISED_MS = 500


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
@pytest.mark.parametrize(
    ("partition", "outlasts_every_timeout"),
    [
        (black_holed, False),
        *(pytest.param(each, True, marks=pytest.mark.thorough) for each in (frozen, killed, cut_off)),
    ],
)
def test_everything_in_flight_is_closed_within_the_grace_and_nothing_is_lost(
    partition, outlasts_every_timeout, saw
):
    with fleet() as hurt, partition(hurt) as (url, fault):
        hurt.client.config_set("appendfsync", "always")
        worker = hurt.start_worker(concurrency=50, SLOTGEN_REDIS_URL=url)
        pending = fill(hurt, 50)

        halt_ms = closed_after_ms(hurt, fault.hurt)

        if outlasts_every_timeout:
            # What a worker has left to ask Redis for a job, it gives up by then.
            hurt.codes_of(pending)
        hurt.fake_openai.behave(Behaviour())
        # Behind a proxy Redis itself is well, and producers go on.
        later = hurt.send(5) if partition in {black_holed, cut_off} else []
        began_mono = time.monotonic()
        fault.heal()

        assert set(hurt.statuses(pending)) == {"STUB"}
        later += hurt.send(5)
        assert hurt.statuses(later) == ["COMPLETED"] * len(later)
        seconds = time.monotonic() - began_mono
        assert set(hurt.codes_of(pending)) == {"KILL_UNVERIFIED"}
        assert hurt.codes_of(later) == [None] * len(later)
        assert set(hurt.fake_openai.journal.billed_requests().values()) == {1}
        worker.check()
        late_ms = halt_ms - GRACE_MS
        saw(
            "partition",
            f"50 calls in flight, Redis {partition.__name__.replace('_', ' ')}, then back",
            f"all closed after {halt_ms:.0f} ms; all answered STUB; {len(later)} of {len(later)} later"
            f" jobs COMPLETED, all within {seconds:.1f} s of its return, none billed twice",
            f"nothing lost; <= grace {GRACE_SECONDS} s + {PROMISED_MS} ms: {verdict(late_ms, PROMISED_MS)}",
        )
        within(late_ms, PROMISED_MS)
