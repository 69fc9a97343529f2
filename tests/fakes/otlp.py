"""A collector: takes OTLP over HTTP and keeps the spans, or refuses, or says nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Received:
    """One span; the ids are hexadecimal, `parent_id` is "" for none."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    attributes: dict[str, Any]
    is_error: bool
    status_message: str
    events: int
    start_ns: int
    end_ns: int
    resource: dict[str, Any]


@dataclass
class Collector:
    """Listens on a loopback port of its own while it is entered.

    `status` is what it answers; a `frozen` one answers nothing until it thaws, or ends; the answer of an
    `endless` one goes on. It says that it has `rejected` so many of the spans of each request.
    """

    status: int = 200
    frozen: bool = False
    endless: bool = False
    rejected: int = 0
    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="collector", daemon=True)
        self._thread.start()
        self._thawed = asyncio.Event()
        self._on_loop(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._on_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for(self, found: Callable[[list[Received]], Any]) -> Any:
        """Return the first truthy value of `found(spans)`, which is asked whenever there are more."""
        value: Any = None

        def holds() -> bool:
            nonlocal value
            value = found(list(self.spans))
            return bool(value)

        with self._changed:
            assert self._changed.wait_for(holds, _WAIT_SECONDS), f"never received; the spans are {self.spans}"
        return value

    def wait_for_requests(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= number, _WAIT_SECONDS)

    def trace(self, trace_id: str, number: int) -> list[Received]:
        """Return the spans of a trace by their start, once there are so many."""

        def all_of_it(spans: list[Received]) -> list[Received]:
            found = [each for each in spans if each.trace_id == trace_id]
            return sorted(found, key=lambda each: each.start_ns) if len(found) >= number else []

        return list(self.wait_for(all_of_it))

    def thaw(self) -> None:
        self._loop.call_soon_threadsafe(self._thawed.set)

    def _on_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_SECONDS)

    async def _start(self) -> None:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        self._thawed.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        if self.frozen:
            await self._thawed.wait()
        if self.status == 200:
            with self._changed:
                self.bodies.append(body)
                self.spans += spans_of(body)
                self._changed.notify_all()
        if self.endless:
            flood = web.StreamResponse(status=self.status)
            await flood.prepare(request)
            with contextlib.suppress(ConnectionError):
                while True:
                    await flood.write(b"x" * 65_536)
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = self.rejected
        return web.Response(
            status=self.status, body=answer.SerializeToString(), content_type="application/x-protobuf"
        )


def spans_of(body: bytes) -> Iterator[Received]:
    """Yield the spans of a request."""
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Received(
                    span.name,
                    span.kind,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.trace_state,
                    attributes_of(span.attributes),
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    span.status.message,
                    len(span.events),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    resource,
                )


def attributes_of(pairs: Any) -> dict[str, Any]:
    return {each.key: value_of(each.value) for each in pairs}


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return getattr(value, kind)
