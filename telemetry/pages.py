"""Answers one HTTP request to /metrics, /healthz or /readyz (WSGI, PEP 3333)."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app

from telemetry.logs import emit, error_location

_log = logging.getLogger("slotgen.exporter")
_Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Health:
    """The named checks of an answer; it is good when all of them are."""

    checks: dict[str, bool]

    @property
    def good(self) -> bool:
        """Whether every check passed."""
        return all(self.checks.values())


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    headers: _Headers
    body: bytes


_Page = Callable[[dict[str, Any]], _Answer]


def application(
    registry: CollectorRegistry, healthy: Callable[[], Health], ready: Callable[[], Health]
) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return the WSGI application; a check that raises reads as unavailable, and is logged."""
    pages: dict[str, _Page] = {
        "/metrics": lambda environ: _metrics(registry, environ),
        "/healthz": lambda _: _health(healthy),
        "/readyz": lambda _: _health(ready),
    }

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        given = _route(pages, environ)
        start(given.status, [*given.headers, ("Content-Length", str(len(given.body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [given.body]

    return answer


def _route(pages: dict[str, _Page], environ: dict[str, Any]) -> _Answer:
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        said = {"error": "only GET and HEAD are answered"}
        return _json(HTTPStatus.METHOD_NOT_ALLOWED, said, [("Allow", "GET, HEAD")])
    page = pages.get(environ["PATH_INFO"])
    if page is None:
        return _json(HTTPStatus.NOT_FOUND, {"error": "there are /metrics, /healthz and /readyz"})
    try:
        return page(environ)
    except Exception as error:  # noqa: BLE001 - the prober gets an answer whatever broke, the log the place
        emit(_log, logging.ERROR, "page_broke", page=environ["PATH_INFO"], **error_location(error))
        return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "unavailable", "checks": {}})


def _metrics(registry: CollectorRegistry, environ: dict[str, Any]) -> _Answer:
    started: list[tuple[str, _Headers]] = []
    # Asked with GET always, so that a HEAD gets the length of the body it does not get.
    body = make_wsgi_app(registry)(
        environ | {"REQUEST_METHOD": "GET"}, lambda status, headers: started.append((status, headers))
    )
    status, headers = started[0]
    return _Answer(status, headers, b"".join(body))


def _health(check: Callable[[], Health]) -> _Answer:
    health = check()
    status = HTTPStatus.OK if health.good else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, {"status": "ok" if health.good else "unavailable", "checks": health.checks})


def _json(status: HTTPStatus, document: dict[str, Any], headers: _Headers | None = None) -> _Answer:
    body = json.dumps(document).encode() + b"\n"
    kind = ("Content-Type", "application/json")
    return _Answer(f"{status.value} {status.phrase}", [kind, *(headers or [])], body)
