"""Makes the spans: one for each message that is processed, and in it one for each request to the model.

Attributes are those of OpenTelemetry's semantic conventions, 1.41: no content, and no error's text.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from celery.exceptions import Ignore, Reject
from opentelemetry.context import Context, attach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tasks.delivery import Answer
from tasks.errors import ErrorCode, ModelError, Status
from tasks.ports import Model, ModelAnswer, ModelRequest, TokenUsage
from telemetry.label_bounds import GEN_AI
from telemetry.tracing import TRACE, Trace
from worker.adapters.otel.sending import SpanSender

_PROPAGATOR = TraceContextTextMapPropagator()
# What the propagator reads. It takes for granted that a header is text, and logs one that is too long.
_HEADERS, _HEADER_CHARACTERS = ("traceparent", "tracestate"), 512
# Ours are few and short; given here, so that no variable is asked for them.
_LIMITS = SpanLimits(
    max_attributes=32,
    max_events=0,
    max_links=0,
    max_span_attributes=32,
    max_event_attributes=0,
    max_link_attributes=0,
    max_attribute_length=256,
    max_span_attribute_length=256,
)
_REDIS, _HTTP = (("redis", 6379), ("rediss", 6379)), (("http", 80), ("https", 443))
_SAMPLING = ("temperature", "top_p")


def open_tracer(sender: SpanSender, namespace: str, worker_id: str) -> Tracer:
    """Return the tracer of a process; its spans end with `sender`. A producer's sampling is kept."""
    resource = Resource.create(
        {
            "service.name": "slotgen",
            "service.namespace": namespace,
            "service.instance.id": worker_id,
            "service.version": version("slotgen"),
        }
    )
    provider = TracerProvider(ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False, span_limits=_LIMITS)
    provider.add_span_processor(sender)
    return provider.get_tracer("slotgen", version("slotgen"), "https://opentelemetry.io/schemas/1.41.0")


@dataclass(frozen=True, slots=True)
class MessageSpans:
    """Wraps the processing of a message from the queue `namespace` into a span, and names its trace.

    Only of one server, `redis_url` says its address; Sentinels and sockets have none that stays.
    """

    tracer: Tracer
    namespace: str
    redis_url: str

    async def __call__(self, request: Any, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what `work` returns, and raise what it raises; `request` is Celery's Context.

        The span's parent is the producer's, by the message's `traceparent`; whatever else stands there is
        no parent.
        """
        attributes = {
            "messaging.system": "celery",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": self.namespace,
            "messaging.message.id": request.id,
        } | _address(self.redis_url, _REDIS)
        parent = _PROPAGATOR.extract(_trace_headers(request), Context())
        span = self.tracer.start_span(f"process {self.namespace}", parent, SpanKind.CONSUMER, attributes)
        # Both are the message's task's own, which ends with it.
        attach(set_span_in_context(span, parent))
        context = span.get_span_context()
        TRACE.set(Trace(f"{context.trace_id:032x}", context.trace_flags.sampled))
        try:
            answer = await work
        except (Ignore, Reject, asyncio.CancelledError):
            span.set_attribute("slotgen.requeued", value=True)
            raise
        except Exception:
            _fail(span, ErrorCode.INTERNAL_ERROR)
            raise
        else:
            _answered(span, answer)
            return answer
        finally:
            span.end()


@dataclass(frozen=True, slots=True)
class TracedModel:
    """A model whose every request is a span; `base_url` is its server's."""

    model: Model
    tracer: Tracer
    base_url: str

    async def ready(self) -> None:
        """Return once a request can be sent."""
        await self.model.ready()

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once. Raises ModelError for every way in which no answer came."""
        name = f"{GEN_AI[0]} {request.model}"
        span = self.tracer.start_span(name, None, SpanKind.CLIENT, _asked(request, self.base_url))
        try:
            answer = await self.model.respond(request)
        except ModelError as error:
            _used(span, error.usage)
            _fail(span, error.code)
            raise
        except asyncio.CancelledError:
            _fail(span, "cancelled")
            raise
        except Exception:
            _fail(span, ErrorCode.INTERNAL_ERROR)
            raise
        else:
            _used(span, answer.usage)
            if answer.model:
                span.set_attribute("gen_ai.response.model", answer.model)
            if answer.request_id:
                span.set_attribute("slotgen.request_id", answer.request_id)
            reason = "length" if answer.truncated else "content_filter" if answer.refused else "stop"
            span.set_attribute("gen_ai.response.finish_reasons", [reason])
            return answer
        finally:
            span.end()

    def abort_connections(self) -> None:
        """Close every connection at once."""
        self.model.abort_connections()

    async def close(self) -> None:
        """End for good what it has open."""
        await self.model.close()


def _trace_headers(request: Mapping[str, Any]) -> dict[str, str]:
    found = {name: request.get(name) for name in _HEADERS}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and len(value) <= _HEADER_CHARACTERS
    }


def _answered(span: Span, answer: Answer) -> None:
    codes = answer.reasons["errorCodes"]
    told = sorted({code for code in codes if code})
    span.set_attributes({"slotgen.jobs": len(codes), "slotgen.error_codes": told})
    failed = (
        code for code, result in zip(codes, answer.results, strict=True) if result["status"] == Status.FAILED
    )
    if code := next(failed, None):
        _fail(span, code)


def _fail(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", str(error_type))
    span.set_status(StatusCode.ERROR)


def _asked(request: ModelRequest, base_url: str) -> dict[str, Any]:
    options = request.options
    attributes = {
        "gen_ai.operation.name": GEN_AI[0],
        "gen_ai.provider.name": GEN_AI[1],
        "gen_ai.request.model": request.model,
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "gen_ai.output.type": "json",
        "openai.api.type": "responses",
    } | _address(base_url, _HTTP)
    attributes |= {f"gen_ai.request.{each}": options[each] for each in _SAMPLING if each in options}
    if tier := options.get("service_tier"):
        attributes["openai.request.service_tier"] = tier
    return attributes


@cache
def _address(url: str, ports: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Return the attributes of a server; none where its scheme has no port in `ports`."""
    parts, usual = urlsplit(url), dict(ports)
    if parts.scheme not in usual:
        return {}
    return {"server.address": parts.hostname or "", "server.port": parts.port or usual[parts.scheme]}


def _used(span: Span, usage: TokenUsage | None) -> None:
    if usage is None:
        return
    span.set_attributes(
        {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
        }
    )
    if usage.service_tier:
        span.set_attribute("openai.response.service_tier", usage.service_tier)
