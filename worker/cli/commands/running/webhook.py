"""`slotgen webhook`: lets Alertmanager halt the fleet."""

import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from telemetry import PortUnavailable
from telemetry.exporter import BOUNDS, listen
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import refuses
from worker.cli.support.options import AsJson, Host, Port
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import answer
from worker.cli.support.tokens import log_to_stdout, read_token
from worker.web.alert_webhook import MAX_REQUEST_BYTES, AlertWebhook

_BOUNDS = replace(BOUNDS, request_bytes=MAX_REQUEST_BYTES)


def webhook(
    *,
    token_file: Annotated[Path, typer.Option(help="A file with the token that callers must send.")],
    port: Port = 9465,
    host: Host = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Listen for alerts, and halt the fleet when one fires: POST /halt. It can only halt, never release."""
    settings = load_settings()
    token = read_token(token_file)
    log_to_stdout(settings, token)
    with open_redis(settings) as client, termination_held() as interruptible:
        with refuses(PortUnavailable):
            answers = AlertWebhook.of(token.get_secret_value(), client, settings.namespace)
            server = listen(answers, host=host, port=port, bounds=_BOUNDS)
        address = f"http://{host}:{server.port}/halt"
        with closing(server), suppress(KeyboardInterrupt), interruptible():
            words = f"a POST to {address} with the token halts the fleet"
            answer({"listening": address}, [words], as_json=as_json)
            threading.Event().wait()
