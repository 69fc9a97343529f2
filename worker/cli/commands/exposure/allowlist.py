"""`slotgen allowlist`: the policy of what may be generated at all."""

import json
from collections.abc import Callable
from itertools import islice
from typing import Annotated

import typer

from gates.allowlist import DIAL, parse
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.changes.dials import RecordedChange
from tasks.operations.policy_diff.comparison import broader_parts
from tasks.operations.policy_diff.differences import rule_differences
from worker.adapters.redis.keys import AUDIT
from worker.cli.support.dial_command import By, apply
from worker.cli.support.documents import check, described, read_valid, switched
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import Actor, AsJson, Override, Reason
from worker.cli.support.terminal import answer, text_of

app = typer.Typer(help="Push, show, validate, enable or disable the policy.", no_args_is_help=True)
# Of what a policy newly admits.
_EXAMPLES = 3
_FILE = typer.Argument(help="A policy (allowlist v1 JSON); - is stdin.", metavar="FILE")


@app.command()
def push(
    file: Annotated[str | None, _FILE] = None,
    *,
    audit: Annotated[
        str | None,
        typer.Option(help="Instead of FILE: the policy that this change replaced.", metavar="AUDIT_ID"),
    ] = None,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Set the policy, and show what changes, rule by rule."""
    if (file is None) == (audit is None):
        raise typer.BadParameter("name a FILE, or --audit AUDIT_ID, and not both")
    if file is not None:
        source, wanted = file, read_valid(file, "allowlist.v1", "nothing was changed")
    else:
        source, wanted = f"--audit {audit}", _replaced_by(str(audit))
    by = By(f"slotgen allowlist push {source}", actor, reason, override)
    _set(lambda _: wanted, by, as_json=as_json)


@app.command()
def enable(
    *, reason: Reason = "", actor: Actor = None, override: Override = "", as_json: AsJson = False
) -> None:
    """Switch the policy on as it is."""
    by = By("slotgen allowlist enable", actor, reason, override)
    _set(lambda raw: _switched(raw, enabled=True), by, as_json=as_json)


@app.command()
def disable(*, reason: Reason = "", actor: Actor = None, as_json: AsJson = False) -> None:
    """Switch the policy off; always allowed. Every job is then NOT_ALLOWLISTED."""
    by = By("slotgen allowlist disable", actor, reason)
    _set(lambda raw: _switched(raw, enabled=False), by, as_json=as_json)


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show the policy in force."""
    with open_session() as session:
        raw = session.dials.read().value(DIAL)
    valid = raw is not None and parse(raw) is not None
    document = json.loads(raw or b"") if valid else None
    lines = [f"# {described(raw)}"]
    if raw is not None:
        lines += json.dumps(document, indent=2).split("\n") if valid else [str(text_of(raw))]
    answer({"policy": described(raw), "valid": valid, "document": document}, lines, as_json=as_json)


@app.command()
def validate(file: Annotated[str, _FILE], *, as_json: AsJson = False) -> None:
    """Check a policy file; nothing is changed."""
    check(file, "allowlist.v1", as_json=as_json)


def _set(after: Callable[[bytes | None], bytes | None], by: By, *, as_json: bool) -> None:
    apply(DIAL, after, by, undo=_undo, shown=described, extra=_differences, as_json=as_json)


def _undo(recorded: RecordedChange) -> str:
    if parse(recorded.before or b"") is None:
        # There was none, or none that admitted anything.
        return "slotgen allowlist disable"
    return f"slotgen allowlist push --audit {recorded.audit_id}"


def _differences(_: Situation, proposal: Proposal) -> list[str]:
    before, after = parse(proposal.before or b""), parse(proposal.after or b"")
    # Rules may all be as they were and yet admit more, in another order: only the parts show that.
    parts = islice(broader_parts(before, after), _EXAMPLES)
    sentences = [each.sentence for each in rule_differences(before, after)]
    return [f"  {each}" for each in (*sentences, *(each.sentence for each in parts))]


def _replaced_by(audit_id: str) -> bytes:
    with open_session() as session:
        found = next((each for each in session.dials.audit(AUDIT.kept) if each.audit_id == audit_id), None)
    if found is None or found.dial != DIAL.name:
        raise CliError(f"there is no change {audit_id!r} of the allowlist; see `slotgen audit`")
    if found.before is None or parse(found.before) is None:
        raise CliError(
            f"change {audit_id} replaced no valid policy that was kept whole; push its file instead"
        )
    return found.before


def _switched(raw: bytes | None, *, enabled: bool) -> bytes:
    parsed = parse(raw or b"")
    if raw is None or parsed is None:
        raise CliError(
            f"the policy is {'absent' if raw is None else 'malformed'}, which denies every job; "
            "set one with `slotgen allowlist push FILE`"
        )
    if parsed.enabled == enabled:
        return raw
    return switched(raw, enabled=enabled)
