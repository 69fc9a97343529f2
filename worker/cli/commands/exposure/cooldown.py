"""`slotgen cooldown`: what a server has asked the fleet to wait for."""

from typing import Annotated

import typer

from tasks.operations.timefmt import moment
from worker.adapters.redis.console.cooldowns import cooldowns
from worker.adapters.redis.keys import COOLDOWN
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import Actor, AsJson, Reason, named
from worker.cli.support.terminal import answer

app = typer.Typer(help="Show or end the pauses that servers asked for.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show which models get no requests, since when, until when, and why."""
    if context.invoked_subcommand is not None:
        return
    with open_session() as session:
        found = cooldowns(
            session.client, session.settings.namespace, session.settings.longest_cooldown_seconds
        )
    document = [
        {
            "model": each.model,
            "since": None if each.since_wall_ms is None else moment(each.since_wall_ms),
            "until": moment(each.until_wall_ms),
            "leftSeconds": each.left_seconds,
        }
        for each in found
    ]
    answer(
        {"cooldowns": document}, map(str, found) if found else ["no cooldown is in force"], as_json=as_json
    )


@app.command()
def clear(
    model: Annotated[str, typer.Argument(help="The model, as `slotgen cooldown` shows it.", metavar="MODEL")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Let requests to a model leave again, within seconds. The next 429 starts another pause."""
    if not reason.strip():
        raise CliError('say why: --reason "…"')
    name = f"cooldown:{model}"
    command = f"slotgen cooldown clear {model}"
    with open_session() as session:
        key = COOLDOWN(session.settings.namespace, model)
        if not session.dials.clear(key, name, actor=named(actor), command=command, reason=reason):
            raise CliError(f"there is no cooldown of {model}; see slotgen cooldown")
    answer({"cleared": model}, [f"requests to {model} leave again; this cannot be undone"], as_json=as_json)
