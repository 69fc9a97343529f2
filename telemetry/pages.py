"""Answers one HTTP request to /metrics, /healthz or /readyz (WSGI, PEP 3333)."""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from telemetry.error_location import error_location
from telemetry.logs import emit

_log = logging.getLogger("slotgen.exporter")
T = TypeVar("T")
_TEXT, _OPEN_METRICS = "text/plain", "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class Health:
    """The named checks of an answer; it is good if all of them are."""

    checks: dict[str, bool]

    @property
    def good(self) -> bool:
        """Whether every check passed."""
        return all(self.checks.values())


class Shared(Generic[T]):
    """Computes once for everyone who asks while it is busy, so that many callers cost the work of one.

    Each gets a value whose computation began after it had asked.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._one_at_a_time = threading.Lock()
        self._begun = 0
        self._last: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Return a value that is computed from now on."""
        asked = self._begun
        with self._one_at_a_time:
            if self._last is None or self._last[0] <= asked:
                self._begun += 1
                self._last = self._begun, self._compute()
            return self._last[1]


def _scrape(accept: str, registry: CollectorRegistry) -> tuple[str, Shared[bytes]]:
    """Return the content type of a format, and what writes it."""
    encoder, content_type = choose_encoder(accept)
    return content_type, Shared(partial(encoder, registry))


def application(
    registry: CollectorRegistry, healthy: Callable[[], Health], ready: Callable[[], Health]
) -> WSGIApplication:
    """Return the WSGI application; a check that raises reads as unavailable, and is logged."""
    # Of what a client asks for, only which of the two formats it is counts: the last page of each is kept.
    scrapes = {accept: _scrape(accept, registry) for accept in (_TEXT, _OPEN_METRICS)}
    checks = {"/healthz": Shared(healthy), "/readyz": Shared(ready)}

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            refusal = {"error": "only GET and HEAD are answered"}
            return answer_json(environ, start, HTTPStatus.METHOD_NOT_ALLOWED, refusal, ("Allow", "GET, HEAD"))
        try:
            if path == "/metrics":
                asked = environ.get("HTTP_ACCEPT", "")
                content_type, scrape = scrapes[_OPEN_METRICS if _OPEN_METRICS in asked else _TEXT]
                return _answer(environ, start, HTTPStatus.OK, content_type, scrape())
            if path in checks:
                found = checks[path]()
                status = HTTPStatus.OK if found.good else HTTPStatus.SERVICE_UNAVAILABLE
                said = {"status": "ok" if found.good else "unavailable", "checks": found.checks}
                return answer_json(environ, start, status, said)
        except Exception as error:  # noqa: BLE001 - the prober gets an answer whatever broke, the log the place
            emit(_log, logging.ERROR, "page_broke", page=path, **error_location(error))
            broken = {"status": "unavailable", "checks": {}}
            return answer_json(environ, start, HTTPStatus.SERVICE_UNAVAILABLE, broken)
        return answer_json(
            environ, start, HTTPStatus.NOT_FOUND, {"error": "there are /metrics, /healthz and /readyz"}
        )

    return answer


def answer_json(
    environ: WSGIEnvironment,
    start: StartResponse,
    status: HTTPStatus,
    document: dict[str, Any],
    *headers: tuple[str, str],
) -> list[bytes]:
    """Start the response `document` and return its body; a HEAD gets none."""
    body = json.dumps(document).encode() + b"\n"
    return _answer(environ, start, status, "application/json", body, *headers)


def _answer(
    environ: WSGIEnvironment,
    start: StartResponse,
    status: HTTPStatus,
    content_type: str,
    body: bytes,
    *headers: tuple[str, str],
) -> list[bytes]:
    known = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start(f"{status.value} {status.phrase}", [*known, *headers])
    # A HEAD gets the length of the body, but not the body.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
