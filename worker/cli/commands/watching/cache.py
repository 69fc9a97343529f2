"""`slotgen cache`: the paid answers, which are generated once and served many times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.running import validate as validation
from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from worker.settings.settings import Settings

app = typer.Typer(help="Show or drop paid answers.", no_args_is_help=True)
_DAY_MS = 86_400_000
_OUTCOMES = 1_000_000


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """Show how many answers are kept, and how many jobs of the last 24 h were served from them."""
    from tasks.operations.timefmt import span  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.answer_index import RedisAnswerIndex  # noqa: PLC0415

    with console() as opened:
        index = RedisAnswerIndex(opened.client, opened.settings.namespace)
        kept, oldest = index.count(), index.oldest_seconds()
        outcomes = opened.history.since(opened.history.now_ms() - _DAY_MS, _OUTCOMES)
    completed = [each for each in outcomes if each.status == "COMPLETED"]
    hits = sum(each.cached for each in completed)
    if as_json:
        document = {"answers": kept, "bound": opened.settings.cache_answers, "oldestSeconds": oldest}
        print_json(document | {"completed": len(completed), "hits": hits})
        return
    age = "" if oldest is None else f", the oldest for {span(oldest)}"
    typer.echo(f"{kept} answers kept (at most {opened.settings.cache_answers}){age}")
    typer.echo(f"of the {len(completed)} jobs COMPLETED in the last 24 h, {hits} were served from them")


@app.command("drop")
def drop(
    file: Annotated[
        str | None, typer.Argument(help="A job spec, whose answers to forget; - is stdin.", metavar="FILE")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Forget every answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget paid answers: the same job is generated, and paid for, again."""
    from worker.adapters.redis.console.answer_index import RedisAnswerIndex  # noqa: PLC0415 - heavy imports wait for the command

    if (file is None) != everything:
        raise typer.BadParameter("name a FILE, or --all, and not both")
    with console() as opened:
        index = RedisAnswerIndex(opened.client, opened.settings.namespace)
        dropped = index.drop_all() if file is None else index.drop(_keys(file, opened.settings))
    if as_json:
        print_json({"dropped": dropped})
    else:
        typer.echo(f"{dropped} answers dropped; this cannot be undone")


def _keys(file: str, settings: Settings) -> list[str]:
    """Return the hashes under which the answers of the spec's jobs are kept."""
    from tasks import executor_config  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.generate.prompting import Prompts, job_key  # noqa: PLC0415
    from tasks.generate.spec import Spec  # noqa: PLC0415

    text = validation.read(file)
    problems = validation.problems_of(text, "job.v1")
    if problems:
        raise CliError("\n".join(f"{file}: {each}" for each in problems))
    try:
        config = executor_config.load(settings.executor_config)
        prompts = Prompts.load(config.prompts)
    except executor_config.BadExecutorConfig as error:
        raise CliError(str(error)) from None
    return [job_key(job, prompts, config) for job in Spec.of(json.loads(text)).jobs]
