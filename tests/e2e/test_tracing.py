"""With an OTLP endpoint, a message is a span in its producer's trace, and so is each request in it."""

from __future__ import annotations

import json
import os
import re
import urllib.request
import uuid

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.builders import a_message, a_spec, new_job
from tests.e2e.conftest import SELDOM, WAIT_SECONDS, a_system
from tests.e2e.test_worker_process import slotgen
from tests.fakes.openai.server import Behaviour
from tests.fakes.otlp import Collector
from tests.waiting import eventually
from worker.client import Producer

CLIENT, CONSUMER = 3, 5
PARENT = "b" * 16
# What else a process may inherit: none of it changes what is sent, or where to.
INHERITED = {
    "OTEL_SDK_DISABLED": "true",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=somebody",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
    "OTEL_PYTHON_CONTEXT": "no_such_context",
    "OTEL_PROPAGATORS": "no_such_propagator",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "few",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1",
    "OTEL_RESOURCE_ATTRIBUTES": "host.name=somewhere",
    "OTEL_SERVICE_NAME": "somebody-else",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "REQUESTS_CA_BUNDLE": "/nowhere.pem",
}


@pytest.fixture(scope="module")
def traced():
    """A system that traces to a collector."""
    with Collector() as collector:
        settings = SELDOM | INHERITED | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with a_system(settings=settings) as system:
            system.collector = collector
            yield system
            # Nothing that came with a message was worth a line of a library, or of ours.
            said = {(line["logger"], line["event"]) for line in system.lines if line["level"] != "INFO"}
    assert {logger for logger, event in said if event == "log"} <= {"py.warnings"}
    assert not {event for _, event in said} & {"job_broke", "task_broke", "job_lost", "spans_not_sent"}


@pytest.fixture
def system(traced):
    traced.set_dials()
    traced.forget_the_server()
    traced.fake_openai.behave(Behaviour())
    return traced


def send(system, spec, **headers):
    """Send `spec` in a new trace, with these headers; return the trace's id and the task's."""
    trace_id, task_id = uuid.uuid4().hex, str(uuid.uuid4())
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01", **headers}
    message = a_message(spec, task_id=task_id)
    system.push(message | {"headers": message["headers"] | headers})
    return trace_id, task_id


def scrape(system, accept):
    asked = urllib.request.Request(system.stack.metrics_url, headers={"Accept": accept})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.read().decode()


def test_a_job_and_its_request_are_spans_of_the_producers_trace(system):
    job = new_job(input={"topic": "the mitochondrion"})

    trace_id, task_id = send(system, a_spec(job), tracestate="vendor=value")

    process, chat = system.collector.trace(trace_id, 2)
    assert (process.name, process.kind, process.parent_id) == ("process slotgen", CONSUMER, PARENT)
    assert process.trace_state == "vendor=value"
    assert process.attributes == {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "slotgen",
        "messaging.message.id": task_id,
        "server.address": "127.0.0.1",
        "server.port": int(system.stack.redis_url.rpartition(":")[2].partition("/")[0]),
        "slotgen.jobs": 1,
        "slotgen.error_codes": [],
    }
    model = chat.attributes["gen_ai.request.model"]
    assert (chat.name, chat.kind, chat.parent_id) == (f"chat {model}", CLIENT, process.span_id)
    details = system.event_of(job["jobId"])["details"]
    address, port = system.fake_openai.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": details["model"],
        "gen_ai.response.model": details["model"],
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": details["input_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.output_tokens": details["output_tokens"],
        "openai.api.type": "responses",
        "openai.request.service_tier": "default",
        "openai.response.service_tier": "default",
        "slotgen.request_id": details["request_id"],
        "server.address": address,
        "server.port": int(port),
    }
    assert process.start_ns <= chat.start_ns < chat.end_ns <= process.end_ns
    assert not process.is_error
    assert not chat.is_error
    assert process.resource["service.name"] == "slotgen"
    assert process.resource["service.namespace"] == "slotgen"
    assert "host.name" not in process.resource
    assert details["trace_id"] == trace_id


@pytest.mark.parametrize("by", ["celery", "producer"])
def test_a_producer_in_python_has_its_trace_gone_on_with(system, by):
    trace_id, spec = uuid.uuid4().hex, a_spec(new_job(mode="verbatim"))
    traceparent = f"00-{trace_id}-{PARENT}-01"

    if by == "celery":
        # As Celery's instrumentation does it.
        headers = {"traceparent": traceparent}
        system.celery.send_task("slotgen.generate", args=[spec], queue="slotgen", headers=headers)
    else:
        with Producer.open(system.stack.redis_url) as producer:
            producer.send(spec, traceparent=traceparent)

    (process,) = system.collector.trace(trace_id, 1)
    assert process.parent_id == PARENT


def test_no_content_is_in_a_trace(system):
    job = new_job(input={"topic": "the mitochondrion"}, sources=["page 12 of the atlas"])

    trace_id, task_id = send(system, a_spec(job), baggage="secret=mitochondrion")

    system.collector.trace(trace_id, 2)
    (result,) = system.celery.AsyncResult(task_id).get(timeout=WAIT_SECONDS)
    sent = b"".join(system.collector.bodies)
    assert next(iter(result["output"].values())).encode() not in sent
    assert b"mitochondrion" not in sent
    assert b"atlas" not in sent


def test_each_attempt_is_a_span_with_its_error_code(system):
    system.fake_openai.behave(Behaviour(status=503))

    trace_id, _ = send(system, a_spec(new_job()))

    process, *chats = system.collector.trace(trace_id, 4)
    for each in (process, *chats):
        assert each.is_error
        assert each.attributes["error.type"] == "OPENAI_SERVER_ERROR"
        # No error's text, here or as an event.
        assert (each.status_message, each.events) == ("", 0)
    assert [each.parent_id for each in chats] == [process.span_id] * 3
    assert process.attributes["slotgen.error_codes"] == ["OPENAI_SERVER_ERROR"]


def test_a_stub_is_no_error(system):
    jobs = [new_job(mode="verbatim"), new_job(mode="verbatim")]

    trace_id, _ = send(system, a_spec(*jobs))

    (process,) = system.collector.trace(trace_id, 1)
    assert not process.is_error
    assert process.attributes["slotgen.error_codes"] == ["VERBATIM_MODE"]
    assert process.attributes["slotgen.jobs"] == 2
    assert "error.type" not in process.attributes
    assert system.event_of(jobs[0]["jobId"])["details"]["trace_id"] == trace_id


def test_a_halt_cancels_a_request_and_its_span_says_so(system):
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    trace_id, _ = send(system, a_spec(new_job()))
    before = system.fake_openai.journal.counts()
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight, WAIT_SECONDS)

    system.stack.client.set("slotgen:kill", "true")

    process, chat = system.collector.trace(trace_id, 2)
    assert chat.attributes["error.type"] == "cancelled"
    assert process.attributes["slotgen.error_codes"] == ["KILL_SWITCH"]
    assert not process.is_error
    assert before.completed == system.fake_openai.journal.counts().completed


def test_the_durations_lead_to_the_trace_in_openmetrics_alone(system):
    trace_id, _ = send(system, a_spec(new_job()))
    system.collector.trace(trace_id, 2)

    families = text_string_to_metric_families(scrape(system, "application/openmetrics-text; version=1.0.0"))

    found = {
        family.name: {sample.exemplar.labels["trace_id"] for sample in family.samples if sample.exemplar}
        for family in families
    }
    assert {name for name, traces in found.items() if trace_id in traces} == {
        "slotgen_job_duration_seconds",
        "gen_ai_client_operation_duration_seconds",
    }
    assert trace_id not in scrape(system, "text/plain")


def test_a_producer_that_does_not_sample_is_followed(system):
    job, trace_id = new_job(), uuid.uuid4().hex

    send(system, a_spec(job), traceparent=f"00-{trace_id}-{PARENT}-00")

    assert system.event_of(job["jobId"])["details"]["trace_id"] == trace_id
    # Those of a later message come later.
    later, _ = send(system, a_spec(new_job()))
    assert all(each.trace_id != trace_id for each in system.collector.trace(later, 2))
    assert trace_id not in {each.trace_id for each in system.collector.spans}
    assert trace_id not in scrape(system, "application/openmetrics-text; version=1.0.0")


LONG = "x" * 200_000


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": LONG},
        {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01{LONG}"},
        {"traceparent": f"cc-{'a' * 32}-{'b' * 16}-01-{LONG}"},
        {"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"},
        {"traceparent": f"00-{'a' * 32}-{'0' * 16}-01"},
        {"traceparent": f"ff-{'a' * 32}-{'b' * 16}-01"},
        {"traceparent": f"00-{'A' * 32}-{'b' * 16}-01"},
        {"traceparent": "00-\x00\n\u202e"},
        {"traceparent": ""},
        {"traceparent": None},
        {"traceparent": 17},
        {"traceparent": [f"00-{'a' * 32}-{'b' * 16}-01"]},
        {"traceparent": {"00": [[["deep"]]]}},
    ],
    ids=range(13),
)
def test_what_is_no_traceparent_is_no_parent_and_no_error(system, headers):
    job = new_job(mode="verbatim")

    _, task_id = send(system, a_spec(job), tracestate=LONG[:100], baggage=LONG[:100], **headers)

    (result,) = system.celery.AsyncResult(task_id).get(timeout=WAIT_SECONDS)
    assert result["status"] == "STUB"
    (span,) = system.collector.wait_for(
        lambda spans: [each for each in spans if each.attributes.get("messaging.message.id") == task_id]
    )
    assert (span.parent_id, span.trace_state) == ("", "")
    assert system.event_of(job["jobId"])["details"]["trace_id"] == span.trace_id


@pytest.mark.parametrize("tracestate", [LONG, "no equals", "=,=,=", 17, ["a=b"], {"a": "b"}, "a=b," * 100])
def test_what_is_no_tracestate_is_left_out(system, tracestate):
    trace_id, task_id = send(system, a_spec(new_job(mode="verbatim")), tracestate=tracestate, baggage=LONG)

    (process,) = system.collector.trace(trace_id, 1)
    assert (process.parent_id, process.trace_state) == (PARENT, "")
    (result,) = system.celery.AsyncResult(task_id).get(timeout=WAIT_SECONDS)
    assert result["status"] == "STUB"


def test_the_thread_that_sends_shows_in_health_and_metrics(system):
    with urllib.request.urlopen(system.stack.metrics_url.replace("metrics", "healthz"), timeout=10) as answer:
        assert json.load(answer)["checks"]["traces"]
    assert 'slotgen_background_alive{name="traces"} 1.0' in scrape(system, "text/plain")
    assert "slotgen_spans_dropped_total 0.0" in scrape(system, "text/plain")


def dropped(system):
    return float(
        re.search(r"^slotgen_spans_dropped_total (.*)$", scrape(system, "text/plain"), re.MULTILINE)[1]
    )


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        pytest.param({"frozen": True}, "ReadTimeout", id="frozen"),
        pytest.param({"status": 404}, "HTTP 404", id="refusing", marks=pytest.mark.thorough),
        pytest.param(None, "ConnectionError", id="dead", marks=pytest.mark.thorough),
    ],
)
def test_a_collector_that_takes_nothing_delays_no_job_no_halt_and_no_end(behaviour, answer):
    with Collector(**(behaviour or {})) as collector:
        endpoint = collector.endpoint if behaviour else "http://127.0.0.1:1"
        with a_system(settings={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) as system:
            system.set_dials()
            assert {each["status"] for each in system.answer(a_spec(new_job(), new_job()))} == {"COMPLETED"}
            if behaviour:
                # From now on it is in the middle of sending.
                collector.wait_for_requests(1)
            system.fake_openai.behave(Behaviour(delay_seconds=60))
            pending = system.send(a_spec(new_job()))
            system.fake_openai.journal.wait_until(lambda counts: counts.in_flight, WAIT_SECONDS)
            system.stack.client.set("slotgen:kill", "true")
            (halted,) = pending.get(timeout=WAIT_SECONDS)
            assert halted["status"] == "STUB"
            line = system.wait_for_line(lambda line: line["event"] == "spans_not_sent")
            eventually(lambda: dropped(system) >= 3)
            assert system.stack.worker.stop() == 0
    assert (line["address"], line["answer"]) == (endpoint, answer)
    assert system.lines.events.count("spans_not_sent") == 1


def test_the_last_spans_are_sent_before_the_process_ends():
    with Collector() as collector:
        with a_system(settings={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}) as system:
            system.set_dials(kill="true")
            ids = [send(system, a_spec(new_job()))[1] for _ in range(20)]
            for each in ids:
                system.celery.AsyncResult(each).get(timeout=WAIT_SECONDS)
            assert system.stack.worker.stop() == 0
        # All of them, at once: it has ended.
        assert {each.attributes["messaging.message.id"] for each in collector.spans} == set(ids)


def test_a_worker_without_the_extra_is_refused_with_the_remedy(running, tmp_path):
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()

    done = slotgen(
        "worker",
        SLOTGEN_REDIS_URL=running.stack.redis_url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318",
        PYTHONPATH=f"{tmp_path}{os.pathsep}.",
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"OTEL_EXPORTER_OTLP_ENDPOINT is 'http://127.0.0.1:4318', and opentelemetry\.\S+ is not installed; "
        r"install slotgen\[otel\], or unset it\n",
        done.stderr,
    )


def test_without_an_endpoint_nothing_is_traced(running):
    job = new_job()
    running.set_dials()
    message = a_message(a_spec(job))
    running.push(message | {"headers": message["headers"] | {"traceparent": f"00-{'a' * 32}-{PARENT}-01"}})

    assert "trace_id" not in running.event_of(job["jobId"])["details"]
    assert " # {" not in scrape(running, "application/openmetrics-text; version=1.0.0")
