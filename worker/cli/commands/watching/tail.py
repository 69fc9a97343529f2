"""`slotgen tail`: outcomes as they come."""

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import typer

from tasks.errors import ErrorCode, Status
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.money import usd
from tasks.operations.probes import is_probe
from tasks.operations.timefmt import milliseconds, moment
from tasks.operations.visible import Shown
from worker.adapters.redis.jobs.history import as_kept
from worker.cli.support.explaining import outcome_document
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import STATUS_COLOURS, print_json, say, styled

ORDER = 3
_BLOCK_SECONDS = 2.0
_KEPT = 10_000


def tail(
    *,
    status: Annotated[
        Status | None, typer.Option(help="STUB, COMPLETED or FAILED.", metavar="STATUS")
    ] = None,
    code: Annotated[ErrorCode | None, typer.Option(help="Only this errorCode.", metavar="CODE")] = None,
    kind: Annotated[
        Literal["statutory", "assessment", "explanatory", "revision"] | None,
        typer.Option(help="statutory, assessment, explanatory or revision.", metavar="KIND"),
    ] = None,
    job: Annotated[str, typer.Option(help="Only jobs whose jobId starts with this.", metavar="ID")] = "",
    task: Annotated[str, typer.Option(help="Only tasks whose id starts with this.", metavar="ID")] = "",
    last: Annotated[int, typer.Option(min=0, max=_KEPT, help="Start with this many past outcomes.")] = 10,
    limit: Annotated[
        int | None, typer.Option(min=0, help="End after this many, or when fewer than asked for have passed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the last ten job outcomes, then new ones as they come, one line each; Ctrl-C ends.

    With --last N and --limit N it shows what there is, and ends. `slotgen explain --job ID` says more about
    one job. Jobs of preflight and drill are left out unless asked for: --job probe-, --job drill-.
    """

    def wanted(each: OutcomeRecord) -> bool:
        return (
            status in (None, each.status)
            and code in (None, each.error_code)
            and kind in (None, each.subject.kind)
            and (each.subject.job_id.startswith(as_kept(job)) if job else not is_probe(each.subject))
            and each.task_id.startswith(as_kept(task))
        )

    with open_session() as session:
        past = session.history.since(0, _KEPT if last else 1)
        shown = [each for each in past if wanted(each)][-last:] if last else []
        if limit is not None and last >= limit:
            _show(shown[-limit:] if limit else [], as_json=as_json)
            return
        _show(shown, as_json=as_json)
        left = None if limit is None else limit - len(shown)
        try:
            _show(itertools.islice(filter(wanted, _coming(session, past)), left), as_json=as_json)
        except KeyboardInterrupt:
            return


def _coming(session: OperatorSession, past: list[OutcomeRecord]) -> Iterator[OutcomeRecord]:
    after_id = past[-1].entry_id if past else "0-0"
    while True:
        for each in session.history.follow(after_id, _BLOCK_SECONDS):
            after_id = each.entry_id
            yield each


def _show(outcomes: Iterable[OutcomeRecord], *, as_json: bool) -> None:
    day = moment(time.time() * 1000).partition("T")[0]
    for each in outcomes:
        if as_json:
            print_json(outcome_document(each), indent=None)
            continue
        # Which day it is, is said only where it changes: a line should fit 80 columns.
        its_day, _, its_time = moment(each.wall_ms).partition("T")
        say(*([] if its_day == day else [its_day]), its_time + " " + _line(each))
        day = its_day


def _line(each: OutcomeRecord) -> Shown:
    parts = [each.cause] if each.cause else []
    parts += ["in flight"] if each.path == "openai" and each.status == "STUB" else []
    parts += [milliseconds(each.latency_ms), each.subject.job_id]
    parts += ["cached"] if each.cached else []
    parts += [usd(each.cost_nano_usd)] if each.cost_nano_usd else []
    return styled(f"{each.status:9}", STATUS_COLOURS.get(each.status)) + " " + "  ".join(parts)
