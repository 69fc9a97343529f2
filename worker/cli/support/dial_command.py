"""Makes one change of a dial for a command, and prints before, after, the effect, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.actor import named
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from gates import Dial
    from tasks.operations.changes.changing import Proposal, Situation
    from tasks.operations.changes.dials import RecordedChange

Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Override = Annotated[
    str,
    typer.Option(
        help="Set the one-dimension rule aside, for this reason, which is recorded.", metavar="REASON"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class DialCommand:
    """What a command wants: `after` gives the new value for what is there now (None: no key).

    `undo` gives the command that brings the old value back; `shown` the words for a value.
    """

    dial: Dial[Any]
    after: Callable[[bytes | None], bytes | None]
    undo: Callable[[RecordedChange], str]
    shown: Callable[[bytes | None], str]
    command: str
    reason: str = ""
    actor: str | None = None
    override: str = ""


def apply(
    wish: DialCommand, *, as_json: bool, extra: Callable[[Situation, Proposal], list[str]] | None = None
) -> None:
    """Make the change, or say why not. `extra` adds lines about it. Raises Refusal."""
    from tasks.operations.changes import changing  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.dial_keys import DIAL_KEYS  # noqa: PLC0415

    with console() as opened:
        window_seconds = opened.settings.observation_seconds
        situation = changing.situation_now(opened.dials, opened.history, window_seconds)
        before = situation.dials.value(wish.dial)
        after = wish.after(before)
        key = DIAL_KEYS[wish.dial](opened.settings.namespace)
        if after == before:
            _unchanged(key, wish.shown(before), as_json=as_json)
            return
        proposal = changing.propose(situation, wish.dial, after)
        try:
            recorded = changing.make(
                opened.dials,
                situation,
                proposal,
                actor=named(wish.actor),
                command=wish.command,
                reason=wish.reason,
                override=wish.override,
            )
        except changing.ChangeRefused as refused:
            raise CliError(f"{refused}\nnothing was changed") from None
    if as_json:
        print_json(_document(key, wish, proposal, recorded))
        return
    lines = [
        f"{key}: {wish.shown(before)} -> {wish.shown(after)}",
        *(extra(situation, proposal) if extra else []),
    ]
    typer.echo("\n".join([*lines, *_consequences(proposal), f"undo: {wish.undo(recorded)}"]))


def _unchanged(key: str, value: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, "changed": False, "before": value, "after": value})
    else:
        typer.echo(f"{key}: is {value} already; nothing was changed")


def _consequences(proposal: Proposal) -> list[str]:
    lines = [proposal.effect.sentence]
    if not proposal.at_once:
        lines.append('the brake is on: this takes effect with `slotgen resume --reason "…"`')
    if proposal.widens:
        lines.append(f"widened: {', '.join(proposal.widens)}; observe before you widen anything else")
    return lines


def _document(key: str, wish: DialCommand, proposal: Proposal, recorded: RecordedChange) -> dict[str, Any]:
    return {
        "key": key,
        "changed": True,
        "before": wish.shown(proposal.before),
        "after": wish.shown(proposal.after),
        "takesEffectAtOnce": proposal.at_once,
        "widened": list(proposal.widens),
        "override": recorded.override or None,
        "effect": {
            "jobs": proposal.effect.jobs,
            "admittedBefore": proposal.effect.admitted_before,
            "admittedAfter": proposal.effect.admitted_after,
        },
        "auditId": recorded.audit_id,
        "undo": wish.undo(recorded),
    }


def shown_text(value: bytes | None) -> str:
    """Return a dial's raw value for people: quoted, or `absent`."""
    return "absent" if value is None else repr(value.decode(errors="backslashreplace"))
