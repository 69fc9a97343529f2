"""`slotgen dev`: the whole system on one machine, left running for a person to play with."""

import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from worker.cli.support.errors import refuses
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import answer, say
from worker.dev.demo.specs import ALLOWLIST
from worker.dev.redis_server.binary import EmbeddedRedisError, find_redis_server
from worker.dev.stack import NoKey, Stack, WorkerDied, stack


def dev(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Calls at once.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Start an embedded Redis, a stand-in for OpenAI and a worker; Ctrl-C ends and cleans up.

    A key in the environment is never used unless --real is given.
    """
    with (
        refuses(NoKey, EmbeddedRedisError, WorkerDied),
        termination_held() as interruptible,
        stack(real=real, concurrency=concurrency) as running,
        suppress(KeyboardInterrupt),
    ):
        running.shut()
        addresses = {
            "redisUrl": running.redis_url,
            "openaiUrl": running.openai_url,
            "metricsUrl": running.metrics_url,
            "log": str(running.worker.log_path),
            "allowlist": str(ALLOWLIST),
            "workerPid": running.worker.pid,
        }
        answer(addresses, _shown(running).split("\n"), as_json=as_json)
        while True:
            with interruptible():
                time.sleep(0.2)
            running.worker.check()
    say("stopped, and cleaned up")


def _shown(running: Stack) -> str:
    beside_the_server = find_redis_server().parent / "redis-cli"
    cli = f"{beside_the_server if beside_the_server.exists() else 'redis-cli'} -u {running.redis_url}"
    return f"""\
Redis    {running.redis_url}
OpenAI   {running.openai_url or "the real one: calls cost money"}
metrics  {running.metrics_url}
log      {running.worker.log_path}

Every dial is shut: a job is answered by a STUB. In another terminal:

  export SLOTGEN_REDIS_URL={running.redis_url}
  {cli} MSET slotgen:feature true slotgen:rollout_percent 100
  {cli} -x SET slotgen:allowlist < {ALLOWLIST}
  {cli} SET slotgen:kill false       # open
  {cli} SET slotgen:kill true        # halt everything, calls in flight included

  {sys.executable} -m worker.dev.demo.send_one

Ctrl-C ends it all."""
