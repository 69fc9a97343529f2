"""Says which requests were extra, for which jobs, and at which kill each of them was in flight."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tasks import executor_config
from tasks.generate.prompting import Prompts, job_key
from tasks.generate.spec import Spec
from tests.builders import a_spec
from tests.fakes.openai.server import JournalRecord, Reply
from tests.faults.rig.campaign import Kill
from tests.faults.rig.fleet import job_of


@dataclass(frozen=True)
class Extra:
    """A request after which its job was asked once more, the kill it was in flight at, its ledger key."""

    request: JournalRecord
    at: Kill | None
    ledger_key: bytes

    @property
    def in_ledger(self) -> bool:
        """Whether the attempt was in the ledger when its worker had been killed."""
        return self.at is not None and self.ledger_key in self.at.ledger

    @property
    def answered_ms_before(self) -> float | None:
        """How long before the kill the server had answered; None when the kill cut the call off."""
        request = self.request
        if self.at is None or request.ended_mono is None or request.outcome is not Reply.COMPLETED:
            return None
        return max(0, self.at.begun_mono - request.ended_mono) * 1000


def extra_requests(
    records: Sequence[JournalRecord], kills: Sequence[Kill], ledger_keys: dict[str, bytes]
) -> list[Extra]:
    """Return every request that was not the last one of its job."""
    by_body: dict[str, list[JournalRecord]] = defaultdict(list)
    for record in _in_order(records):
        by_body[record.body_sha256].append(record)
    return [
        Extra(record, _kill_of(record, later, kills, ledger_keys[body]), ledger_keys[body])
        for body, same in by_body.items()
        for record, later in pairwise(same)
    ]


def ledger_keys(records: Sequence[JournalRecord], lines: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """Return the ledger key of each job that was generated, by the hash of its request's body."""
    requests = _in_order(records)
    prompts, config = _shipped()
    found = {}
    for line in _generated(lines):
        spec = Spec.of(a_spec(job_of(line["telemetry"]["jobId"])))
        number = int(line["details"]["request_id"].removeprefix("req_"), 16)
        key = job_key(spec.jobs[0], prompts, config)
        found[requests[number].body_sha256] = f"slotgen:ledger:{key}".encode()
    return found


def times_generated(lines: Sequence[dict[str, Any]]) -> Counter[str]:
    """Return how often each job was finished by a fresh answer, not a stored one."""
    return Counter(line["telemetry"]["jobId"] for line in _generated(lines))


def _in_order(records: Sequence[JournalRecord]) -> list[JournalRecord]:
    """Return the records in order of arrival: the place of each is the number in its request id."""
    return sorted(records, key=lambda each: each.started_mono)


def _kill_of(
    record: JournalRecord, later: JournalRecord, kills: Sequence[Kill], ledger_key: bytes
) -> Kill | None:
    """Return the first kill between the two at which `record` had no outcome, or an answer not yet stored."""
    for each in kills:
        between = record.started_mono <= each.over_mono and each.begun_mono <= later.started_mono
        unanswered = record.ended_mono is None or record.ended_mono >= each.begun_mono
        # A job leaves the ledger when its answer has been stored.
        if between and (unanswered or ledger_key in each.ledger):
            return each
    return None


def _generated(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in lines if each["event"] == "job_completed" and not each["details"]["cached"]]


def _shipped() -> tuple[Prompts, executor_config.ExecutorConfig]:
    config = executor_config.load(None)
    return Prompts.load(config.prompts), config
