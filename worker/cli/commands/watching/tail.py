"""`slotgen tail`: outcomes as they come."""

from __future__ import annotations

import itertools
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.dial_command import AsJson
from worker.cli.support.operator_session import console
from worker.cli.support.terminal import escape_control
from worker.cli.support.timefmt import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.operations.history import PastOutcome
    from worker.cli.support.operator_session import OperatorSession

ORDER = 3

_BLOCK_SECONDS = 2.0
_KEPT = 10_000
_COLOURS = {"COMPLETED": "green", "STUB": "yellow", "FAILED": "red"}


def _one_of(words: Callable[[], list[str]]) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and value not in words():
            raise typer.BadParameter(f"is {value!r}; it is one of {', '.join(words())}")
        return value

    return check


def _codes() -> list[str]:
    from tasks.errors import ErrorCode  # noqa: PLC0415 - heavy imports wait for the command

    return [each.value for each in ErrorCode]


_KINDS = ["statutory", "assessment", "explanatory", "revision"]


def tail(
    *,
    status: Annotated[
        str | None, typer.Option(help="STUB, COMPLETED or FAILED.", callback=_one_of(lambda: list(_COLOURS)))
    ] = None,
    code: Annotated[str | None, typer.Option(help="One errorCode.", callback=_one_of(_codes))] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"{', '.join(_KINDS)}.", callback=_one_of(lambda: _KINDS))
    ] = None,
    last: Annotated[int, typer.Option(min=0, max=_KEPT, help="Begin with this many past ones.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=0, help="End after this many, or when fewer than asked for have passed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show job outcomes as they come, one line each; Ctrl-C ends.

    With --last N and --limit N it shows what there is, and ends.
    """

    def wanted(each: PastOutcome) -> bool:
        return (
            status in (None, each.status)
            and code in (None, each.error_code)
            and kind in (None, each.subject.kind)
        )

    with console() as opened:
        past = opened.history.since(0, _KEPT if last else 1)
        shown = [each for each in past if wanted(each)][-last:] if last else []
        if limit is not None and last >= limit:
            _show(shown[-limit:] if limit else [], as_json=as_json)
            return
        _show(shown, as_json=as_json)
        left = None if limit is None else limit - len(shown)
        try:
            _show(itertools.islice(filter(wanted, _coming(opened, past)), left), as_json=as_json)
        except KeyboardInterrupt:
            return


def _coming(opened: OperatorSession, past: list[PastOutcome]) -> Iterator[PastOutcome]:
    after_id = past[-1].entry_id if past else "0-0"
    while True:
        for each in opened.history.follow(after_id, _BLOCK_SECONDS):
            after_id = each.entry_id
            yield each


def _show(outcomes: Any, *, as_json: bool) -> None:
    for each in outcomes:
        typer.echo(json.dumps(_document(each)) if as_json else _line(each))
        # A reader at the other end of a pipe is waiting for this line.
        sys.stdout.flush()


def _line(each: PastOutcome) -> str:
    status = typer.style(f"{each.status:9}", fg=_COLOURS[each.status])
    parts = [moment(each.wall_ms), status, f"{each.latency_ms:>8.0f} ms", escape_control(each.subject.job_id)]
    parts += [escape_control(each.cause)] if each.cause else []
    parts += ["in flight"] if each.path == "openai" and each.status == "STUB" else []
    parts += ["cached"] if each.cached else []
    parts += [f"rule {escape_control(each.rule_id)}"] if each.rule_id else []
    parts += [f"${each.cost_nano_usd / 1e9:.6f}"] if each.cost_nano_usd else []
    return "  ".join(parts)


def _document(each: PastOutcome) -> dict[str, Any]:
    return {
        "time": moment(each.wall_ms),
        "jobId": each.subject.job_id,
        "taskId": each.task_id,
        "kind": each.subject.kind,
        "status": each.status,
        "errorCode": each.error_code,
        "policyRule": each.policy_rule,
        "path": each.path,
        "latencyMs": each.latency_ms,
        "cached": each.cached,
        "attempts": each.attempts,
        "costUsd": each.cost_nano_usd / 1e9,
        "gate": each.gate,
        "ruleId": each.rule_id,
        "policyHash": each.policy_hash,
        "executorVersion": each.executor_version,
    }
