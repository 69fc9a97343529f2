"""Puts `slotgen web` together."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from worker.adapters.redis.clients import open_sync
from worker.settings.settings import Settings
from worker.web.access import Access, Proxy
from worker.web.alert_webhook import AlertWebhook
from worker.web.application import Application
from worker.web.door import origins
from worker.web.halting import HaltButton
from worker.web.page import Pages
from worker.web.status import StatusReader, StatusSource

# What reads the status gives up sooner than what halts.
_READ_SECONDS = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Entrances:
    """Who may come in: by the page's `token`, through a `proxy`, and alerts by a token of their own."""

    token: str | None
    proxy: Proxy | None
    webhook_token: str | None


@contextmanager
def application(
    settings: Settings, entrances: Entrances, listening: socket.socket, urls: list[str]
) -> Iterator[ASGIApp]:
    """Give the application for the port of `listening`, which browsers reach as localhost or by `urls`.

    Raises:
        ValueError: one of `urls` is none; the text has it.

    """
    port, namespace = listening.getsockname()[1], settings.namespace
    known = origins([*(f"http://{each}:{port}" for each in _LOOPBACK), *urls])
    token, alerts = entrances.token, entrances.webhook_token
    with (
        open_sync(settings.redis_url) as client,
        open_sync(settings.redis_url, timeout_seconds=_READ_SECONDS) as reader,
    ):
        answers = Application(
            access=Access(token, entrances.proxy),
            button=HaltButton(client, reader, namespace),
            status=StatusReader(StatusSource(reader, settings)),
            pages=Pages(namespace, settings.brake_grace_seconds, by_token=token is not None),
            webhook=AlertWebhook.of(alerts, client, namespace) if alerts else None,
            # A browser sends a cookie to every port of a host.
            cookie=f"slotgen-{port}",
        )
        try:
            yield answers.asgi(known)
        finally:
            answers.close()
