"""Composes the tracing of one worker process: none, unless an OTLP endpoint is set."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tasks.delivery import Answer
from tasks.ports import Model
from telemetry import Metrics
from worker.process.background import Background
from worker.settings.settings import BadSetting, Settings

_OPENAI = "https://api.openai.com/v1"
_EVERY_SECONDS = 1.0
# For the last spans, as the process ends: a collector that does not answer is left.
_LAST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Tracing:
    """`traced` awaits the work for a message, `model` returns the model to call, `background` sends spans."""

    traced: Callable[[Any, Coroutine[Any, Any, Answer]], Awaitable[Answer]] = lambda _, work: work
    model: Callable[[Model], Model] = lambda model: model
    background: tuple[Background, ...] = ()


def open_tracing(settings: Settings, worker_id: str, metrics: Metrics) -> Tracing:
    """Return what traces, with the thread that sends the spans not yet started.

    Raises:
        BadSetting: there is an endpoint, and nothing installed that could send to it.

    """
    endpoint = settings.otlp_endpoint
    if not endpoint:
        return Tracing()
    try:
        from worker.adapters.otel.sending import SpanSender  # noqa: PLC0415 - an extra, and 0.2 s
        from worker.adapters.otel.spans import MessageSpans, TracedModel, open_tracer  # noqa: PLC0415 - same
    except ModuleNotFoundError as missing:
        raise BadSetting(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}, and {missing.name} is not installed; "
            "install slotgen[otel], or unset it"
        ) from None
    dropped = metrics.counter("slotgen_spans_dropped_total")
    sender = SpanSender(endpoint, settings.ssl_cert_file, dropped.inc)
    background = Background(
        "traces", sender.send, _EVERY_SECONDS, finish=sender.finish, stop_seconds=_LAST_SECONDS
    )
    sender.wake = background.wake
    tracer = open_tracer(sender, settings.namespace, worker_id)
    return Tracing(
        MessageSpans(tracer, settings.namespace, settings.redis_url),
        lambda model: TracedModel(model, tracer, settings.openai_base_url or _OPENAI),
        (background,),
    )
