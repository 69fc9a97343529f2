"""`slotgen enqueue`: sends any number of job specs, and collects their answers."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import Status, StoreUnavailable
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import CliError
from worker.cli.support.in_the_way import in_the_way
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.views.enqueue_screen import Screen
from worker.client.again import jobs_to_send_again
from worker.client.bulk_sender import BulkSender, FlowControl, RefusedSpec
from worker.client.checkpoint import BadCheckpoint, Checkpoint
from worker.client.producer import Producer
from worker.client.reader import Reader
from worker.client.sources import BadSource, count, files, items
from worker.settings.redis_url import address
from worker.settings.settings import Settings

ORDER = 1


def enqueue(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="JSON or JSON Lines files, or folders of them; - is stdin.",
            metavar="FILES",
            show_default=False,
        ),
    ] = None,
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Print each job's answer as a JSON line, in the order of the input."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first invalid spec.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Continue from the file that an interrupted run left.")
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, max=100_000, help="With --wait: how many specs may be unanswered at once.")
    ] = 1000,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Pause while more messages than this are on the queue.")
    ] = 10_000,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="With --wait: seconds after which to give up on a spec.")
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            metavar="ANSWERS",
            help="What an earlier --wait has printed: send only its STUBs, and what FAILED through no fault "
            "of the job.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send job specs to the queue. Each is checked first, by the worker's own rules.

    Without --wait, it prints a line with the task id of each spec. Invalid specs are reported with their
    lines and skipped. Exit 1 if a spec was invalid or got no answer, or a job FAILED. Ctrl-C leaves a file
    for --resume, which continues with the options of that run.
    """
    if bool(inputs) == bool(resume):
        raise typer.BadParameter("name FILES, or --resume FILE (which knows them), and not both")
    if again and resume:
        raise typer.BadParameter("the file of --resume remembers the one of --again: leave --again out")
    settings = load_settings()
    queue = f"{settings.namespace} at {address(settings.redis_url)}"
    path = resume.absolute() if resume else _fresh_path()
    try:
        if resume:
            checkpoint = _resumed(path, queue, settings.result_ttl_seconds)
        else:
            terms = {"window": window, "max_queue": max_queue, "timeout_seconds": timeout, "strict": strict}
            checkpoint = Checkpoint(_folder(), inputs or [], wait, queue, str(again or ""), terms)
        _run(checkpoint, path, settings, as_json=as_json)
    except (BadSource, BadCheckpoint) as error:
        raise CliError(str(error)) from None
    if any(each.startswith(("refused", "unanswered", Status.FAILED)) for each in checkpoint.counts):
        raise typer.Exit(1)


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError as error:
        raise CliError(f"the current folder cannot be read ({error.strerror}); go to another one") from None


def _fresh_path() -> Path:
    return Path(f"slotgen-enqueue-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.resume")


def _resumed(path: Path, queue: str, result_ttl_seconds: int) -> Checkpoint:
    checkpoint = Checkpoint.read(path, result_ttl_seconds)
    if checkpoint.queue != queue:
        raise BadCheckpoint(
            f"{path}: was begun on {checkpoint.queue}, and this is {queue}; set SLOTGEN_REDIS_URL so"
        )
    try:
        os.chdir(checkpoint.folder)
    except OSError as error:
        raise BadCheckpoint(
            f"{path}: was begun in {checkpoint.folder} ({error.strerror}); restore it"
        ) from None
    return checkpoint


def _run(checkpoint: Checkpoint, path: Path, settings: Settings, *, as_json: bool) -> None:
    sources = files(checkpoint.inputs)
    job_ids = jobs_to_send_again(Path(checkpoint.again)) if checkpoint.again else None
    reader = Reader(checkpoint.remaining(items(sources, job_ids)))
    total = count(sources, job_ids)
    with (
        Producer.open(
            settings.redis_url, namespace=settings.namespace, max_message_bytes=settings.max_message_bytes
        ) as producer,
        nullcontext(
            Screen(checkpoint, total, as_json, partial(in_the_way, producer.clients[""], settings))
        ) as screen,
        # Outside: a second Ctrl-C must not end what the first one has begun.
        termination_held() as interruptible,
        _resumable(checkpoint, path, screen),
        screen.shown(),
    ):
        reader.start()
        BulkSender(producer, reader, checkpoint, screen, FlowControl(**checkpoint.terms), interruptible).run()


@contextmanager
def _resumable(checkpoint: Checkpoint, path: Path, screen: Screen) -> Iterator[None]:
    """Leave the checkpoint at `path` when the run ends before its work, and say how to go on."""
    try:
        yield
    except BaseException as error:
        begun = bool(checkpoint.position or checkpoint.waiting)
        if begun:
            _leave(checkpoint, path)
        screen.finish(str(path) if begun else None)
        why = _why(error)
        if why is None:
            raise
        again = ", with the same standard input" if "-" in checkpoint.inputs else ""
        go_on = f"go on with: slotgen enqueue --resume {shlex.quote(str(path))}{again}"
        raise CliError(f"{why}; {go_on if begun else 'nothing was sent'}") from None
    # A disk that is read-only refuses even where there is no such file; a file that stays does no harm.
    with suppress(OSError):
        path.unlink()
    screen.finish(None)


def _leave(checkpoint: Checkpoint, path: Path) -> None:
    try:
        checkpoint.write(path)
    except OSError as error:
        raise CliError(
            f"ended early, and {path} cannot be written ({error.strerror}): there is nothing to resume from. "
            "Sending everything again is safe, what was paid is not paid again"
        ) from None


def _why(error: BaseException) -> str | None:
    """Return in words what ended the run; None for what is unexpected."""
    match error:
        case KeyboardInterrupt():
            return "interrupted"
        case OSError():
            gone = isinstance(error, BrokenPipeError)
            return "the reader of the answers has gone" if gone else f"cannot write ({error.strerror})"
        case RefusedSpec():
            return f"{error}\nstopped there (--strict); mend it"
        case BadSource() | BadCheckpoint() | StoreUnavailable():
            return str(error)
    return None
