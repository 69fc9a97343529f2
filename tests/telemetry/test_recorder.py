import contextvars
import json
import logging
import threading

import pytest
from prometheus_client.openmetrics.exposition import generate_latest

from telemetry import Metrics, Recorder
from telemetry.tracing import TRACE, Trace
from tests.telemetry.samples import MARKER, Log, a_stub, an_event, some_details, some_metrics

JOBS = "slotgen_jobs_total"
INVALID = "slotgen_telemetry_invalid_total"


@pytest.fixture
def metrics():
    return some_metrics()


@pytest.fixture
def log():
    return Log()


def outcomes(metrics, status="COMPLETED", error_code="none", path="openai"):
    labels = {"status": status, "error_code": error_code, "path": path}
    return metrics.registry.get_sample_value(JOBS, labels)


def recorded(recorder, event, details):
    recorder.record(event, details, recorder.check(event))


class TestASoundEvent:
    @pytest.mark.parametrize(
        ("event", "name"),
        [
            (an_event(), "job_completed"),
            (a_stub(), "job_stubbed"),
            (an_event(status="FAILED", errorCode="OPENAI_TIMEOUT"), "job_failed"),
        ],
    )
    def test_is_one_line_with_its_details_beside_it(self, metrics, log, event, name):
        recorded(Recorder(metrics, log.logger), event, some_details())

        (line,) = log.lines
        assert line["event"] == name
        assert line["telemetry"] == event
        assert line["details"] == {"task_id": "task-1", "gate": "rollout"}

    def test_is_counted_once_and_measured_in_seconds(self, metrics, log):
        recorded(Recorder(metrics, log.logger), a_stub(latencyMs=1500.0), some_details())

        assert outcomes(metrics, "STUB", "KILL_SWITCH", "stub") == 1
        labels = {"path": "stub", "status": "STUB"}
        assert metrics.registry.get_sample_value("slotgen_job_duration_seconds_sum", labels) == 1.5
        assert metrics.registry.get_sample_value(INVALID) == 0

    @pytest.mark.parametrize("sampled", [True, False])
    def test_names_its_trace_and_leads_to_one_that_can_be_looked_up(self, metrics, log, sampled):
        trace = Trace("a" * 32, sampled)

        contextvars.copy_context().run(self.recorded_in, trace, Recorder(metrics, log.logger))

        assert log.lines[0]["details"] == {"task_id": "task-1", "gate": "rollout", "trace_id": "a" * 32}
        exposed = generate_latest(metrics.registry).decode()
        assert exposed.count('# {trace_id="' + "a" * 32 + '"}') == sampled

    def recorded_in(self, trace, recorder):
        TRACE.set(trace)
        recorded(recorder, an_event(), some_details())

    def test_has_the_error_code_none_when_completed(self, metrics, log):
        recorded(Recorder(metrics, log.logger), an_event(), some_details())

        assert outcomes(metrics) == 1


BROKEN = {
    "unknown_status": an_event(status=MARKER),
    "unknown_error_code": a_stub(errorCode=MARKER),
    "code_of_another_status": a_stub(errorCode="OPENAI_TIMEOUT"),
    "negative_latency": an_event(latencyMs=-1),
    "latency_that_is_no_number": an_event(latencyMs=float("nan")),
    "no_latency": an_event(latencyMs=None),
    "job_id_too_long": an_event(jobId=MARKER * 100),
    "job_id_of_an_odd_type": an_event(jobId=object()),
    "no_executor_version": an_event(executorVersion=""),
}


class TestABrokenEvent:
    @pytest.mark.parametrize("event", BROKEN.values(), ids=BROKEN.keys())
    def test_is_counted_and_logged_and_does_not_leave(self, metrics, log, event):
        recorded(Recorder(metrics, log.logger), event, some_details())

        (line,) = log.lines
        assert line["event"] == "telemetry_invalid"
        assert line["level"] == "ERROR"
        assert "telemetry" not in line
        assert line["violations"][0].keys() == {"path", "problem", "remedy"}
        assert line["details"]["task_id"] == "task-1"
        assert metrics.registry.get_sample_value(INVALID) == 1
        assert MARKER not in log.text

    @pytest.mark.parametrize("event", BROKEN.values(), ids=BROKEN.keys())
    def test_still_counts_as_an_outcome(self, metrics, log, event):
        recorded(Recorder(metrics, log.logger), event, some_details())

        (family,) = [each for each in metrics.registry.collect() if each.name == "slotgen_jobs"]
        assert [sample.value for sample in family.samples] == [1]
        assert MARKER not in str(family.samples)

    def test_names_the_job_when_the_job_id_is_sound(self, metrics, log):
        recorded(Recorder(metrics, log.logger), an_event(latencyMs=-1), some_details())

        (line,) = log.lines
        assert line["sound_fields"]["jobId"] == "bio-cells-01"
        assert "latencyMs" not in line["sound_fields"]
        assert line["violations"][0]["path"] == "latencyMs"

    def test_does_not_spoil_the_durations(self, metrics, log):
        recorder = Recorder(metrics, log.logger)

        recorded(recorder, an_event(latencyMs=float("nan")), some_details())
        recorded(recorder, an_event(latencyMs=1000.0), some_details())

        labels = {"path": "openai", "status": "COMPLETED"}
        assert metrics.registry.get_sample_value("slotgen_job_duration_seconds_sum", labels) == 1


class Breaking(logging.Handler):
    def emit(self, record):
        raise RuntimeError(MARKER)


class TestWhatNeverReachesTheJob:
    def test_a_log_handler_that_raises(self, metrics):
        logger = logging.Logger("slotgen.breaking")  # noqa: LOG001 - a registered one would outlive its test
        logger.addHandler(Breaking())

        recorded(Recorder(metrics, logger), an_event(), some_details())

        assert outcomes(metrics) == 1

    def test_a_log_that_cannot_even_say_so(self, metrics):
        own, handler = logging.getLogger("slotgen.jobs"), Breaking()
        own.addHandler(handler)
        try:
            recorded(Recorder(metrics), an_event(latencyMs=-1), some_details())
        finally:
            own.removeHandler(handler)

        assert outcomes(metrics) == 1
        assert metrics.registry.get_sample_value(INVALID) == 1

    def test_a_stream_that_is_closed(self, metrics, log, capsys):
        log.stream.close()

        recorded(Recorder(metrics, log.logger), an_event(), some_details())

        assert outcomes(metrics) == 1
        assert capsys.readouterr() == ("", "")

    def test_a_metric_that_raises(self, metrics, log, caplog):
        del metrics._made[JOBS]

        recorded(Recorder(metrics, log.logger), an_event(), some_details())

        assert [line["event"] for line in log.lines] == ["job_completed"]
        assert [record.message for record in caplog.records] == ["telemetry_broke"]

    def test_a_validator_that_raises(self, metrics, log, caplog):
        def broken(_name, _document):
            raise RuntimeError(MARKER)

        recorded(Recorder(metrics, log.logger, validate=broken), an_event(), some_details())

        (line,) = log.lines
        assert line["event"] == "telemetry_invalid"
        assert line["sound_fields"] == {}
        assert metrics.registry.get_sample_value(INVALID) == 1
        assert outcomes(metrics) == 1
        assert caplog.records[0].slotgen_fields["error_type"] == "builtins.RuntimeError"
        assert MARKER not in log.text + str(caplog.records[0].slotgen_fields)


def test_eight_threads_write_four_thousand_whole_lines(metrics, log):
    recorder = Recorder(metrics, log.logger)
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for each in range(500):
            recorded(recorder, an_event(jobId=f"job-{number}-{each}"), some_details())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = [json.loads(line) for line in log.text.splitlines()]
    assert len({line["telemetry"]["jobId"] for line in lines}) == len(lines) == 4000
    assert outcomes(metrics) == 4000


def test_counts_a_repair_by_how_the_job_ended_a_broken_rule_by_its_name_and_the_cost_by_model_and_rule(log):
    metrics = Metrics(version="1", executor_version="1", words={"rule": ["heading"]})
    recorder = Recorder(metrics, log.logger)
    failed = an_event(status="FAILED", errorCode="OUTPUT_POLICY_VIOLATION")

    recorded(recorder, failed, some_details(repairs=1, policy_rule="heading"))
    recorded(recorder, failed, some_details(policy_rule="invented", cost_nano_usd=500_000_000, model="gpt"))
    recorded(recorder, failed, some_details(cost_nano_usd=250_000_000, model="gpt", rule_id="biology"))

    def value(name, **labels):
        return metrics.registry.get_sample_value(name, labels)

    assert value("slotgen_cost_usd_total", model="gpt") == 0.75
    assert value("slotgen_rule_cost_usd_total", rule_id="biology") == 0.25
    assert value("slotgen_rule_cost_usd_total", rule_id="other") == 0.5
    assert value("slotgen_repairs_total", status="FAILED") == 1
    assert value("slotgen_policy_violations_total", rule="heading") == 1
    assert value("slotgen_policy_violations_total", rule="other") == 1
