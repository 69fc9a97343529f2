"""`slotgen cache`: the paid answers, which are generated once and served many times."""

from typing import Annotated

import typer

from tasks.generate.prompting import job_key
from tasks.operations.timefmt import counted, span
from worker.adapters.redis.console.answer_index import RedisAnswerIndex
from worker.cli.support.documents import load_executor, read_spec
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer
from worker.settings.settings import Settings

app = typer.Typer(help="Show or drop paid answers.", no_args_is_help=True)
_DAY_MS = 86_400_000
_OUTCOMES = 1_000_000


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show how many answers are stored, and how many jobs of the last 24 h they served."""
    with open_session() as session:
        bound = session.settings.cache_answers
        index = RedisAnswerIndex(session.client, session.settings.namespace)
        kept, oldest = index.count(), index.oldest_seconds()
        outcomes = session.history.since(session.history.now_ms() - _DAY_MS, _OUTCOMES)
    completed = [each for each in outcomes if each.status == "COMPLETED"]
    hits = sum(each.cached for each in completed)
    age = "" if oldest is None else f", the oldest for {span(oldest)}"
    answer(
        {
            "answers": kept,
            "bound": bound,
            "oldestSeconds": oldest,
            "completed": len(completed),
            "hits": hits,
        },
        [
            f"{counted(kept, 'answer')} kept (at most {bound}){age}",
            f"of the {len(completed)} jobs COMPLETED in the last 24 h, {hits} came from them",
        ],
        as_json=as_json,
    )


@app.command()
def drop(
    file: Annotated[
        str | None, typer.Argument(help="The job spec whose answers to delete; - is stdin.", metavar="FILE")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Delete every answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete stored answers; the same job will be generated and paid for again."""
    if (file is None) != everything:
        raise typer.BadParameter("name a FILE, or --all, and not both")
    with open_session() as session:
        index = RedisAnswerIndex(session.client, session.settings.namespace)
        dropped = index.drop_all() if file is None else index.drop(_keys(file, session.settings))
    answer(
        {"dropped": dropped},
        [f"{counted(dropped, 'answer')} dropped; this cannot be undone"],
        as_json=as_json,
    )


def _keys(file: str, settings: Settings) -> list[str]:
    """Return the hashes under which the answers of the spec's jobs are kept."""
    spec = read_spec(file)
    config, prompts = load_executor(settings.executor_config)
    return [job_key(job, prompts, config) for job in spec.jobs]
