"""`slotgen webhook`: lets an Alertmanager pull the brake."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.signals import termination_interrupts


def webhook(
    *,
    token_file: Annotated[Path, typer.Option(help="A file with the token that callers must send.")],
    port: Annotated[
        int, typer.Option(help="Port to listen on, 0 for any free one.", min=0, max=65535)
    ] = 9465,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Listen for alerts, and pull the brake when one fires: POST /halt. It can engage only, never release."""
    from telemetry import PortUnavailable, configure  # noqa: PLC0415 - heavy imports wait for the command
    from telemetry.exporter import listen  # noqa: PLC0415
    from worker.adapters.redis.console.kill_switch_lever import pull  # noqa: PLC0415
    from worker.settings import secret_files  # noqa: PLC0415
    from worker.web.alert_webhook import AlertWebhook  # noqa: PLC0415

    settings = load_settings()
    try:
        token = secret_files.read(token_file).get_secret_value()
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise CliError(
            f"the token file {token_file} cannot be used ({why}); write one line into it"
        ) from None
    configure(settings.log_level)
    with open_redis(settings) as client, termination_interrupts():

        def engage(reason: str) -> str:
            engaged = pull(
                client, settings.namespace, actor="alertmanager", command="slotgen webhook", reason=reason
            )
            return engaged.by

        try:
            server = listen(AlertWebhook(token, engage), host=host, port=port)
        except PortUnavailable as error:
            raise CliError(str(error)) from None
        try:
            _say(f"http://{host}:{server.port}/halt", as_json=as_json)
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.close()


def _say(address: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"listening": address})
    else:
        typer.echo(f"a POST to {address} with the token pulls the brake")
