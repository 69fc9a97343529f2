"""Runs one worker process from start to end: Celery's signals, and what happens in which order."""

import importlib
import logging
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

from celery import signals

from telemetry import configure, emit, error_location
from worker.adapters.celery.consumer import consume
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.safety import hazards
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.process.composition import Composition, compose
from worker.process.freeze_imports import freeze_imports
from worker.settings.settings import BadSetting, Settings

_log = logging.getLogger("slotgen.worker")
_HAZARD_SECONDS = 2.0
# Waiting messages are answered first: importing the SDK and asking Redis would compete with them for the
# interpreter.
_FIRST_ANSWERS_SECONDS = 0.5
# Besides its calls: Redis, threads and the loop (27 at rest), and the clients of the metrics port.
_OTHER_FILES = 128
_PACKAGES = ("gates", "schemas", "tasks", "telemetry")


class PackagesCollide(Exception):  # noqa: N818 - reads as what it is
    """Another distribution in this environment has a package with one of our names."""


def refuse_collision() -> None:
    """Make sure that our five packages come from one place.

    Their names are generic: pip silently merges a foreign `tasks` or `worker` into ours.
    """
    ours = _root("worker")
    for name in _PACKAGES:
        if (root := _root(name)) != ours:
            raise PackagesCollide(
                f"package {name!r} comes from {root}, not from slotgen's {ours}; "
                "install slotgen into an environment of its own"
            )


def _root(package: str) -> Path | None:
    file = importlib.import_module(package).__file__
    return Path(file).resolve().parents[1] if file else None


def run(settings: Settings) -> int:
    """Run the worker until it is asked to stop; return its exit code (0 done, 1 failed).

    On SIGTERM or SIGINT it finishes what ends within the shutdown grace, and returns the rest to the queue.
    Raises what `compose` raises, and BadSetting if fewer files may be open than its calls need.
    """
    refuse_collision()
    # A core dump would contain the keys and the jobs in flight.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allow_files(settings.concurrency)
    configure(settings.log_level)
    for each in settings.exposed_files:
        emit(_log, logging.WARNING, "secret_file_exposed", problem=each)
    # A thread that reads the dials waits this long for the interpreter while the loop is busy, several times
    # in a read; with the default of 5 ms a healthy Redis looked 280 ms slow.
    sys.setswitchinterval(0.001)
    with freeze_imports():
        composition = compose(settings)
    try:
        return _consume(settings, composition)
    finally:
        composition.close()
        emit(_log, logging.INFO, "worker_stopped")


def _allow_files(concurrency: int) -> None:
    """Raise the soft limit of open files to what the calls need; refuse to run if the hard one is lower."""
    needed = concurrency + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        fewer = f", or set SLOTGEN_CONCURRENCY to at most {hard - _OTHER_FILES}" * (hard > _OTHER_FILES)
        raise BadSetting(
            f"SLOTGEN_CONCURRENCY is {concurrency}, which takes {needed} open files, and RLIMIT_NOFILE is "
            f"{hard}; raise that (`ulimit -n {needed}`, LimitNOFILE={needed} of systemd){fewer}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _consume(settings: Settings, composition: Composition) -> int:
    # Connecting this signal, even to nothing, keeps Celery's hands off the logging we have configured.
    signals.setup_logging.connect(lambda **_: None, weak=False)

    def announce(**_: Any) -> None:
        composition.health.consuming = True
        composition.open_model_soon(_FIRST_ANSWERS_SECONDS)
        examine = threading.Timer(_FIRST_ANSWERS_SECONDS, _warn_of_hazards, [settings])
        examine.daemon = True
        examine.start()
        emit(
            _log,
            logging.INFO,
            "worker_ready",
            concurrency=settings.concurrency,
            metrics_port=composition.metrics_port,
            namespace=settings.namespace,
            pid=os.getpid(),
        )

    def close_door(**_: Any) -> None:
        # A signal handler: it interrupts the main thread, whatever locks that holds, so it takes none.
        composition.health.consuming = False
        composition.return_unfinished(settings.shutdown_grace_seconds)

    signals.worker_ready.connect(announce, weak=False)
    signals.worker_shutting_down.connect(close_door, weak=False)
    return consume(composition.app, composition.pool, settings.concurrency)


def _warn_of_hazards(settings: Settings) -> None:
    """Log which Redis settings could lose the dials or the queue; that is the operator's choice."""
    try:
        with open_sync(settings.redis_url, timeout_seconds=_HAZARD_SECONDS) as client:
            found = hazards(client)
    except REDIS_ERRORS as error:
        emit(_log, logging.WARNING, "redis_not_examined", **error_location(error))
        return
    for each in found:
        emit(
            _log, logging.WARNING, "redis_unsafe", setting=each.setting, value=each.value, remedy=each.remedy
        )
