"""`slotgen allowlist`: the policy of what may be generated at all."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.running import validate as validation
from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from gates import Allowlist
    from tasks.operations.changes.changing import Proposal, Situation
    from tasks.operations.changes.dials import RecordedChange

app = typer.Typer(help="Push, show, validate, enable or disable the policy.", no_args_is_help=True)
# Of what a policy newly admits.
_EXAMPLES = 3
_File = Annotated[str, typer.Argument(help="A policy (allowlist v1 JSON); - is stdin.", metavar="FILE")]


@app.command("push")
def push(
    file: Annotated[
        str | None, typer.Argument(help="A policy (allowlist v1 JSON); - is stdin.", metavar="FILE")
    ] = None,
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
    """Set the policy, and show rule by rule what that changes."""
    if (file is None) == (audit is None):
        raise typer.BadParameter("name a FILE, or --audit AUDIT_ID, and not both")
    policy = read_valid(file) if file is not None else _replaced_by(str(audit))
    source = file if file is not None else f"--audit {audit}"
    _set(lambda _: policy, f"slotgen allowlist push {source}", reason, actor, override, as_json=as_json)


@app.command("enable")
def enable(
    *, reason: Reason = "", actor: Actor = None, override: Override = "", as_json: AsJson = False
) -> None:
    """Switch the policy on as it is."""
    _set(
        lambda raw: _switched(raw, enabled=True),
        "slotgen allowlist enable",
        reason,
        actor,
        override,
        as_json=as_json,
    )


@app.command("disable")
def disable(*, reason: Reason = "", actor: Actor = None, as_json: AsJson = False) -> None:
    """Switch the policy off; always allowed. Every job is NOT_ALLOWLISTED then."""
    _set(
        lambda raw: _switched(raw, enabled=False),
        "slotgen allowlist disable",
        reason,
        actor,
        "",
        as_json=as_json,
    )


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """Show the policy in force."""
    from gates.allowlist import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    with console() as opened:
        raw = opened.dials.read().value(DIAL)
    if as_json:
        policy = _parsed(raw)
        document = None if raw is None or policy is None else json.loads(raw)
        print_json({"policy": described(raw), "valid": policy is not None, "document": document})
        return
    typer.echo(f"# {described(raw)}")
    if raw is not None:
        typer.echo(
            json.dumps(json.loads(raw), indent=2) if _parsed(raw) else raw.decode(errors="backslashreplace")
        )


@app.command("validate")
def validate(file: _File, *, as_json: AsJson = False) -> None:
    """Check a policy file; nothing is changed."""
    validation.check(file, "allowlist.v1", as_json=as_json)


def _set(after: Any, command: str, reason: str, actor: str | None, override: str, *, as_json: bool) -> None:
    from gates.allowlist import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    wish = DialCommand(DIAL, after, _undo, described, command, reason, actor, override)
    apply(wish, as_json=as_json, extra=_differences)


def _undo(recorded: RecordedChange) -> str:
    if _parsed(recorded.before) is None:
        # There was none, or none that admitted anything.
        return "slotgen allowlist disable"
    return f"slotgen allowlist push --audit {recorded.audit_id}"


def _differences(situation: Situation, proposal: Proposal) -> list[str]:
    from tasks.operations.policy_diff.comparison import broader_parts  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.operations.policy_diff.differences import rule_differences  # noqa: PLC0415 - as above

    del situation
    before, after = _parsed(proposal.before), _parsed(proposal.after)
    # Rules may all be as they were and yet admit more, in another order: only the parts show that.
    parts = islice(broader_parts(before, after), _EXAMPLES)
    sentences = [each.sentence for each in rule_differences(before, after)]
    return [f"  {each}" for each in (*sentences, *(part.sentence for part in parts))]


def read_valid(file: str) -> bytes:
    """Return the bytes of a policy file. Raises Refusal when it is none."""
    raw = validation.read(file)
    problems = validation.problems_of(raw, "allowlist.v1")
    if problems:
        raise CliError("\n".join([*(f"{file}: {each}" for each in problems), "nothing was changed"]))
    return raw


def _replaced_by(audit_id: str) -> bytes:
    with console() as opened:
        found = next((each for each in opened.dials.audit(10_000) if each.audit_id == audit_id), None)
    if found is None or found.dial != "allowlist":
        raise CliError(f"there is no change {audit_id!r} of the allowlist; see `slotgen audit`")
    if _parsed(found.before) is None:
        raise CliError(
            f"change {audit_id} replaced no valid policy that was kept whole; push its file instead"
        )
    return found.before or b""


def _switched(raw: bytes | None, *, enabled: bool) -> bytes | None:
    policy = _parsed(raw)
    if raw is None or policy is None:
        raise CliError(
            f"the policy is {'absent' if raw is None else 'malformed'}, which denies every job; "
            "set one with `slotgen allowlist push FILE`"
        )
    if policy.enabled == enabled:
        return raw
    return json.dumps(json.loads(raw) | {"enabled": enabled}, indent=2).encode()


def described(raw: bytes | None) -> str:
    """Return a policy in few words: its hash, and how many of its rules are enabled."""
    from gates.allowlist import policy_hash  # noqa: PLC0415 - heavy imports wait for the command

    if raw is None:
        return "absent"
    policy = _parsed(raw)
    if policy is None:
        return f"malformed ({policy_hash(raw)})"
    state = "enabled" if policy.enabled else "disabled"
    rules = f"{sum(rule.enabled for rule in policy.rules)} of {len(policy.rules)} rules"
    return f"{policy_hash(raw)} ({state}, {rules})"


def _parsed(raw: bytes | None) -> Allowlist | None:
    from gates.allowlist import parse  # noqa: PLC0415 - heavy imports wait for the command

    return None if raw is None else parse(raw)
