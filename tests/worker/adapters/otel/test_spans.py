"""How a message ended is on its span, whatever way it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from celery.app.task import Context
from celery.exceptions import Ignore, Reject
from opentelemetry.sdk.trace import SpanProcessor

from tasks.delivery import Answer
from telemetry.tracing import TRACE
from tests.worker.adapters.openai.test_model import a_request
from worker.adapters.otel.spans import MessageSpans, TracedModel, open_tracer


class Spans(SpanProcessor, list):
    def on_end(self, span):
        self.append(span)


@pytest.fixture
def spans():
    return Spans()


def process(spans, end, redis_url="redis://:hunter2@h/0", **headers):
    """Process a message that ends so, in a task of its own; return what came of it."""

    async def work():
        if isinstance(end, BaseException):
            raise end
        return end

    async def message():
        traced = MessageSpans(open_tracer(spans, "slotgen", "w"), "slotgen", redis_url)
        try:
            return await traced(Context({"id": "task-1", **headers}), work()), TRACE.get()
        except BaseException as error:  # noqa: BLE001 - whatever it raises is returned
            return error, TRACE.get()

    return asyncio.run(message())


@pytest.mark.parametrize("end", [Ignore(), Reject("full", requeue=True), asyncio.CancelledError()])
def test_a_message_that_goes_back_says_so_and_is_no_error(spans, end):
    raised, _ = process(spans, end)

    (span,) = spans
    assert raised is end
    assert span.attributes["slotgen.requeued"] is True
    assert "error.type" not in span.attributes
    assert span.status.is_unset


def test_a_bug_is_an_internal_error_without_its_text(spans):
    raised, _ = process(spans, ZeroDivisionError("the answer is secret"))

    (span,) = spans
    assert isinstance(raised, ZeroDivisionError)
    assert span.attributes["error.type"] == "INTERNAL_ERROR"
    assert (span.status.is_ok, span.status.description, span.events) == (False, None, ())
    assert "secret" not in span.to_json()


def test_the_first_failure_of_a_spec_is_its_error_and_stubs_are_not(spans):
    codes = ["VERBATIM_MODE", None, "OPENAI_TIMEOUT", "OUTPUT_REFUSED"]
    statuses = ["STUB", "COMPLETED", "FAILED", "FAILED"]
    answer = Answer([{"status": each} for each in statuses], {"errorCodes": codes})

    returned, trace = process(spans, answer, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")

    (span,) = spans
    assert returned is answer
    assert span.attributes["error.type"] == "OPENAI_TIMEOUT"
    assert span.attributes["slotgen.error_codes"] == ("OPENAI_TIMEOUT", "OUTPUT_REFUSED", "VERBATIM_MODE")
    assert (trace.trace_id, trace.sampled) == ("a" * 32, True)
    assert span.parent.is_remote


@pytest.mark.parametrize(
    "hostile", ["x" * 1_000_000, "00-" + "a" * 1_000_000, "", 17, None, [b""], {"a": {}}]
)
def test_headers_of_any_size_and_kind_are_no_trace_and_no_error(spans, hostile):
    answer = Answer([{"status": "STUB"}], {"errorCodes": ["KILL_SWITCH"]})

    returned, trace = process(spans, answer, traceparent=hostile, tracestate=hostile, baggage=hostile)

    (span,) = spans
    assert (returned, span.parent, dict(span.context.trace_state)) == (answer, None, {})
    assert trace.trace_id == f"{span.context.trace_id:032x}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://ann:hunter2@redis.example:7000/0?ssl_cert_reqs=required", ("redis.example", 7000)),
        ("redis://[::1]", ("::1", 6379)),
        ("sentinel://one:26379,two:26379/main", (None, None)),
        ("unix:///run/redis.sock", (None, None)),
    ],
)
def test_the_address_of_one_redis_is_said_and_nothing_else_of_its_url(spans, url, expected):
    process(spans, Answer([{"status": "STUB"}], {"errorCodes": ["KILL_SWITCH"]}), url)

    (span,) = spans
    assert (span.attributes.get("server.address"), span.attributes.get("server.port")) == expected
    assert "hunter2" not in span.to_json()


@dataclass
class BrokenModel:
    """Raises what no model should."""

    async def respond(self, request):
        raise ZeroDivisionError("the answer is secret")


def test_a_bug_in_a_request_ends_its_span_too(spans):
    model = TracedModel(BrokenModel(), open_tracer(spans, "slotgen", "w"), "https://api.openai.com/v1")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(model.respond(a_request()))

    (span,) = spans
    assert span.attributes["error.type"] == "INTERNAL_ERROR"
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("api.openai.com", 443)
    assert "secret" not in span.to_json()
