"""Answers the webhook of an Alertmanager, or of anything else that holds the token, by halting the fleet."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Self
from wsgiref.types import StartResponse, WSGIEnvironment

import redis

from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged
from telemetry import emit
from telemetry.exporter import BOUNDS
from telemetry.pages import answer_json
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.web.allowance import Allowance
from worker.web.token import is_token

_log = logging.getLogger("slotgen.webhook")
# Alertmanager sends a group of alerts in one request.
MAX_BODY_BYTES = 1 << 20
# Head and body of a request.
MAX_REQUEST_BYTES = MAX_BODY_BYTES + BOUNDS.request_bytes
_MAX_REASON = 300

# Some senders put what others post.
SENDING = {"POST", "PUT", "PATCH"}

Answer = tuple[HTTPStatus, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AlertWebhook:
    """POST /halt with `Authorization: Bearer <token>` halts; it never releases. It is a WSGI application.

    `halt(reason, record)` halts the fleet, with an entry in the audit if `record`, and says by which way; it
    may raise StoreUnavailable. Whoever holds the token may halt, whatever the body says and however it is
    sent; only a body that clearly speaks of nothing but resolved alerts does not. Every such request halts;
    of a flood, a few are recorded. Wrong tokens, however many, keep out no right one.
    """

    token: str
    halt: Callable[[str, bool], Engaged]
    records: Allowance = field(default_factory=Allowance)
    refusals: Allowance = field(default_factory=Allowance)

    @classmethod
    def of(cls, token: str, client: redis.Redis, namespace: str) -> Self:
        """Return the webhook of a fleet."""
        halt = partial(pull, client, namespace, actor="alertmanager", command="slotgen webhook")
        return cls(token, lambda reason, record: halt(reason=reason, record=record))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        return answer_json(environ, start_response, *self._answer(environ))

    def _answer(self, environ: dict[str, Any]) -> Answer:
        method, path = environ["REQUEST_METHOD"], asked_path(environ["PATH_INFO"])
        if (method, path) == ("GET", "/healthz"):
            return HTTPStatus.OK, {"status": "ok"}
        if path != "/halt":
            return HTTPStatus.NOT_FOUND, {"error": "there are POST /halt and GET /healthz"}
        if method not in SENDING:
            return HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only POST halts"}
        return self.refusal(environ.get("HTTP_AUTHORIZATION", "")) or self.answer(_body(environ))

    def refusal(self, authorization: str) -> Answer | None:
        """Return the answer to who sends this header, its bytes read as Latin-1; None to who may halt."""
        if is_token(self.token, authorization):
            return None
        left_out = self.refusals.take()
        if left_out is not None:
            emit(_log, logging.WARNING, "webhook_refused", unlogged_before=left_out)
        return HTTPStatus.UNAUTHORIZED, {"error": "send Authorization: Bearer and the webhook's token"}

    def answer(self, body: bytes) -> Answer:
        """Halt, unless `body` clearly speaks of nothing but resolved alerts, and return what to answer."""
        firing = _firing(body)
        if firing is None:
            why = "every alert is resolved; people release the kill switch"
            return HTTPStatus.OK, {"halted": False, "why": why}
        reason = _reason(firing)
        try:
            halted = self.halt(reason, self.records.take() is not None)
        except StoreUnavailable:
            emit(_log, logging.ERROR, "webhook_halt_failed")
            # The sender tries again; until then workers that cannot reach Redis halt by themselves.
            return HTTPStatus.SERVICE_UNAVAILABLE, {"halted": False, "why": "Redis did not answer"}
        emit(_log, logging.WARNING, "webhook_halted", by=halted.by, reason=reason)
        answer = {"halted": True, "by": halted.by}
        if not halted.key_set:
            # The workers that run are halted. The sender tries again, and so the key is set once that can be.
            return HTTPStatus.SERVICE_UNAVAILABLE, answer | {"why": f"the key is not set: {halted.refusal}"}
        return HTTPStatus.OK, answer


def asked_path(asked: str) -> str:
    """Return the path of a request whose target may be a whole URL, or end with a slash."""
    path = asked.partition("://")[2] if "://" in asked else asked
    return path[path.find("/") :].rstrip("/")


def _body(environ: dict[str, Any]) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    try:
        body: bytes = environ["wsgi.input"].read(min(max(length, 0), MAX_BODY_BYTES))
    except OSError:
        # Fewer bytes came than were promised: who sent them may halt all the same.
        return b""
    return body


def _firing(body: bytes) -> list[str] | None:
    """Return the names of the alerts that fire, as far as they can be read; None when all are resolved.

    A long group is cut off: what it says of itself counts, too.
    """
    try:
        group = json.loads(body)
        states = [(each["status"], str(each["labels"].get("alertname", ""))) for each in group["alerts"]]
        is_whole = group.get("status", "resolved") == "resolved" and not group.get("truncatedAlerts")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    if states and is_whole and all(status == "resolved" for status, _ in states):
        return None
    return [name for status, name in states if status != "resolved"]


def _reason(firing: list[str]) -> str:
    # Names only: labels and annotations are somebody's text, and go to the audit.
    names = sorted({name for name in firing if name.isascii() and name.isidentifier()})
    return f"alert {', '.join(names)}"[:_MAX_REASON] if names else "a webhook without an alert's name"
