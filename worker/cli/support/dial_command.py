"""Makes one change of a dial for a command, and prints before, after, the effect, and the way back."""

from collections.abc import Callable
from typing import Any, NamedTuple

import typer

from gates import Dial, kill_switch
from gates.rollout import DIAL
from tasks.operations.changes import changing
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.changes.dials import RecordedChange
from tasks.operations.changes.exposure import named
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.cli.support.errors import refuses
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import named as who
from worker.cli.support.terminal import answer, fields, shown_text


class By(NamedTuple):
    """Who changes a dial, by which command and why; `override` sets the one-dimension rule aside."""

    command: str
    actor: str | None
    reason: str
    override: str = ""


def apply(
    dial: Dial[Any],
    after: Callable[[bytes | None], bytes | None],
    by: By,
    *,
    undo: Callable[[RecordedChange], str],
    shown: Callable[[bytes | None], str] = shown_text,
    extra: Callable[[Situation, Proposal], list[str]] = lambda *_: [],
    as_json: bool,
) -> None:
    """Set `dial` to what `after` makes of its value (None: no key), or say why not. Raises CliError.

    `shown` gives the words for a value, `undo` the command that brings the old one back, `extra` more lines.
    """
    with open_session() as session:
        key = DIAL_KEYS[dial](session.settings.namespace)
        situation = session.situation()
        before = situation.dials.value(dial)
        wanted = after(before)
        words, new_words = shown(before), shown(wanted)
        # A release writes the key again: a message may have halted workers over a key that says `false`.
        if wanted == before and dial is not kill_switch.DIAL:
            unchanged = {"key": key, "changed": False, "before": words, "after": words}
            answer(unchanged, [f"{key}: is {words} already; nothing was changed"], as_json=as_json)
            return
        proposal, recorded = change(session, situation, dial, wanted, by, refused="nothing was changed")
        silent = silences(session)
    document = {
        "key": key,
        "changed": True,
        "before": words,
        "after": new_words,
        "takesEffectAtOnce": proposal.at_once,
        "widened": list(proposal.widens),
        "override": recorded.override or None,
        "effect": fields(proposal.effect, "jobs", "admitted_before", "admitted_after"),
        "silentWorkers": silent,
        "auditId": recorded.audit_id,
        "undo": undo(recorded),
    }
    lines = [f"{key}: {words} -> {new_words}", *silent, *extra(situation, proposal), proposal.effect.sentence]
    if not proposal.at_once:
        lines.append('the fleet is halted: this takes effect with `slotgen resume --reason "…"`')
    if proposal.widens:
        lines.append(
            f"widened: {', '.join(map(named, proposal.widens))}; observe before you widen anything else"
        )
    answer(document, [*lines, f"undo: {undo(recorded)}"], as_json=as_json)


def silences(session: OperatorSession) -> list[str]:
    """Return what to know of each worker that may not have seen a change of a dial."""
    return [each.silence for each in session.fleet.workers() if each.silence]


def change(
    session: OperatorSession,
    situation: Situation,
    dial: Dial[Any],
    after: bytes | None,
    by: By,
    *,
    refused: str,
) -> tuple[Proposal, RecordedChange]:
    """Set `dial` to `after`, if that may be done now. Raises CliError: why not, and then `refused`."""
    proposal = changing.propose(situation, dial, after)
    words = by._replace(actor=who(by.actor))._asdict()
    with refuses(changing.ChangeRefused, after=f"\n{refused}"):
        permitted = changing.permitted(proposal, **words)
    return proposal, session.dials.change(permitted, situation.dials.version)


def percentage(text: str) -> str:
    """Let a percentage pass that the dial would take. Raises typer.BadParameter."""
    if DIAL.parse(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; {DIAL.remedy}")
    return text
