"""Messages of every shape, sound and broken: each is answered, its producer told, or kept with a reason."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
from collections import Counter
from typing import Any

import pytest

from schemas import is_valid
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.length import in_full
from tests.faults.rig.memory import resident_mb
from tests.faults.rig.message_shapes import Fuzzed, MessageFuzzer
from tests.waiting import eventually
from worker.adapters.redis.waiting import depth, lists

MESSAGES = in_full(50_000, short=2_000)
SEED = int(os.environ.get("SLOTGEN_FAULTS_SEED", "4711"))
BATCH = 250
# What reading so many odd messages may leave behind; a leak of a message's size would be hundreds.
GROWTH_MB = 100


@pytest.mark.timeout(900)
def test_each_is_answered_or_its_producer_told_or_kept_with_a_reason(saw):
    chance = random.Random(SEED)
    print(f"SLOTGEN_FAULTS_SEED={SEED}")
    with fleet(persistent=False) as hurt:
        fuzzer = MessageFuzzer(chance)
        fuzzer.capture(hurt.client, hurt.server.url)
        worker = hurt.start_worker(concurrency=50)
        ledger, honest, grown_from = Ledger(hurt), [], 0.0
        for start in range(0, MESSAGES, BATCH):
            ledger.push(list(fuzzer.messages(BATCH)), chance)
            honest += hurt.send(1)
            worker.check()
            if start == BATCH * 3:
                grown_from = resident_mb(worker.pid)
        ledger.settle()

        became = ledger.judge()
        print(table(became))
        assert hurt.statuses(honest) == ["COMPLETED"] * len(honest)
        assert hurt.fake_openai.journal.counts().begun == len(honest)
        assert set(hurt.lines.codes) <= {None, "VERBATIM_MODE", "NOT_ALLOWLISTED", "NOT_OPTED_IN"}
        broke = {"task_broke", "job_lost", "background_broke", "job_broke"} & set(hurt.lines.events)
        assert not broke
        for log in hurt.folder.glob("*.log"):
            assert "Traceback" not in log.read_text("utf-8", errors="replace")
        growth = resident_mb(worker.pid) - grown_from
        assert growth < GROWTH_MB
        worker.check()
        ends = Counter[str]()
        for (_, end), number in became.items():
            ends[end] += number
        saw(
            "fuzzed messages",
            f"{MESSAGES:,} messages of {len(fuzzer.templates)} shapes, most broken, on 19 lists; seed {SEED}",
            ", ".join(f"{number:,} {end}" for end, number in ends.most_common()) + f"; {growth:+.0f} MB",
            "0 lost, 0 twice, 0 in silence; the worker lives",
        )


class Ledger:
    """What was put on the queue, and what became of each message."""

    def __init__(self, hurt: Fleet) -> None:
        self.hurt = hurt
        self.sent: dict[bytes, str] = {}
        # Of a message that is too large the dead letters have the digest.
        self.by_digest: dict[bytes, bytes] = {}
        self.dead: Counter[bytes] = Counter()
        self.reasons: dict[bytes, str] = {}

    def push(self, messages: list[Fuzzed], chance: random.Random) -> None:
        with self.hurt.client.pipeline(transaction=False) as together:
            for each in messages:
                if each.raw in self.sent:  # cut to its first bytes, like another one
                    continue
                self.sent[each.raw] = each.shape
                self.by_digest[hashlib.sha256(each.raw).hexdigest().encode()] = each.raw
                together.lpush(chance.choice(lists("slotgen")), each.raw)
            together.execute()
        eventually(
            lambda: self._waiting() < 4 * BATCH, within_seconds=120, saying="the worker does not keep up"
        )

    def settle(self) -> None:
        """Wait until nothing waits and nothing is held."""
        eventually(lambda: self._waiting() == 0, within_seconds=120, saying="messages are left on the queue")
        self.hurt.wait_until_nothing_is_held()
        self._waiting()

    def _waiting(self) -> int:
        client = self.hurt.client
        # Taken off as they come, so that no bound on dead letters matters here.
        for entry_id, fields in client.xrange("slotgen:dead"):
            raw = self.by_digest[fields[b"sha256"]] if b"sha256" in fields else fields[b"message"]
            self.dead[raw] += 1
            self.reasons[raw] = fields[b"problem"].decode() and fields[b"reason"].decode()
            client.xdel("slotgen:dead", entry_id)
        return depth(client, "slotgen")

    def judge(self) -> Counter[tuple[str, str]]:
        """Return how many of each shape ended how. Every message must have one end."""
        became: Counter[tuple[str, str]] = Counter()
        assert set(self.dead) <= set(self.sent)
        assert set(self.dead.values()) <= {1}
        answered: Counter[str] = Counter()
        for raw, shape in self.sent.items():
            became[shape, self._dead_end(raw) if raw in self.dead else self._answered(raw, answered)] += 1
        ids = [each["details"]["task_id"] for each in self.hurt.lines.outcomes]
        outcomes = Counter(each for each in ids if each in answered)
        assert outcomes == answered, "a message was answered twice, or never"
        return became

    def _dead_end(self, raw: bytes) -> str:
        assert self.reasons[raw], "no reason, or none in words"
        known = _ids(raw)
        if not known:
            return "kept with a reason, no task id in it"
        results = [self._result(each) for each in known]
        assert any(each and each["status"] in {"FAILURE", "SUCCESS"} for each in results), (known, raw[-900:])
        return "kept with a reason, its producer told"

    def _answered(self, raw: bytes, answered: Counter[str]) -> str:
        (task_id, *_) = _ids(raw)
        message = json.loads(raw)
        result = self._result(task_id)
        if result is not None and result["status"] == "REVOKED":
            return "revoked: it had expired"
        if (message.get("headers") or {}).get("ignore_result"):
            if not _expired(message):
                answered[task_id] += 1
            return "answered, result not wanted"
        assert result is not None, ("neither answered nor kept", raw[-900:])
        assert result["status"] == "SUCCESS", result
        assert all(is_valid("result.v1", each) for each in result["result"])
        answered[task_id] += 1
        return "answered"

    def _result(self, task_id: str) -> dict[str, Any] | None:
        stored = self.hurt.client.get(f"celery-task-meta-{task_id}".encode("utf-8", "surrogatepass"))
        return json.loads(stored) if stored else None


def _expired(message: dict[str, Any]) -> bool:
    return str((message.get("headers") or {}).get("expires"))[:4] < "2026"


def _ids(raw: bytes) -> list[str]:
    """Return the task ids in a message, as its producer's own code would know them, the task's own first."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        # One that is whole at its end.
        found = re.findall(rb'"correlation_id": ("(?:[^"\\]|\\.)+"), ', raw[-8000:])
        try:
            return [json.loads(each.decode()) for each in found]
        except ValueError:  # the id itself is what is broken
            return []
    if not isinstance(message, dict):
        return []
    headers, properties = message.get("headers"), message.get("properties")
    found = [headers.get("id")] if isinstance(headers, dict) else []
    if not (isinstance(headers, dict) and "task" in headers):
        try:
            body = json.loads(base64.b64decode(message["body"]))
            found.insert(0, body["id"])
        except (KeyError, TypeError, ValueError, RecursionError):
            pass
    found += [properties.get("correlation_id")] if isinstance(properties, dict) else []
    return [each for each in found if isinstance(each, str) and each]


def table(became: Counter[tuple[str, str]]) -> str:
    return "\n".join(f"{number:6} {shape}: {end}" for (shape, end), number in sorted(became.items()))
