"""One record of an outcome: a valid event, details of what is known, and no content."""

import dataclasses
import json

import pytest

import schemas
from gates import Subject
from tasks.errors import ErrorCode, Failed, Status
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome, ended
from tasks.generate.recording import OutcomeRecord, OutcomeRecording
from tasks.generate.spec import Job
from telemetry import Recorder
from tests.telemetry.samples import MARKER, Log, some_metrics

SUBJECT = Subject("j", "slot", "revision", "Biology", "GCSE", "AQA", "8461", opted_in=True)
JOB = Job("j", "slot", "revision", "generate", "body", "text", {}, SUBJECT, {"input": MARKER})


def a_record(**changes):
    fields = {
        "subject": SUBJECT,
        "task_id": "t",
        "output_type": "text",
        "status": "COMPLETED",
        "error_code": None,
        "path": "openai",
        "latency_ms": 812.4,
        "executor_version": "2026-11-1",
        "worker_id": "w",
    }
    return OutcomeRecord(**(fields | changes))


def test_an_event_is_the_document_of_the_locked_schema():
    stub = a_record(status="STUB", error_code="KILL_SWITCH", path="stub")

    assert list(a_record().event()) == list(schemas.load("telemetry.v1")["properties"])
    assert schemas.violations("telemetry.v1", a_record().event()) == []
    assert schemas.violations("telemetry.v1", stub.event()) == []


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_record().status = "STUB"


def test_details_leave_out_what_is_not_known_and_keep_no_attempt_and_not_cached():
    assert a_record().details() == {
        "task_id": "t",
        "kind": "revision",
        "output_type": "text",
        "attempts": 0,
        "cached": False,
    }


@pytest.mark.parametrize(
    ("nano_usd", "usd"),
    [
        (1, "0.000000001"),
        (35_000, "0.000035000"),
        (12_345_678_901, "12.345678901"),
        (10**30 + 1, "1000000000000000000000.000000001"),
    ],
)
def test_a_cost_is_said_as_exact_decimal_text_too(nano_usd, usd):
    details = a_record(cost_nano_usd=nano_usd).details()

    assert (details["cost_nano_usd"], details["cost_usd"]) == (nano_usd, usd)


def test_event_log_metrics_and_history_agree_on_one_outcome():
    log, metrics, kept = Log(), some_metrics(), []
    context = JobContext(gate="rollout", bucket=7, model="gpt", attempts=2, cost_nano_usd=1_000, repairs=1)
    failed = ended("j", Failed(ErrorCode.OPENAI_TIMEOUT))

    record = OutcomeRecording(Recorder(metrics, log.logger), "2026-11-1", "w", kept.append)
    entry = record(JOB, failed, context, 12.34567, "t")
    assert entry.valid
    assert (log.text, kept) == ("", [])
    entry.write()

    (line,) = log.lines
    assert line["telemetry"] == kept[0].event()
    assert line["details"] == kept[0].details()
    assert (kept[0].path, kept[0].latency_ms, kept[0].telemetry_valid) == ("openai", 12.346, True)
    assert metrics.registry.get_sample_value("slotgen_cost_usd_total", {"model": "gpt"}) == 1e-6
    assert MARKER not in log.text + str(kept)


def test_the_history_knows_an_outcome_whose_event_was_not_valid():
    log, kept = Log(), []
    odd = Outcome("j", Status.STUB, ErrorCode.OPENAI_TIMEOUT, None)

    record = OutcomeRecording(Recorder(some_metrics(), log.logger), "2026-11-1", "w", kept.append)
    entry = record(JOB, odd, JobContext(), 1.0, "t")
    assert not entry.valid
    entry.write()

    assert not kept[0].telemetry_valid
    assert json.loads(log.text)["event"] == "telemetry_invalid"
