"""The command `slotgen`: one file a command, imported when it is named; heavy imports inside the commands."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from types import ModuleType

import typer

from worker.cli.support.errors import CliError

_HALT, _WATCH, _OPEN, _RUN = (
    "Halt and release",
    "See what happens",
    "Change exposure, one step at a time",
    "Run",
)
# In the order in which `slotgen --help` shows them. Each is the module, and the function in it.
_COMMANDS = (
    (_HALT, "kill"),
    (_HALT, "resume"),
    (_HALT, "drill"),
    (_WATCH, "status"),
    (_WATCH, "explain"),
    (_WATCH, "tail"),
    (_WATCH, "report"),
    (_WATCH, "audit"),
    (_OPEN, "preflight"),
    (_OPEN, "enable"),
    (_OPEN, "feature"),
    (_OPEN, "rollout"),
    (_RUN, "enqueue"),
    (_RUN, "worker"),
    (_RUN, "webhook"),
    (_RUN, "validate"),
    (_RUN, "dev"),
    (_RUN, "demo"),
)
# Each is the module, and has an `app`.
_GROUPS = (
    (_OPEN, "allowlist"),
    (_OPEN, "budget"),
    (_WATCH, "cache"),
    (_WATCH, "dead"),
)

_FOLDERS = {
    "kill": "halting",
    "resume": "halting",
    "drill": "halting",
    "status": "watching",
    "explain": "watching",
    "tail": "watching",
    "report": "watching",
    "audit": "watching",
    "cache": "watching",
    "dead": "watching",
    "preflight": "exposure",
    "enable": "exposure",
    "feature": "exposure",
    "rollout": "exposure",
    "allowlist": "exposure",
    "budget": "exposure",
    "enqueue": "running",
    "worker": "running",
    "webhook": "running",
    "validate": "running",
    "dev": "running",
    "demo": "running",
}


def build(only: str | None = None) -> typer.Typer:
    """Return the command-line application; with `only`, the one command of that name in it.

    To import them all takes 50 ms, which the start of a worker and the halt of a fleet can do without.
    """
    app = typer.Typer(
        name="slotgen",
        help="Fill content slots with OpenAI, and be able to stop it: one Redis key halts the whole fleet.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback typer keeps the command's name even where it is the only one.
    app.callback()(_nothing)
    for panel, name in _COMMANDS:
        if only in (None, name):
            app.command(rich_help_panel=panel)(getattr(_module(name), name))
    for panel, name in _GROUPS:
        if only in (None, name):
            app.add_typer(_module(name).app, name=name, rich_help_panel=panel)
    return app


def _module(name: str) -> ModuleType:
    return import_module(f"worker.cli.commands.{_FOLDERS[name]}.{name}")


def _nothing() -> None:
    pass


def _named(words: list[str]) -> str | None:
    """Return the command that comes first in `words`, or None where it takes all of them to answer."""
    first = words[0] if words else None
    return first if first in {name for _, name in (*_COMMANDS, *_GROUPS)} else None


def main() -> None:
    """Run `slotgen`; exit 0 done, 1 refused or failed, 2 usage. No traceback reaches a person."""
    try:
        build(_named(sys.argv[1:]))()
    except CliError as refusal:
        _fail(str(refusal))
    except Exception as error:  # noqa: BLE001 - the last place where an error can become a sentence
        where = traceback.extract_tb(error.__traceback__)[-1]
        _fail(
            f"slotgen broke: {type(error).__name__} at {where.filename}:{where.lineno}; "
            "this is a bug, please report it with this line"
        )


def _fail(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.exit(1)
