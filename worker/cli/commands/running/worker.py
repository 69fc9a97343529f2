"""`slotgen worker`: consumes the queue until it is told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.support.errors import CliError
from worker.process.freeze_imports import freeze_imports

ORDER = 2


def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Calls at once of this process [SLOTGEN_CONCURRENCY].")
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
    """Consume jobs from the queue. SIGTERM finishes what has begun and returns the rest."""
    with freeze_imports():
        from tasks.executor_config import (  # noqa: PLC0415 - heavy imports wait for the command
            BadExecutorConfig,
        )
        from telemetry import PortUnavailable  # noqa: PLC0415
        from worker.process import lifecycle  # noqa: PLC0415
        from worker.settings import settings  # noqa: PLC0415

    try:
        loaded = settings.load(concurrency=concurrency, metrics_port=metrics_port)
        code = lifecycle.run(loaded)
    except (settings.BadSetting, BadExecutorConfig, PortUnavailable, lifecycle.PackagesCollide) as error:
        raise CliError(str(error)) from None
    raise typer.Exit(code)
