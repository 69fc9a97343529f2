"""Whatever a server sends, and however much, costs a worker no more memory than its bound."""

from __future__ import annotations

import pytest

from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.memory import peak_mb
from tests.faults.rig.promise import verdict

CONCURRENCY = 50
PROMISED_MB = 300


@pytest.mark.timeout(180)
@pytest.mark.parametrize("play", [Play.GZIP_BOMB, Play.ENDLESS_BODY, Play.ENDLESS_HEADERS])
def test_fifty_floods_at_once_stay_within_the_memory_of_a_worker(hurt, saw, play):
    (worker,) = hurt.workers
    hurt.fake_openai.behave(Behaviour(play=play))

    pending = hurt.send(CONCURRENCY)

    codes = hurt.codes_of(pending)
    peak = peak_mb(worker.pid)
    saw(
        f"a server that plays {play}",
        f"{CONCURRENCY} jobs at once",
        f"{codes.count('OPENAI_BAD_RESPONSE')} OPENAI_BAD_RESPONSE; {peak:.0f} MB at the most",
        f"<= {PROMISED_MB} MB: {verdict(peak, PROMISED_MB)}",
    )
    # The guard may halt the fleet meanwhile: a server like this one breaks every job.
    assert {"OPENAI_BAD_RESPONSE"} <= set(codes) <= {"OPENAI_BAD_RESPONSE", "KILL_SWITCH"}
    assert peak <= PROMISED_MB
