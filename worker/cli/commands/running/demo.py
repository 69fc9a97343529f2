"""`slotgen demo`: real job specs through the whole system in under a minute, shown live."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from celery import Celery
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from gates import REASONS
from worker.cli.support.console import ContentConsole, words
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import STATUS_COLOURS, print_json, say
from worker.dev.demo.script import ACTS, Act, Demonstration, DemonstrationStuck
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.stack import NoKey, WorkerDied, stack

_BAR_CELLS = 30
_PAUSE_SECONDS = 1.3


def demo(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch real jobs pass the gates, get generated, and get halted by one Redis key.

    Needs no Redis and no API key: stand-ins for both run on this machine and are cleaned up. A key in the
    environment is used only with --real.
    """
    console = ContentConsole()
    try:
        with (
            refuses(DemonstrationStuck, WorkerDied, before="the demonstration could not go on: "),
            refuses(NoKey, EmbeddedRedisError),
        ):
            demonstration = _play(console, real=real, quiet=as_json)
    except KeyboardInterrupt:
        raise CliError("stopped, and cleaned up") from None
    if as_json:
        print_json({"acts": [_document(act) for act in demonstration.acts]})
        return
    console.print(_summary(demonstration))
    if not real:
        say("", _STOOD_IN)
    say(*_NEXT.split("\n"))


def _play(console: ContentConsole, *, real: bool, quiet: bool) -> Demonstration:
    celery = Celery(set_as_current=False)
    demonstration = Demonstration(celery)
    if not quiet:
        console.print("Starting an embedded Redis, a stand-in for OpenAI and a worker …")
        demonstration.on_end = lambda act: console.print(_picture(demonstration.acts.index(act) + 1, act))
    # An interruption in the middle of starting or ending it would leave a folder or a process behind.
    with (
        termination_held() as interruptible,
        stack(real=real, concurrency=24, on_line=demonstration.on_line) as running,
        interruptible(),
    ):
        celery.conf.update(broker_url=running.redis_url, result_backend=running.redis_url)
        if quiet or not console.is_terminal:
            demonstration.play(running)
        else:
            demonstration.pause_seconds = _PAUSE_SECONDS
            # What has ended stays above it; a thread of rich's own would now and then draw over that.
            with Live(
                get_renderable=lambda: _running(demonstration.acts),
                console=console,
                auto_refresh=False,
                transient=True,
            ) as live:
                demonstration.on_change = live.refresh
                demonstration.play(running)
    return demonstration


def _running(acts: list[Act]) -> RenderableType:
    return _picture(len(acts), acts[-1]) if acts and not acts[-1].ended else ""


def _picture(number: int, act: Act) -> RenderableType:
    filled = round(_BAR_CELLS * min(act.tally.total / max(act.jobs, 1), 1))
    outcomes = Table.grid(padding=(0, 2))
    for (status, code, path), jobs in _outcomes(act):
        aside = "call was in flight" if code and path == "openai" else ""
        aside = "from the store" if status == "COMPLETED" and path == "stub" else aside
        colour = STATUS_COLOURS[status]
        outcomes.add_row("", words(status, colour), code, f"{jobs:>4}", words(aside, "dim"))
    return Group(
        "",
        words(f"Act {number} of {ACTS}: {act.title}", "bold"),
        Padding(words(act.why), (0, 0, 0, 2)),
        *(words(f"  redis> {command}", "dim") for command in act.commands),
        Text.assemble(
            "  ",
            words("━" * filled, "cyan"),
            words("━" * (_BAR_CELLS - filled), "dim"),
            f" {act.tally.total} of {act.jobs} jobs",
        ),
        outcomes,
    )


def _outcomes(act: Act) -> list[tuple[tuple[str, str, str], int]]:
    """Return them in an order that does not change while they are counted; a copy, for the tally may grow."""
    order = list(STATUS_COLOURS)
    return sorted(dict(act.tally.outcomes).items(), key=lambda each: (order.index(each[0][0]), each[0]))


def _summary(demonstration: Demonstration) -> RenderableType:
    """Return the last screen, which fits 80 by 24 with the line of the shell below it."""
    acts = demonstration.acts
    counted = (Column(each, justify="right", style=STATUS_COLOURS[each]) for each in ("COMPLETED", "STUB"))
    jobs = Column("jobs", justify="right")
    table = Table("what you have seen", jobs, *counted, "why", box=None)
    table.header_style, table.padding = "dim", (0, 1, 0, 0)
    for number, act in enumerate(acts, 1):
        done, stubs = act.tally.count("COMPLETED"), act.tally.count("STUB")
        table.add_row(f"{number} {act.title}", f"{act.jobs}", f"{done}", f"{stubs}", _most(act))
    halted = (_halted(act) for act in acts if act.halt_ms is not None)
    return Group("", table, "", *halted, *_content(acts))


def _most(act: Act) -> str:
    """Return what an act is for, in a few words."""
    if act.tally.cached and act.halt_ms is None:
        return f"{act.tally.cached} from the store"
    codes: Counter[str] = Counter()
    for (_, code, _), number in dict(act.tally.outcomes).items():
        codes[code] += number
    del codes[""]
    (code, number), *others = codes.most_common()
    return f"{number} {code}" + (", …" if others else "")


def _halted(act: Act) -> RenderableType:
    calls = sum(number for (_, code, path), number in act.tally.outcomes.items() if code and path == "openai")
    seen = words(f"{act.in_flight_ms:.0f} ms", "bold")
    return Text.assemble(f"{calls} calls were in flight: closed and answered {seen} after the SET of act 4.")


def _content(acts: list[Act]) -> Iterator[RenderableType]:
    """Yield a flashcard and a STUB with its reason, as a producer gets them."""
    answers = [(number, act.answer("COMPLETED", with_cards=True)) for number, act in enumerate(acts, 1)]
    if found := next(((number, answer) for number, answer in answers if answer), None):
        number, (result, _) = found
        card = next(iter(result["output"].values()))[0]
        yield Text.assemble("A flashcard of act ", f"{number}, ", words(result["jobId"], "dim"))
        yield Text.assemble("  front  ", words(card["front"], "green"))
        yield Text.assemble("  back   ", words(card["back"], "green"))
    number, act = next((number, act) for number, act in enumerate(acts, 1) if act.tally.count("COMPLETED"))
    if found_stub := act.answer("STUB"):
        result, code = found_stub
        yield Text.assemble("A STUB of act ", f"{number}, ", words(result["jobId"], "dim"))
        yield Padding(words(f"{code}: {_WHEN.get(str(code), '')}", "yellow"), (0, 0, 0, 2))


def _document(act: Act) -> dict[str, Any]:
    return {
        "title": act.title,
        "why": act.why,
        "commands": act.commands,
        "jobs": act.jobs,
        "seconds": round(act.seconds, 3),
        "cached": act.tally.cached,
        "haltMs": act.halt_ms and round(act.halt_ms, 1),
        "inFlightHaltMs": act.in_flight_ms and round(act.in_flight_ms, 1),
        "outcomes": [
            {"status": status, "errorCode": code or None, "path": path, "jobs": number}
            for (status, code, path), number in sorted(act.tally.outcomes.items())
        ],
    }


_WHEN = {str(reason): reason.when for reason in REASONS}
_STOOD_IN = "No OpenAI was asked and no money was spent: a stand-in here wrote the content."
_NEXT = """
Next
  slotgen dev      leave it all running, and try it yourself
  slotgen --help   every command; README.md says where to read on"""
