"""`slotgen enqueue`: sends job specs, as many as there are, and collects their answers."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.connection import load_settings
from worker.cli.dial_change import AsJson
from worker.cli.interruption import endings_held
from worker.cli.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.cli.enqueue_screen import Screen
    from worker.producing.bookmark import Bookmark
    from worker.producing.feeding import Pace


def enqueue(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="JSON or JSON Lines files, folders of them; - is stdin.", show_default=False),
    ] = None,
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Print each job's answer as a JSON line, in the order of the input."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first invalid spec.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from the file that an interrupted run left.")
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, max=100_000, help="With --wait: specs that may be unanswered at once.")
    ] = 1000,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Pause while more messages than this are on the queue.")
    ] = 10_000,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="With --wait: seconds after which one spec is given up.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send job specs to the queue; each is checked first, by the rules of the worker.

    Without --wait a line for each spec names its task id. Invalid specs are reported with their lines and
    passed over; then, or when a spec got no answer, the exit code is 1. Ctrl-C leaves a file for --resume.
    """
    from worker.producing.bookmark import BadBookmark, Bookmark  # noqa: PLC0415 - heavy imports wait
    from worker.producing.feeding import Pace  # noqa: PLC0415
    from worker.producing.sources import BadSource  # noqa: PLC0415

    if bool(inputs) == bool(resume):
        raise typer.BadParameter("name the inputs, or the file of --resume (which knows them), and not both")
    resume = resume.absolute() if resume else None
    try:
        bookmark = _resumed(resume) if resume else Bookmark(str(Path.cwd()), inputs or [], wait)
        pace = Pace(window, max_queue, timeout, strict)
        _run(bookmark, pace, resume or _fresh_path(), as_json=as_json)
    except (BadSource, BadBookmark) as error:
        raise Refusal(str(error)) from None
    if bookmark.counts["refused"] or bookmark.counts["unanswered"]:
        raise typer.Exit(1)


def _run(bookmark: Bookmark, pace: Pace, path: Path, *, as_json: bool) -> None:
    from worker.cli.enqueue_screen import Screen  # noqa: PLC0415 - heavy imports wait for the command
    from worker.producing.feeding import Feeder  # noqa: PLC0415
    from worker.producing.producer import Producer  # noqa: PLC0415
    from worker.producing.reader import Reader  # noqa: PLC0415
    from worker.producing.sources import count, files, items  # noqa: PLC0415

    settings = load_settings()
    sources = files(bookmark.inputs)
    screen = Screen(bookmark, count(sources), as_json)
    reader = Reader(bookmark.remaining(items(sources)))
    with (
        Producer.open(
            settings.redis_url, namespace=settings.namespace, max_message_bytes=settings.max_message_bytes
        ) as producer,
        _ended_well(bookmark, path, screen, settings.redis_url),
        endings_held() as interruptible,
        screen.shown(),
    ):
        reader.start()
        Feeder(producer, reader, bookmark, screen, pace, interruptible).run()


@contextmanager
def _ended_well(bookmark: Bookmark, path: Path, screen: Screen, url: str) -> Iterator[None]:
    """Leave the bookmark at `path` when the run ends before its work, and say how to go on."""
    from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy imports wait for the command
    from worker.producing.feeding import RefusedSpec  # noqa: PLC0415

    why = ""
    try:
        yield
    except KeyboardInterrupt:
        why = "interrupted"
    except BrokenPipeError:
        why = "nobody reads the answers any more"
        # The interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except RefusedSpec as refused:
        why = f"{refused}\nstopped there (--strict); mend it"
    except StoreUnavailable as error:
        why = f"Redis at {url.rpartition('@')[2]} did not answer ({error})"
    if not why:
        path.unlink(missing_ok=True)
        screen.finish(None)
        return
    begun = bool(bookmark.position or bookmark.waiting)
    if begun:
        _leave(bookmark, path)
    screen.finish(str(path) if begun else None)
    raise Refusal(
        f"{why}; go on with: slotgen enqueue --resume {path}" if begun else f"{why}; nothing was sent"
    )


def _leave(bookmark: Bookmark, path: Path) -> None:
    try:
        bookmark.write(path)
    except OSError as error:
        raise Refusal(
            f"ended early, and {path} cannot be written ({error.strerror}): there is nothing to resume from. "
            "Sending everything again is safe, what was paid is not paid again"
        ) from None


def _resumed(path: Path) -> Bookmark:
    from worker.producing.bookmark import BadBookmark, Bookmark  # noqa: PLC0415 - heavy imports wait

    bookmark = Bookmark.read(path)
    try:
        os.chdir(bookmark.folder)
    except OSError as error:
        raise BadBookmark(f"{path}: was begun in {bookmark.folder} ({error.strerror}); restore it") from None
    return bookmark


def _fresh_path() -> Path:
    return Path(f"slotgen-enqueue-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json")
