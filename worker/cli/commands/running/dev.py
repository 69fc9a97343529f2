"""`slotgen dev`: the whole system on one machine, left running to play with."""

import os
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import StoreUnavailable
from worker.adapters.redis.console.dials import RedisDials
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import refuses
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import answer, say
from worker.dev.demo.specs import ALLOWLIST, SPECS
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.stack import NoKey, Stack, WorkerDied, stack
from worker.settings.settings import Settings

_OWN = ("SLOTGEN_REDIS_URL", "SLOTGEN_REDIS_PASSWORD_FILE")


def dev(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for Redis, if it is free.")] = 6379,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1000, help="Concurrent calls.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start an embedded Redis, a stand-in for OpenAI and a worker; Ctrl-C stops and cleans up.

    The settings apply, except those of Redis and, without --real, those of OpenAI: a key in the environment
    is used only with --real. A process that ends by itself is restarted.
    """
    flags = {} if concurrency is None else {"concurrency": concurrency}
    inherited = [name for name in _OWN if os.environ.pop(name, None)]
    for name in [each for each in os.environ if each.startswith("OPENAI_") and not real]:
        del os.environ[name]
    settings = load_settings(redis_url=f"redis://127.0.0.1:{port}/0", **flags)
    names = [name for name in os.environ if name.startswith(("SLOTGEN_", "FEATURE_SLOTGEN_", "OTEL_"))]
    with (
        refuses(NoKey, EmbeddedRedisError, WorkerDied, StoreUnavailable),
        termination_held() as interruptible,
        stack(
            real=real,
            concurrency=settings.concurrency,
            settings={name: os.environ[name] for name in names},
            redis_port=port,
            persistent=True,
        ) as running,
        suppress(KeyboardInterrupt),
    ):
        RedisDials(running.client, settings.namespace).engage("dev", "slotgen dev", "not opened yet")
        addresses = {
            "redisUrl": running.redis_url,
            "openaiUrl": running.openai_url,
            "metricsUrl": running.metrics_url,
            "log": str(running.worker.log_path),
            "allowlist": str(ALLOWLIST),
            "workerPid": running.worker.pid,
        }
        lines = _lines(running, settings, port)
        if inherited:
            lines.insert(0, f"{' and '.join(inherited)}: not used here, since dev has a Redis of its own")
        answer(addresses, lines, as_json=as_json)
        while True:
            with interruptible():
                time.sleep(0.2)
            for each in running.revive():
                say(each, err=as_json)
    say("stopped, and cleaned up")


def _lines(running: Stack, settings: Settings, port: int) -> list[str]:
    allowlist = _near(ALLOWLIST)
    taken = "" if running.redis_server.port == port else f"   (port {port} is taken)"
    variables = f"SLOTGEN_REDIS_URL={running.redis_url}"
    if settings.namespace != "slotgen":
        variables += f" SLOTGEN_NAMESPACE={settings.namespace}"
    return [
        f"Redis    {running.redis_url}{taken}",
        f"OpenAI   {running.openai_url or 'the real one: calls cost money'}",
        f"metrics  {running.metrics_url}",
        f"log      {running.worker.log_path}",
        "",
        "Every dial is shut, so the first line brings STUBs; after the third it brings",
        "content. In another terminal:",
        "",
        f"  export {variables}",
        f"  slotgen enqueue {_near(SPECS[0])} --wait",
        "  slotgen status",
        *f'  slotgen enable --allowlist {allowlist} \\\n    --percent 100 --reason "trying it"'.split("\n"),
        "",
        "Ctrl-C ends it all.",
    ]


def _near(path: Path) -> str:
    """Return `path` as it is shortest from here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
