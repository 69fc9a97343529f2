"""`slotgen worker`: consumes the queue until it is stopped."""

from typing import Annotated

import typer

from tasks.executor_config import BadExecutorConfig
from telemetry import PortUnavailable
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import refuses
from worker.process import lifecycle
from worker.settings.settings import BadSetting

ORDER = 2


def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Concurrent calls of this process [SLOTGEN_CONCURRENCY].")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of /metrics, 0 for any free one [SLOTGEN_METRICS_PORT].")
    ] = None,
    *,
    as_json: Annotated[  # noqa: ARG001 - every command has --json; here it is always on
        bool,
        typer.Option(
            "--json", help="JSON lines on stdout; the worker never writes anything else.", show_default=False
        ),
    ] = True,
) -> None:
    """Consume jobs from the queue. On SIGTERM, finish what has started and return the rest."""
    settings = load_settings(concurrency=concurrency, metrics_port=metrics_port)
    with refuses(BadSetting, BadExecutorConfig, PortUnavailable, lifecycle.PackagesCollide):
        code = lifecycle.run(settings)
    raise typer.Exit(code)
