"""Answers one HTTP request to /metrics, /healthz or /readyz (WSGI, PEP 3333)."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from telemetry.error_location import error_location
from telemetry.logs import emit

_log = logging.getLogger("slotgen.exporter")


@dataclass(frozen=True, slots=True)
class Health:
    """The named checks of an answer; it is good when all of them are."""

    checks: dict[str, bool]

    @property
    def good(self) -> bool:
        """Whether every check passed."""
        return all(self.checks.values())


def application(
    registry: CollectorRegistry, healthy: Callable[[], Health], ready: Callable[[], Health]
) -> WSGIApplication:
    """Return the WSGI application; a check that raises reads as unavailable, and is logged."""
    scrape = make_wsgi_app(registry)
    checks = {"/healthz": healthy, "/readyz": ready}

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            refusal = {"error": "only GET and HEAD are answered"}
            return answer_json(environ, start, HTTPStatus.METHOD_NOT_ALLOWED, refusal, ("Allow", "GET, HEAD"))
        try:
            if path == "/metrics":
                return _metrics(scrape, environ, start)
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
    """Start the answer `document` and return its body, which a HEAD does not get."""
    body = json.dumps(document).encode() + b"\n"
    known = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start(f"{status.value} {status.phrase}", [*known, *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _metrics(scrape: Callable[..., Any], environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    # Asked with GET always, so that a HEAD gets the length of the body it does not get.
    pieces = scrape(environ | {"REQUEST_METHOD": "GET"}, lambda *given: started.append(given))
    body = b"".join(pieces)
    (status, headers), *_ = started
    start(status, [*headers, ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
