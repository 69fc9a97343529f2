"""What `slotgen enqueue` shows: answers on stdout, one JSON document a line; everything else on stderr."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from rich import progress as bars
from rich.console import Group, RenderableType
from rich.live import Live

from tasks.delivery import Delivery
from tasks.errors import StoreUnavailable
from worker.cli.support.console import ContentConsole, words
from worker.cli.support.terminal import STATUS_COLOURS, print_json, say
from worker.client.checkpoint import Checkpoint
from worker.client.producer import Sent
from worker.client.sources import Item

_STATUSES = tuple(STATUS_COLOURS)
# On a stderr that is no terminal (a log), a line this often.
_LINE_EVERY_SECONDS = 10.0
_DRAW_EVERY_SECONDS = 0.2
# Whoever waits this long without an answer hears why; as often is looked again.
_PATIENCE_SECONDS = 2.0


@dataclass(slots=True)
class Screen:
    """The listener of one run, of `total` specs; None where that is not known yet.

    `in_the_way` says what keeps content from coming, or with `of_answers=True` answers at all.
    """

    checkpoint: Checkpoint
    total: int | None
    as_json: bool
    in_the_way: Callable[..., list[str]] = lambda **_: []
    _progress: bars.Progress | None = None
    _task: bars.TaskID | None = None
    _live: Live | None = None
    _in_the_way: str = ""
    _said_mono: float = field(default_factory=time.monotonic)
    _began: tuple[float, int] = (0.0, 0)
    # When an answer came last, or was looked for in vain, and how many there were.
    _moved: tuple[float, int] = (0.0, 0)
    _explained: set[str] = field(default_factory=set)

    def shown(self) -> AbstractContextManager[Any]:
        """Draw the bar inside the block, if stderr is a terminal."""
        self._began = (time.monotonic(), self._done)
        self._moved = self._began
        self._explain("")
        if self.as_json or not sys.stderr.isatty():
            return nullcontext()
        columns = [bars.BarColumn(), bars.MofNCompleteColumn(), bars.TextColumn("specs")]
        # How much is left of a pipe is unknown.
        columns += [bars.TextColumn("left:"), bars.TimeRemainingColumn()] if self.total is not None else []
        columns += [bars.TextColumn("{task.fields[rate]}")]
        self._progress = bars.Progress(*columns)
        self._task = self._progress.add_task("specs", total=self.total, completed=self._done, rate="")
        # What goes to a file must not pass through the console of stderr.
        self._live = Live(
            get_renderable=self._drawn,
            console=ContentConsole(stderr=True),
            # By the thread that also writes: another one might draw over what was written.
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
        )
        return self._live

    def failed(self, place: str, task_id: str | None, problem: str) -> None:
        """Say on stderr which spec was not sent (no task id) or has no answer, and why."""
        if self.as_json:
            document = {"place": place, "taskId": task_id, "problem": problem}
            print_json({"problem": document}, indent=None, err=True)
            return
        # While the bar stands, stderr is the console's, which puts the lines above it.
        say(*(f"{place}: {line}" for line in problem.splitlines()), err=True)

    def sent(self, item: Item, sent: Sent) -> None:
        """Print the receipt of one spec."""
        print_json({"source": item.source, "line": item.number, "taskId": sent.task_id}, indent=None)

    def delivered(self, delivery: Delivery) -> None:
        """Print one job's delivery v1."""
        print_json(delivery.as_document(), indent=None)

    def looked(self, queue_depth: int, problem: str) -> None:
        """Bring the bar, or the log, up to date, and say once what keeps answers from coming."""
        self._explain_silence()
        self._in_the_way = problem or (f"{queue_depth:,} on the queue" if queue_depth else "")
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=self._done, rate=f"{self._per_second():,.0f}/s")
            if self._live and time.monotonic() - self._said_mono > _DRAW_EVERY_SECONDS:
                self._said_mono = time.monotonic()
                self._live.refresh()
        elif not self.as_json and time.monotonic() - self._said_mono > _LINE_EVERY_SECONDS:
            self._said_mono = time.monotonic()
            pace = f"{self._per_second():,.0f}/s; {self._in_the_way or 'going on'}"
            say(f"{self.summary()} ({pace})", err=True)

    def _explain_silence(self) -> None:
        (moved_mono, done), now_mono = self._moved, time.monotonic()
        if done != self._done:
            self._moved = now_mono, self._done
        elif self.checkpoint.wait and now_mono - moved_mono > _PATIENCE_SECONDS:
            self._moved = now_mono, done
            self._explain("no answer yet: ", of_answers=True)

    def _explain(self, before: str, *, of_answers: bool = False) -> None:
        found: set[str] = set()
        # A Redis that does not answer is the sender's to report.
        with suppress(StoreUnavailable):
            found = set(self.in_the_way(of_answers=of_answers))
        for each in sorted(found - self._explained):
            if self.as_json:
                print_json({"inTheWay": each}, indent=None, err=True)
            else:
                say(f"{before}{each}", err=True)
        self._explained = found

    def summary(self) -> str:
        """Return what was done, in a line."""
        counts = self.checkpoint.counts
        of = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"sent {counts['sent']:,}{of} {'spec' if self.total == 1 else 'specs'}"]
        parts += [f"answered {counts['answered']:,}"] if self.checkpoint.wait else []
        parts += [f"refused {counts['refused']:,}"] if counts["refused"] else []
        parts += [f"without an answer {counts['unanswered']:,}"] if counts["unanswered"] else []
        return ", ".join(parts) + "".join(f"; {word} {number:,}" for word, number in self._outcomes())

    def finish(self, resume: str | None) -> None:
        """Print the summary on stderr; `resume` names the file from which an ended run goes on."""
        if self.as_json:
            counts = self.checkpoint.counts
            summary = {each: counts[each] for each in ("sent", "answered", "refused", "unanswered")}
            document = summary | {"outcomes": dict(self._outcomes()), "resume": resume}
            print_json({"summary": document}, indent=None, err=True)
        else:
            say(self.summary(), err=True)

    @property
    def _done(self) -> int:
        counts = self.checkpoint.counts
        ended = counts["answered"] + counts["unanswered"] if self.checkpoint.wait else counts["sent"]
        return ended + counts["refused"]

    def _outcomes(self) -> list[tuple[str, int]]:
        # A copy, for the bar is drawn while the counts grow.
        counts = dict(self.checkpoint.counts).items()
        outcomes = [each for each in counts if each[0].startswith(_STATUSES)]
        return sorted(outcomes, key=lambda each: (_STATUSES.index(each[0].split()[0]), -each[1], each[0]))

    def _per_second(self) -> float:
        began_mono, done = self._began
        return (self._done - done) / max(time.monotonic() - began_mono, 0.001)

    def _drawn(self) -> RenderableType:
        line = words("")
        failed = [(word, self.checkpoint.counts[word]) for word in ("refused", "unanswered")]
        for word, number in (*self._outcomes(), *(each for each in failed if each[1])):
            line.append_text(words(f"{word} {number:,}  ", STATUS_COLOURS.get(word.split()[0], "red")))
        line.append_text(words(self._in_the_way, "dim"))
        return Group(self._progress or "", line)
