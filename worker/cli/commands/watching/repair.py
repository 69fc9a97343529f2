"""`slotgen repair`: lists wrong keys in Redis, and moves them aside."""

from typing import Annotated, Any

import typer

from worker.adapters.redis.console.quarantine import RedisQuarantine
from worker.adapters.redis.wrong_keys import WrongKey, judge_one, quoted, row_of, scan
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import Actor, AsJson, named
from worker.cli.support.terminal import answer, fields


def repair(
    key: Annotated[
        str | None,
        typer.Argument(help="The key to move aside; without one, list what is wrong.", metavar="KEY"),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record; required with a key.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """List the keys that hold something slotgen cannot read, or move one aside, unchanged, for 30 days.

    A kill switch or other dial that is moved aside counts as absent, which halts or denies; a spend cap
    counts as 0. Only the first 100,000 keys are searched. Exit 1 if something is wrong.
    """
    with open_session(warns=False) as session:
        if key is None:
            _list(session, as_json=as_json)
            return
        wrong = _wrong(session, key)
        if not reason.strip():
            raise CliError(f"putting a key aside needs a reason: {wrong.remedy}")
        if not yes:
            typer.confirm(f"{wrong.key} {wrong.what}. Put that aside?", abort=True, err=True)
        done = RedisQuarantine(session.client, session.settings.namespace).put_aside(
            wrong, named(actor), f"slotgen repair {key}", reason.strip()
        )
    if done is None:
        raise CliError(f"{key}: has changed meanwhile; nothing was done. See `slotgen repair`")
    aside, audit_id = done
    document = fields(wrong, "key", "found", "wanted") | {"quarantined": aside, "auditId": audit_id}
    lines = [f"{wrong.key}: {wrong.found} was put aside", f"kept for 30 days as {aside}"]
    if not wrong.fields:
        there = quoted(wrong.key)
        lines.append(
            f'undo: redis-cli -u "$SLOTGEN_REDIS_URL" RENAME {quoted(aside)} {there} && '
            f'redis-cli -u "$SLOTGEN_REDIS_URL" PERSIST {there}'
        )
    answer(document, lines, as_json=as_json)


def _list(session: OperatorSession, *, as_json: bool) -> None:
    wrong, whole = scan(session.client, session.settings.namespace)
    lines = [str(each) for each in wrong] or ["every key is as docs/redis-keys.md says"]
    if not whole:
        lines.append("there are more keys than were looked at; name one to have it judged")
    answer({"wrongKeys": list(map(document_of, wrong)), "complete": whole}, lines, as_json=as_json)
    if wrong:
        raise typer.Exit(1)


def _wrong(session: OperatorSession, key: str) -> WrongKey:
    namespace = session.settings.namespace
    if row_of(key, namespace) is None:
        raise CliError(f"{key}: is no key of slotgen's; see docs/redis-keys.md")
    wrong = judge_one(session.client, namespace, key)
    if wrong is None:
        raise CliError(f"{key}: is as docs/redis-keys.md says, or absent; nothing was done")
    return wrong


def document_of(wrong: WrongKey) -> dict[str, Any]:
    """Return the document of `--json` for one wrong key."""
    return fields(wrong, "key", "found", "wanted", "remedy")
