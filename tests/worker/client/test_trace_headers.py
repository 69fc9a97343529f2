"""A message says which trace it belongs to: the active span's, or the one that is given."""

from __future__ import annotations

import json
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

from tests.builders import a_spec
from worker.client import Producer

GIVEN = f"00-{'a' * 32}-{'b' * 16}-00"


@pytest.fixture
def producer(redis_client, namespace):
    return Producer({"": redis_client}, namespace)


def sent_headers(sent):
    headers = json.loads(sent.message)["headers"]
    return {name: headers[name] for name in ("traceparent", "tracestate", "baggage") if name in headers}


def test_a_message_sent_in_a_span_is_of_its_trace(producer):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("producer")

    with tracer.start_as_current_span("publish quiz") as span:
        one, *others = producer.send_all([a_spec(), a_spec()])

    context = span.get_span_context()
    assert sent_headers(one) == {
        "traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    }
    assert [sent_headers(each) for each in others] == [sent_headers(one)]


def test_the_state_of_the_trace_goes_along(producer):
    context = SpanContext(
        5, 7, is_remote=False, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")])
    )

    with use_span(NonRecordingSpan(context)):
        sent = producer.send(a_spec())

    assert sent_headers(sent) == {"traceparent": f"00-{5:032x}-{7:016x}-01", "tracestate": "a=b"}


def test_one_that_is_given_wins(producer):
    with TracerProvider(shutdown_on_exit=False).get_tracer("producer").start_as_current_span("publish"):
        sent = producer.send(a_spec(), traceparent=GIVEN)

    assert sent_headers(sent) == {"traceparent": GIVEN}


def test_without_a_span_or_without_opentelemetry_there_is_none(producer, monkeypatch):
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert sent_headers(producer.send(a_spec())) == {}
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert sent_headers(producer.send(a_spec())) == {}


@pytest.mark.parametrize(
    "traceparent",
    ["", "trace", GIVEN.upper(), f"{GIVEN}\n", f"{GIVEN}-x", f"00-{'0' * 32}-{'b' * 16}-01", "x" * 1_000_000],
)
def test_one_that_is_none_stays_here_with_the_remedy(producer, redis_client, namespace, traceparent):
    with pytest.raises(ValueError, match=r"^traceparent is '.{0,66}'; pass 00-TRACE-SPAN-FLAGS") as refusal:
        producer.send(a_spec(), traceparent=traceparent)

    assert len(str(refusal.value)) < 300
    assert redis_client.llen(namespace) == 0
