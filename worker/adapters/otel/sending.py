"""Sends finished spans to the collector, beside the work: what it does not take is counted and dropped."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from telemetry import emit

# At most some 6 MB of spans wait.
MOST_SPANS = 2048
_BATCH = 512
# For one batch, with the exporter's retries in it; and how long it is waited for, however it is answered.
_EXPORT_SECONDS, _WAIT_SECONDS = 5.0, 6.0
_MOST_ANSWER_BYTES = 65_536
_log = logging.getLogger("slotgen.traces")


class _Session(requests.Session):
    """Takes nothing from the environment (proxies, .netrc), and reads no more of an answer than it must."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.stream = True
        self.answer = ""
        self.rejected = 0

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send, and note what came of it: a status or the kind of an error, whose text may quote anything."""
        try:
            with super().send(request, **options) as response:
                body = response.raw.read(_MOST_ANSWER_BYTES)
        except Exception as error:
            self.answer = type(error).__name__
            raise
        self.answer, self.rejected = f"HTTP {response.status_code}", _rejected(body)
        if 300 <= response.status_code < 400:  # noqa: PLR2004 - the class of redirections
            # The exporter follows none, and would take it for a yes.
            raise requests.TooManyRedirects
        return response


def _rejected(body: bytes) -> int:
    """Return how many spans the collector says it has rejected of those that it got."""
    try:
        return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
    except Exception:  # noqa: BLE001 - it is no such answer, whatever its parser calls that
        return 0


@dataclass(slots=True)
class SpanSender(SpanProcessor):
    """Takes the spans of the jobs, which never wait; `send` belongs to one other thread.

    `count_dropped(number)` hears of spans that are lost: the queue was full, or the collector did not take
    them. `wake` is called once there is a batch to send.
    """

    address: str
    certificates: str | None
    count_dropped: Callable[[float], object]
    wake: Callable[[], object] = int
    _queue: deque[ReadableSpan] = field(default_factory=deque)
    _session: _Session = field(default_factory=_Session)
    _exporter: OTLPSpanExporter = field(init=False)
    _sending: threading.Thread = field(default_factory=threading.Thread)
    _is_taken: bool = True

    def __post_init__(self) -> None:
        # What it would say at each attempt is said once, below, and counted.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._exporter = OTLPSpanExporter(
            f"{self.address.rstrip('/')}/v1/traces",
            certificate_file=self.certificates,
            timeout=_EXPORT_SECONDS,
            session=self._session,
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span until it is sent, or drop it where too many wait."""
        if len(self._queue) >= MOST_SPANS:
            self.count_dropped(1)
            return
        self._queue.append(span)
        if len(self._queue) == _BATCH:
            self.wake()

    def send(self) -> None:
        """Send what waits. It returns within some seconds for each batch, whatever the collector does."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            lost = self._lost(batch)
            if lost:
                self.count_dropped(lost)
                if self._is_taken:
                    emit(
                        _log,
                        logging.WARNING,
                        "spans_not_sent",
                        address=self.address,
                        answer=self._session.answer,
                    )
            self._is_taken = not lost

    def _lost(self, batch: list[ReadableSpan]) -> int:
        """Send `batch`, and return how many of it the collector has not taken.

        A timeout is for each read of a socket, and an answer that comes byte by byte has no end: who waits
        for it is left behind, and nothing else is sent until it has ended.
        """
        if self._sending.is_alive():
            return len(batch)
        results: list[SpanExportResult] = []
        self._session.answer, self._session.rejected = "none in time", 0
        self._sending = threading.Thread(
            target=lambda: results.append(self._exporter.export(batch)), name="traces-batch", daemon=True
        )
        self._sending.start()
        self._sending.join(_WAIT_SECONDS)
        if results != [SpanExportResult.SUCCESS]:
            return len(batch)
        return min(max(self._session.rejected, 0), len(batch))

    def finish(self) -> None:
        """Send what waits, and close the connection."""
        self.send()
        self._session.close()
