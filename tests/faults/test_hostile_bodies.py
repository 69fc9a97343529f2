"""Whatever a server sends, and however much, costs a worker no more memory than its bound."""

from __future__ import annotations

import json

import pytest

from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.memory import peak_mb
from tests.faults.rig.promise import verdict

CONCURRENCY = 200  # as shipped
PROMISED_MB = 300


@pytest.mark.timeout(180)
@pytest.mark.parametrize("flood", [Play.GZIP_BOMB, Play.ENDLESS_BODY, Play.ENDLESS_HEADERS, "a long answer"])
def test_two_hundred_floods_at_once_stay_within_the_memory_of_a_worker(hurt, saw, flood):
    (worker,) = hurt.workers
    hurt.fake_openai.behave(Behaviour(play=flood) if flood in set(Play) else Behaviour(raw=long_answer()))

    pending = hurt.send(CONCURRENCY)

    codes = hurt.codes_of(pending)
    peak = peak_mb(worker.pid)
    saw(
        f"a server that plays {flood}",
        f"{CONCURRENCY} jobs at once",
        f"{codes.count('OPENAI_BAD_RESPONSE')} OPENAI_BAD_RESPONSE; {peak:.0f} MB at the most",
        f"<= {PROMISED_MB} MB: {verdict(peak, PROMISED_MB)}",
    )
    # The guard may halt the fleet meanwhile: a server like this one breaks every job.
    assert {"OPENAI_BAD_RESPONSE"} <= set(codes) <= {"OPENAI_BAD_RESPONSE", "KILL_SWITCH"}
    assert peak <= PROMISED_MB


def long_answer() -> bytes:
    """Return a response within the bound of a body, with an answer that takes long to judge."""
    said = json.dumps({"value": "Plants make food from light. " * 30_000})
    message = {"type": "message", "content": [{"type": "output_text", "text": said}]}
    usage = {"input_tokens": 5, "output_tokens": 7}
    body = json.dumps({"object": "response", "status": "completed", "output": [message], "usage": usage})
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()
