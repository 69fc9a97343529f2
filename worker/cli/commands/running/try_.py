"""`slotgen try`: a spec, a prompt or an executor config at the model itself, before any job depends on it."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from gates import BrakeState, kill_switch
from schemas import output_type, output_types
from tasks.errors import Status, StoreUnavailable
from tasks.generate.prompting import Prompts
from tasks.generate.spec import Job, Spec
from tasks.generate.trial import Candidate, Tried, try_all
from telemetry import error_location
from telemetry.log_events import LOG_EVENTS
from telemetry.logs import FIELDS
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.account import as_the_fleet_spends
from worker.adapters.redis.keys import KILL
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.documents import load_executor, read_spec, read_text, schema_of
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.explaining import live_controls
from worker.cli.support.options import AsJson
from worker.cli.support.signals import run_cancellable
from worker.cli.support.terminal import escaped, print_json, say
from worker.cli.views.trial_page import TrialPage, document
from worker.dev.demo.specs import load_specs
from worker.dev.fake_openai.server import FakeOpenAI
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.redis_server.process import embedded_redis
from worker.process.trial import open_trials
from worker.settings.settings import BadSetting, Settings

ORDER = 4
_IN_FORCE = "current"
_PROMPT = re.compile(r"([A-Za-z_]+)(?:\.v[0-9]+)?\.md")
_FOR_ALL = "plain_text"


def try_(
    file: Annotated[
        str,
        typer.Argument(
            help="A job spec, an executor config, or a prompt such as explanatory.v2.md.", metavar="FILE"
        ),
    ],
    *,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIG",
            help="What to show beside it: an executor config, a prompt, or `current`, which workers use.",
        ),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The jobs for a config or a prompt; without it, shipped ones, one of a kind."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=100, help="How often to try each job.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append each try to this file, as a line of JSON.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Ask a stand-in on this machine: no key, no Redis, no money.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try jobs at the real model: no queue, and no dial but the kill switch and the spend cap.

    Shows each answer, whether it fits its schema and is plain text, the latency, tokens and cost. Calls are
    charged to the fleet's account, and no answer is kept there. --json prints the lines of --out. Exit 1 if
    the fleet is halted, or any job was not COMPLETED.
    """
    with _embedded() if embedded else _fleet() as settings, _kept(out) as keep:
        candidates, jobs = _what(file, against, spec, settings)
        page = TrialPage(candidates, jobs, n)

        def tell(tried: Tried) -> None:
            line = document(tried)
            keep(line)
            page.add(tried)
            if as_json:
                print_json(line, indent=None)
            else:
                page.draw()

        _refuse_halted(settings)
        with refuses(StoreUnavailable), open_redis(settings) as client:
            spending = as_the_fleet_spends(client, settings)
        last = _run(spending, candidates, jobs, n, tell)
    if not as_json:
        page.draw(ended=True)
    if last is not None:
        why = f": {last.context.detail}" if last.context.detail else ""
        of = n * len(jobs) * len(candidates)
        raise CliError(f"ended by {last.outcome.error_code}, after {len(page.tried)} of {of} tries{why}")
    if any(each.outcome.status is not Status.COMPLETED for each in page.tried):
        raise typer.Exit(1)


@contextmanager
def _fleet() -> Iterator[Settings]:
    settings = load_settings()
    if not settings.has_api_key:
        raise CliError("OPENAI_API_KEY is not set; set the key of your OpenAI project, or use --embedded")
    yield settings


@contextmanager
def _embedded() -> Iterator[Settings]:
    """Give the settings of a released Redis and a stand-in for OpenAI, which end with the block."""
    settings = load_settings(redis_url="redis://127.0.0.1", namespace="slotgen")
    with ExitStack() as ending, refuses(EmbeddedRedisError):
        url = ending.enter_context(
            embedded_redis(Path(ending.enter_context(TemporaryDirectory(prefix="slotgen-"))))
        )
        stand_in = ending.enter_context(FakeOpenAI()).base_url
        with open_sync(url) as client:
            client.set(KILL(settings.namespace), kill_switch.DIAL.open_value or b"")
        key = SecretStr("stand-in")
        yield settings.model_copy(
            update={"redis_url": url, "openai_base_url": stand_in, "openai_api_key": key}
        )


@contextmanager
def _kept(out: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give what appends a document to `out`, at once; an answer is seen by its owner alone."""
    if out is None:
        yield lambda _: None
        return
    with _writes(out):  # before anything is paid for
        file = os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8")

    def keep(line: dict[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        with _writes(out):
            file.write(escaped(text, "utf-8") + "\n")
            file.flush()

    with file:
        yield keep


@contextmanager
def _writes(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CliError(f"{out}: cannot be written ({error.strerror}); name another file with --out") from None


def _what(
    file: str, against: str | None, spec: str | None, settings: Settings
) -> tuple[list[Candidate], list[Job]]:
    """Return what is to be tried, and with which jobs."""
    current = Candidate(_IN_FORCE, *load_executor(settings.executor_config))
    is_spec = file == "-" or (not file.endswith(".md") and schema_of(file) == "job.v1")
    if is_spec and spec:
        raise typer.BadParameter(f"{file} is a job spec itself: leave --spec out")
    candidates = [current if is_spec else _candidate(file, current)]
    if against is not None:
        candidates.append(current if against == _IN_FORCE else _candidate(against, current))
    where = file if is_spec else spec
    jobs = read_spec(where).jobs if where else _shipped()
    word = _prompt(file, current.prompts) if file.endswith(".md") else _FOR_ALL
    found = [each for each in jobs if each.mode == "generate" and _concerns(word, each)]
    if not found:
        raise CliError(
            f"{where}: has no job to try; verbatim text is never sent to a model, and a prompt is tried with "
            "the jobs that it is for"
        )
    return candidates, found if where else list({each.kind: each for each in reversed(found)}.values())


def _shipped() -> list[Job]:
    """Return jobs of the shipped specs that a model may be asked for."""
    specs = [Spec.of(each) for each in load_specs()]
    return [job for each in specs for job in each.jobs if job.subject.opted_in and job.mode == "generate"]


def _candidate(file: str, current: Candidate) -> Candidate:
    """Return the executor config in `file`, or the current one with the prompt in `file`."""
    if not file.endswith(".md"):
        if schema_of(file) == "executor.v1":
            return Candidate(file, *load_executor(Path(file)))
        raise CliError(f"{file}: is no executor config; name one, or a prompt such as explanatory.v2.md")
    prompts = current.prompts
    word, text = _prompt(file, prompts), read_text(file).strip()
    if not text:
        raise CliError(f"{file}: is empty; write the prompt")
    if word == _FOR_ALL:
        changed = replace(prompts, policy=text)
    elif word in prompts.texts:
        changed = replace(prompts, texts=prompts.texts | {word: text})
    else:
        changed = replace(prompts, outputs=prompts.outputs | {word: text})
    return replace(current, name=file, prompts=changed)


def _prompt(file: str, prompts: Prompts) -> str:
    """Return what the prompt in `file` is for, by the file's name: a kind of job, an output type, or all."""
    match = _PROMPT.fullmatch(Path(file).name)
    known = [*prompts.texts, *output_types(), _FOR_ALL]
    if match is None or match[1] not in known:
        raise CliError(
            f"{file}: is named after no prompt; name it WORD.vNUMBER.md, WORD being one of {', '.join(known)}"
        )
    return match[1]


def _concerns(word: str, job: Job) -> bool:
    output = output_type(job.output_type)
    return word in {_FOR_ALL, job.kind, output.name if output else None}


def _refuse_halted(settings: Settings) -> None:
    found = live_controls(settings)
    if found.brake is BrakeState.RELEASED:
        return
    reading = found.of(kill_switch.GATE)
    why = found.note or f"{KILL(settings.namespace)} {reading.trouble or 'is true'}"
    raise CliError(
        f"halted, so nothing was sent: {why}; `slotgen status` says by whom, and "
        '`slotgen resume --reason "…"` releases'
    )


class _Sentences(logging.Handler):
    """Says what slotgen logs, in the words of its table of events; what libraries log, a person is spared."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it on standard error."""
        for event in LOG_EVENTS:
            if event.name == record.msg:
                known = ", ".join(f"{name} {value}" for name, value in getattr(record, FIELDS, {}).items())
                say(f"{event.meaning} ({known})" if known else event.meaning, err=True)


@contextmanager
def _log_said() -> Iterator[None]:
    root, handler = logging.getLogger(), _Sentences(logging.WARNING)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _run(
    settings: Settings,
    candidates: list[Candidate],
    jobs: list[Job],
    repeats: int,
    tell: Callable[[Tried], None],
) -> Tried | None:
    def report_bug(job: Job, error: BaseException) -> None:
        say(f"{job.job_id}: a bug, please report it: {error_location(error)}", err=True)

    async def work() -> Tried | None:
        async with open_trials(settings, jobs, report_bug) as trial:
            return await try_all([trial(each) for each in candidates], jobs, repeats, tell)

    try:
        with refuses(BadSetting), _log_said():
            return run_cancellable(work())
    except asyncio.CancelledError:
        raise CliError("stopped; what was in flight is charged at the most that it can have cost") from None
