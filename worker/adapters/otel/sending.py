"""Sends finished spans to the collector, beside the work: what it does not take is counted and dropped."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from telemetry import emit

# At most some 6 MB of spans wait.
MOST_SPANS = 2048
_BATCH = 512
# For one batch, with the exporter's retries in it.
_EXPORT_SECONDS = 5.0
_log = logging.getLogger("slotgen.traces")


class _Session(requests.Session):
    """Takes nothing from the environment (proxies, .netrc), and reads no more of an answer than its head."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.stream = True
        self.answer = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send, and note what came of it: a status or the kind of an error, whose text may quote anything."""
        try:
            response = super().send(request, **options)
        except Exception as error:
            self.answer = type(error).__name__
            raise
        response.close()
        self.answer = f"HTTP {response.status_code}"
        if 300 <= response.status_code < 400:  # noqa: PLR2004 - the class of redirections
            # The exporter follows none, and would take it for a yes.
            raise requests.TooManyRedirects
        return response


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
            taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
            if not taken:
                self.count_dropped(len(batch))
                if self._is_taken:
                    emit(
                        _log,
                        logging.WARNING,
                        "spans_not_sent",
                        address=self.address,
                        answer=self._session.answer,
                    )
            self._is_taken = taken

    def finish(self) -> None:
        """Send what waits, and close the connection."""
        self.send()
        self._session.close()
