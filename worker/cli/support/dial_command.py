"""Changes one dial for a command, and prints the old value, the new one, the effect and the undo command."""

from collections.abc import Callable
from typing import Any, NamedTuple

import typer

from gates import Dial, kill_switch
from gates.rollout import DIAL
from tasks.operations.changes import changing
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.changes.dials import Change, RecordedChange
from tasks.operations.changes.exposure import named
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.cli.support.errors import refuses
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import named as who
from worker.cli.support.terminal import answer, fields, shown_text


class By(NamedTuple):
    """Who changes a dial, with which command and why; `override` overrides the one-dimension rule."""

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
    """Set `dial` to what `after` returns for its value (None: no key). Raises CliError if that is refused.

    `shown` describes a value, `undo` gives the command that restores the old one, `extra` more lines.
    """
    with open_session() as session:
        key = DIAL_KEYS[dial](session.settings.namespace)
        situation = session.situation()
        before = situation.dials.value(dial)
        wanted = after(before)
        words, new_words = shown(before), shown(wanted)
        # A release always writes the key: a message may have halted workers while the key says `false`.
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
    """Return a warning for each worker that may not have seen a change of a dial."""
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
    """Set `dial` to `after`, if that is permitted now. Raises CliError with the reason, then `refused`."""
    proposal, permitted = permit(situation, dial, after, by, refused=refused)
    return proposal, session.dials.change(permitted, situation.dials.version)


def permit(
    situation: Situation, dial: Dial[Any], after: bytes | None, by: By, *, refused: str
) -> tuple[Proposal, Change]:
    """Return the change, if it is permitted now. Raises CliError with the reason, then `refused`."""
    proposal = changing.propose(situation, dial, after)
    words = by._replace(actor=who(by.actor))._asdict()
    with refuses(changing.ChangeRefused, after=f"\n{refused}"):
        return proposal, changing.permitted(proposal, **words)


def percentage(text: str) -> str:
    """Return `text` if the dial would accept it. Raises typer.BadParameter."""
    if DIAL.parse(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; {DIAL.remedy}")
    return text
