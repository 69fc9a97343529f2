"""`slotgen dev`: the whole system on one machine, left running for a person to play with."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.support.errors import CliError, print_json
from worker.dev.demo.specs import ALLOWLIST

if TYPE_CHECKING:
    from worker.dev.stack import Stack


def dev(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Calls at once.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
) -> None:
    """Start an embedded Redis, a stand-in for OpenAI and a worker; Ctrl-C ends and cleans up.

    A key in the environment is never used unless --real is given.
    """
    from worker.dev.redis_server.binary import EmbeddedRedisError  # noqa: PLC0415 - heavy imports wait for the command
    from worker.dev.stack import NoKey, WorkerDied, stack  # noqa: PLC0415

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with stack(real=real, concurrency=concurrency) as running:
            running.shut()
            _show(running, as_json=as_json)
            while not stopped.wait(0.2):
                running.worker.check()
    except (NoKey, EmbeddedRedisError, WorkerDied) as error:
        raise CliError(str(error)) from None
    typer.echo("stopped, and cleaned up")


def _show(running: Stack, *, as_json: bool) -> None:
    cli = running.redis_cli
    if as_json:
        print_json(running.addresses())
        return
    typer.echo(f"""\
Redis    {running.redis_url}
OpenAI   {running.openai_url or "the real one: calls cost money"}
metrics  {running.metrics_url}
log      {running.log_path}

Every dial is shut: a job is answered by a STUB. In another terminal:

  export SLOTGEN_REDIS_URL={running.redis_url}
  {cli} MSET slotgen:feature true slotgen:rollout_percent 100
  {cli} -x SET slotgen:allowlist < {ALLOWLIST}
  {cli} SET slotgen:kill false       # open
  {cli} SET slotgen:kill true        # halt everything, calls in flight included

  {sys.executable} -m worker.dev.demo.send_one

Ctrl-C ends it all.""")
