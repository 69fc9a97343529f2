"""`slotgen webhook`: lets Alertmanager halt the fleet."""

import logging
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tasks.operations.changes.dials import Engaged
from telemetry import PortUnavailable, configure, emit
from telemetry.exporter import BOUNDS, listen
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import answer
from worker.settings import secret_files
from worker.web.alert_webhook import MAX_REQUEST_BYTES, AlertWebhook, weakness

_log = logging.getLogger("slotgen.webhook")
_BOUNDS = replace(BOUNDS, request_bytes=MAX_REQUEST_BYTES)


def webhook(
    *,
    token_file: Annotated[Path, typer.Option(help="A file with the token that callers must send.")],
    port: Annotated[
        int, typer.Option(help="Port to listen on, 0 for any free one.", min=0, max=65535)
    ] = 9465,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Listen for alerts, and halt the fleet when one fires: POST /halt. It can only halt, never release."""
    settings = load_settings()
    try:
        secret = secret_files.read(token_file)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise CliError(
            f"the token file {token_file} cannot be used ({why}); write one line into it"
        ) from None
    token = secret.get_secret_value()
    if weak := weakness(token):
        raise CliError(
            f"the token in {token_file} could be guessed ({weak}); "
            f"make one: openssl rand -base64 32 > {token_file}"
        )
    configure(settings.log_level)
    for each in filter(None, [secret.exposed, *settings.exposed_files]):
        emit(_log, logging.WARNING, "secret_file_exposed", problem=each)
    with open_redis(settings) as client, termination_held() as interruptible:

        def engage(reason: str, record: bool) -> Engaged:  # noqa: FBT001 - the port of AlertWebhook
            return pull(
                client,
                settings.namespace,
                actor="alertmanager",
                command="slotgen webhook",
                reason=reason,
                record=record,
            )

        with refuses(PortUnavailable):
            server = listen(AlertWebhook(token, engage), host=host, port=port, bounds=_BOUNDS)
        address = f"http://{host}:{server.port}/halt"
        with closing(server), suppress(KeyboardInterrupt), interruptible():
            words = f"a POST to {address} with the token halts the fleet"
            answer({"listening": address}, [words], as_json=as_json)
            threading.Event().wait()
